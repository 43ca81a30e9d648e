// The Run button under an output block that a listing made; and Trace beside it, where the listing is a server. The Check button
// of an exercise is the same, for `cargo workshop check`.
//
// The book's own server (`cargo book`) puts a token into the pages that it serves. A page without it is a page of the
// static site: there the recorded output stands alone, and this script does nothing.
"use strict";
(() => {
    const token = document.querySelector('meta[name="run-token"]')?.content;
    if (!token) {
        return;
    }
    // The runs whose servers can be traced.
    const traced = new Set(document.querySelector('meta[name="traced-runs"]')?.content.split(" "));
    // A server prints for half an hour; a page shows the end of it.
    const LINES = 1000;

    // Says for the whole page whether something runs on it.
    let running = 0;
    function count(difference) {
        running += difference;
        document.documentElement.toggleAttribute("data-running", running > 0);
    }

    function post(path, body, signal) {
        const headers = { "content-type": "application/json", "x-run-token": token };
        return fetch(path, { method: "POST", headers, body: JSON.stringify(body), signal });
    }

    function make(tag, className, text) {
        const element = document.createElement(tag);
        element.className = className;
        if (text !== undefined) {
            element.textContent = text;
        }
        return element;
    }

    function seconds(ms) {
        return ms < 1000 ? `${ms.toFixed(0)} ms` : `${(ms / 1000).toFixed(2)} s`;
    }

    // Calls `told` with each line of the answer's body, parsed, as it arrives.
    async function lines(response, told) {
        const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
        let rest = "";
        for (;;) {
            const { done, value } = await reader.read();
            if (done) {
                return;
            }
            const pieces = (rest + value).split("\n");
            rest = pieces.pop();
            pieces.forEach((piece) => told(JSON.parse(piece)));
        }
    }

    // `doing`: what the button says, what it asks for, and what the page says while that goes on.
    const RUN = { verb: "Run", path: "/api/run", first: "compiling", done: "run" };
    const CHECK = { verb: "Check", path: "/api/check", first: "checking", done: "checked" };

    function equip(code, name, doing) {
        const recorded = code.closest("pre");
        const box = make("div", "run");
        const bar = make("div", "run-bar");
        const go = make("button", "run-button", doing.verb);
        const look = make("button", "run-button", "Trace");
        const stop = make("button", "run-button", "Stop");
        const status = make("span", "run-status");
        go.type = look.type = stop.type = "button";
        go.setAttribute("aria-label", `${doing.verb} ${name} on this machine`);
        look.setAttribute("aria-label", `Trace ${name} on this machine, and draw who waits`);
        stop.setAttribute("aria-label", `Stop ${name}`);
        status.setAttribute("role", "status");
        // Counts beside the status: one who listens is not to hear every second.
        const clock = make("span", "run-clock");
        clock.setAttribute("aria-hidden", "true");
        stop.hidden = true;
        look.hidden = !traced.has(name);
        bar.append(go, look, stop, status, clock);

        const live = make("div", "run-live");
        const label = make("p", "run-label");
        const at = make("div", "run-at");
        const drawing = make("figure", "run-drawing");
        const output = make("pre", "run-output");
        const text = make("code", "run-lines");
        live.hidden = true;
        at.hidden = true;
        drawing.hidden = true;
        output.tabIndex = 0;
        output.setAttribute("role", "region");
        output.setAttribute("aria-label", `Output of ${name} on this machine`);
        output.append(text);
        live.append(label, at, ...(traced.has(name) ? [drawing] : []), output);
        box.append(bar, live);
        const both = make("div", "runnable");
        recorded.replaceWith(both);
        both.append(recorded, box);

        let id = null;
        let dropped = 0;
        let ticking = null;

        function countSeconds() {
            const since = Date.now();
            ticking = setInterval(() => { clock.textContent = `${Math.round((Date.now() - since) / 1000)} s`; }, 1000);
        }

        function stopCounting() {
            clearInterval(ticking);
            clock.textContent = "";
        }

        function add(line, className) {
            const atEnd = output.scrollTop + output.clientHeight >= output.scrollHeight - 4;
            text.append(make("span", className, line + "\n"));
            while (text.childElementCount > LINES) {
                text.firstElementChild.remove();
                dropped += 1;
            }
            output.hidden = false;
            if (atEnd) {
                output.scrollTop = output.scrollHeight;
            }
        }

        function listening(event) {
            const link = make("a", "", event.url);
            link.href = event.url;
            link.target = "_blank";
            link.rel = "noopener";
            const line = make("p", "", "It listens on ");
            line.append(link, event.tries.length ? ". Try:" : ".");
            at.replaceChildren(line);
            for (const suggestion of event.tries) {
                const row = make("div", "run-try");
                const command = make("code", "", suggestion);
                const copy = make("button", "run-button", "Copy");
                copy.type = "button";
                copy.setAttribute("aria-label", `Copy ${suggestion}`);
                copy.addEventListener("click", async () => {
                    await navigator.clipboard.writeText(suggestion);
                    copy.textContent = "Copied";
                    setTimeout(() => { copy.textContent = "Copy"; }, 1500);
                });
                row.append(command, copy);
                at.append(row);
            }
            at.hidden = false;
        }

        // The drawing, of which static/timeline.js makes one that can be asked. What was printed below it has the same facts.
        function drawn(event) {
            const parsed = new DOMParser().parseFromString(event.svg, "image/svg+xml").documentElement;
            const caption = "Pale: a call in which the thread waits. Solid: one that it works through. Colours are clients.";
            drawing.replaceChildren(document.importNode(parsed, true), make("figcaption", "", caption));
            drawing.hidden = false;
            drawing.firstElementChild.dispatchEvent(new CustomEvent("timeline-drawn", { bubbles: true }));
        }

        function told(event) {
            switch (event.event) {
            case "accepted":
                id = event.id;
                label.textContent = `on your kernel, ${event.kernel}`;
                break;
            case "build":
                add(event.line, "run-build");
                break;
            case "started":
                stopCounting();
                text.replaceChildren();
                add(`$ ${event.command}`, "run-command");
                status.textContent = "running";
                break;
            case "out":
                add(event.line, "run-out");
                // For a page that has more to show of it.
                code.dispatchEvent(new CustomEvent("run-line", { bubbles: true, detail: event.line }));
                break;
            case "err":
                add(event.line, "run-err");
                break;
            case "listening":
                listening(event);
                status.textContent = "listening";
                break;
            case "drawn":
                drawn(event);
                break;
            case "ended":
                status.textContent = event.ms ? `${event.how}, after ${seconds(event.ms)}` : event.how;
                status.classList.toggle("run-failed", !event.ok);
                id = "ended";
                code.dispatchEvent(new CustomEvent("run-ended", { bubbles: true }));
                break;
            }
        }

        async function run(button = go, path = doing.path) {
            const hadFocus = button === document.activeElement;
            id = null;
            dropped = 0;
            text.replaceChildren();
            at.hidden = true;
            drawing.hidden = true;
            drawing.replaceChildren();
            live.hidden = false;
            output.hidden = true;
            label.textContent = "";
            status.classList.remove("run-failed");
            status.textContent = doing.first;
            countSeconds();
            stop.hidden = false;
            stop.disabled = false;
            if (hadFocus) {
                stop.focus();
            }
            go.hidden = look.hidden = true;
            count(+1);
            try {
                const response = await post(path, { name });
                if (response.ok) {
                    await lines(response, told);
                    if (id !== "ended") {
                        throw new Error("the book's server has gone");
                    }
                } else {
                    throw new Error((await response.text()).trim() || `the book's server answers ${response.status}`);
                }
            } catch (error) {
                status.textContent = `not ${button === go ? doing.done : "traced"}: ${error.message}`;
                status.classList.add("run-failed");
            }
            stopCounting();
            if (dropped) {
                text.prepend(make("span", "run-build", `(${dropped} earlier lines are not shown)\n`));
            }
            count(-1);
            at.hidden = true;
            live.hidden = !text.hasChildNodes();
            const focus = stop === document.activeElement;
            stop.hidden = true;
            go.hidden = false;
            look.hidden = !traced.has(name);
            if (focus) {
                button.focus();
            }
        }

        go.addEventListener("click", () => run());
        look.addEventListener("click", () => run(look, "/api/trace"));

        stop.addEventListener("click", () => {
            if (id) {
                stop.disabled = true;
                status.textContent = "stopping";
                post("/api/stop", { id });
            }
        });

        // A fence marked `live` does not wait to be asked, but for the page of all chapters.
        if (code.classList.contains("live") && !document.documentElement.classList.contains("whole")) {
            run();
        }
    }

    for (const [mark, doing] of [["run=", RUN], ["check=", CHECK]]) {
        for (const code of document.querySelectorAll(`pre > code[class*="${mark}"]`)) {
            const name = [...code.classList].find((word) => word.startsWith(mark))?.slice(mark.length);
            if (name) {
                equip(code, name, doing);
            }
        }
    }
})();
