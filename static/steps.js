// The step-by-step simulator: turns the recording of a loop, which stands in the page as a table and as data, into an
// element in which the reader says which system call comes next, and then sees it. Of a loop over io_uring it is the
// entry that is submitted next, and the completion.
//
// Without script, on paper, and on the page of all chapters the table stands alone.
"use strict";
(() => {
    if (document.documentElement.classList.contains("whole")) {
        return;
    }

    function make(tag, className, ...content) {
        const element = document.createElement(tag);
        element.className = className;
        element.append(...content);
        return element;
    }

    function button(name, does, keys) {
        const element = make("button", "run-button", name);
        element.type = "button";
        if (keys) {
            element.setAttribute("aria-keyshortcuts", keys);
        }
        element.addEventListener("click", does);
        return element;
    }

    function equip(box) {
        const { wait, keeps, rings, calls, rows, frames } = JSON.parse(box.querySelector("script").textContent);
        const server = box.dataset.server;
        const last = frames.length - 1;
        let at = 0;
        // What the reader has said before each call: the places of the choices, in order.
        const said = frames.map(() => []);

        // What there is to see.
        const count = make("p", "steps-count");
        const waits = make("p", "steps-waits");
        const heads = ["unread", ...(rings ? ["in flight"] : keeps ? ["interest list"] : ["events", "revents"])];
        const table = make("table", "steps-kernel");
        const over = (text, columns) => {
            const cell = make("th", "", text);
            cell.scope = columns > 1 ? "colgroup" : "col";
            cell.colSpan = columns;
            return cell;
        };
        const groups = make("tr", "", over("the world", 1), over("the kernel", keeps ? 2 : 1));
        if (!keeps) {
            groups.append(over("the array", 2));
        }
        const head = make("tr", "", ...["who", ...heads].map((name) => over(name, 1)));
        const body = make("tbody", "");
        const cells = rows.map((who) => {
            const row = make("tr", "");
            const name = make("th", "", make("b", "", who), make("span", "steps-status"));
            name.scope = "row";
            row.append(name, ...heads.map(() => make("td", "")));
            body.append(row);
            return row;
        });
        table.append(make("thead", "", groups, head), body);
        const ready = make("ol", "steps-ready");
        ready.setAttribute("aria-label", "The ready list");
        const kernel = make("div", "steps-side", table);
        const queues = ["submission", "completion"].map((name) => {
            const entries = make("ol", "steps-ready");
            entries.setAttribute("aria-label", `The ${name} queue`);
            const ends = make("span", "steps-ends");
            return { name, entries, ends, element: make("div", "steps-queue", make("p", "", make("b", "", `${name} queue`), " ", ends), entries) };
        });
        if (rings) {
            kernel.prepend(queues[0].element);
            kernel.append(queues[1].element);
        } else if (keeps) {
            kernel.append(make("div", "steps-list", make("span", "", "ready list"), ready));
        }
        const program = make("div", "steps-side", make("p", "steps-title", "the program"), box.querySelector(".steps-loop"));
        const call = make("p", "steps-call");

        // What there is to do.
        const question = make("p", "steps-question");
        question.id = `${box.id}-question`;
        const choices = [0, 1, 2, 3].map((place) => {
            const choice = button("", () => choose(place), String(place + 1));
            choice.className = "steps-choice";
            return choice;
        });
        const why = make("p", "steps-why");
        why.setAttribute("role", "status");
        const ask = make("div", "steps-ask", question, make("div", "steps-choices", ...choices), why);
        ask.setAttribute("role", "group");
        ask.setAttribute("aria-labelledby", question.id);
        const back = button("Back", () => go(at - 1), "ArrowLeft");
        const step = button("Step", () => go(at + 1), "ArrowRight");
        const end = button("To the end", () => go(last));
        const restart = button("Restart", () => {
            said.forEach((places) => { places.length = 0; });
            go(0);
        });
        const score = make("span", "steps-score");
        const key = (name) => make("kbd", "", name);
        const keys = make("span", "steps-keys", "keys: ", key("1"), " to ", key("4"), ", ", key("←"), " ", key("→"));
        const bar = make("div", "steps-bar", back, step, end, restart, keys, score);

        const log = make("div", "steps-log");
        log.tabIndex = 0;
        log.setAttribute("role", "log");
        log.setAttribute("aria-label", `What ${server} has done`);

        const recorded = box.querySelector(".table-wrapper");
        const whole = make("details", "", make("summary", "", `All ${calls} calls in a table`));
        box.prepend(
            make("div", "steps-head", count, waits), make("div", "steps-stage", kernel, program), call, ask, bar, log,
        );
        recorded.replaceWith(whole);
        whole.append(recorded);
        box.classList.add("live");
        box.setAttribute("role", "group");
        box.setAttribute("aria-label", `${server}, step by step`);
        // A click anywhere in it gives it the keys.
        box.tabIndex = -1;

        /** Whether the first thing that the reader said before the call was right; null: nothing was said. */
        function guess(n) {
            return said[n].length ? frames[n].choices[said[n][0]][2] : null;
        }

        /** The entries of a queue, behind a word; nothing, if there are none. */
        function listed(word, [, , entries]) {
            return entries.length ? [word, make("code", "", entries.map(([, what]) => what).join("; "))] : [];
        }

        function showQueues(frame) {
            queues.forEach(({ name, entries, ends }) => {
                const [head, tail, between] = frame[name];
                const [, known] = frames[at - 1]?.[name] ?? [0, 0];
                ends.textContent = `head ${head}, tail ${tail}`;
                entries.replaceChildren(...between.map(([mark, what]) =>
                    make("li", tail > known ? "new" : "", make("small", "", mark), what)));
            });
        }

        function told(n) {
            const frame = frames[n];
            const arrived = (frame.arrived ?? []).join("; ");
            const entry = make("p", "");
            if (!frame.call && !frame.does) {
                entry.append(arrived ? `Meanwhile ${arrived}.` : `${server} is about to begin.`);
                return entry;
            }
            if (frame.does) {
                entry.append(frame.does.replace(/\.$/, ""), ...listed(": ", frame.submission));
            } else if (arrived) {
                entry.append(`${arrived}. ${wait} returns `, make("code", "", frame.answer));
            } else if (frame.asleep) {
                entry.append(`${frame.step}. `, make("code", "", frame.call), ": the loop sleeps");
            } else {
                entry.append(`${frame.step}. `, make("code", "", frame.call), " = ", make("code", "", frame.answer));
            }
            if (frame.completion) {
                entry.append(...listed(", and brings ", frame.completion));
            }
            const before = frames[n - 1];
            if (before.choices) {
                const right = guess(n - 1);
                const first = right === false ? before.choices[said[n - 1][0]][0] : "";
                entry.append({ true: ". You said so.", false: `. You had said ${first}.`, null: "." }[right]);
            } else {
                entry.append(".");
            }
            return entry;
        }

        function showChoices(frame) {
            const offered = frame.choices ?? [];
            choices.forEach((choice, place) => {
                // It keeps its place, so that what is below stays where it is, but not the focus.
                const gone = place >= offered.length;
                if (gone && choice === document.activeElement) {
                    step.focus();
                }
                choice.classList.toggle("gone", gone);
                if (gone) {
                    return;
                }
                const [name, , right] = offered[place];
                const picked = said[at].includes(place);
                choice.replaceChildren(make("kbd", "", String(place + 1)), make("code", "", name));
                choice.classList.toggle("right", picked && right);
                choice.classList.toggle("wrong", picked && !right);
                if (picked) {
                    choice.append(make("span", "steps-verdict", right ? "yes" : "no"));
                }
            });
            if (offered.length) {
                question.textContent = frame.question ?? "Which system call is next?";
                const latest = offered[said[at].at(-1)];
                why.textContent = latest ? latest[1] : "";
            } else {
                question.textContent = at === last ? "The recording ends here."
                    : frame.asleep ? "The loop does nothing now. Somebody else has to."
                        : "Something arrives before the next call.";
                why.textContent = "";
            }
            const tried = said.filter((places) => places.length).length;
            const right = frames.filter((_, n) => guess(n)).length;
            score.textContent = tried ? `${right} of ${tried} predicted` : "";
        }

        function show() {
            const frame = frames[at];
            count.textContent = frame.step ? `call ${frame.step} of ${calls}` : `${calls} calls`;
            waits.textContent = frame.waits;
            box.classList.toggle("asleep", frame.asleep);
            frame.rows.forEach(([status, unread, interest, reported, marks], n) => {
                const row = cells[n];
                row.className = [...marks].map((mark) => ({ w: "is-waiting", a: "has-arrived", c: "is-called", d: "is-done" })[mark]).join(" ");
                row.cells[0].lastChild.textContent = status;
                [unread, interest, reported].slice(0, row.cells.length - 1).forEach((text, m) => {
                    row.cells[m + 1].replaceChildren(text && make("span", "steps-tag", text));
                });
            });
            const before = (frames[at - 1]?.ready ?? []).map(([who]) => who);
            ready.replaceChildren(...(frame.ready ?? []).map(([who, still]) => {
                const entry = make("li", still ? (before.includes(who) ? "" : "new") : "stale", who);
                if (!still) {
                    entry.append(make("small", "", "nothing left"));
                }
                return entry;
            }));
            if (rings) {
                showQueues(frame);
            }
            const labels = frame.labels ?? [frame.label];
            for (const part of program.querySelectorAll("[data-label]")) {
                part.classList.toggle("now", labels.includes(part.dataset.label));
            }
            call.replaceChildren();
            const news = frame.arrived ? `${frame.arrived.join("; ")}.` : "";
            if (frame.call) {
                call.append(make("span", "steps-news", news), make("code", "", frame.call), " ", frame.asleep ? make("b", "", "sleeps")
                    : make("span", "", "= ", make("code", "", frame.answer)));
            } else {
                call.append(news || frame.does || "Nothing has been called yet.");
            }
            showChoices(frame);
            back.setAttribute("aria-disabled", at === 0);
            for (const forward of [step, end]) {
                forward.setAttribute("aria-disabled", at === last);
            }
            log.scrollTop = log.scrollHeight;
        }

        function go(to) {
            const from = at;
            at = Math.min(Math.max(to, 0), last);
            if (at === from && to !== 0) {
                return;
            }
            while (log.childElementCount > at + 1) {
                log.lastChild.remove();
            }
            while (log.childElementCount < at + 1) {
                log.append(told(log.childElementCount));
            }
            show();
        }

        function choose(place) {
            const offered = frames[at].choices ?? [];
            if (place < offered.length && !said[at].some((known) => offered[known][2])) {
                said[at].push(place);
                showChoices(frames[at]);
            }
        }

        box.addEventListener("keydown", (event) => {
            const plain = !event.altKey && !event.ctrlKey && !event.metaKey && !event.shiftKey;
            // What scrolls sideways wants the arrows itself.
            if (!plain || event.target.closest("details")) {
                return;
            }
            if (event.key === "ArrowRight") {
                go(at + 1);
            } else if (event.key === "ArrowLeft") {
                go(at - 1);
            } else if (/^[1-4]$/.test(event.key)) {
                choose(Number(event.key) - 1);
            } else {
                return;
            }
            // The book's own keys turn the page.
            event.preventDefault();
            event.stopPropagation();
        });
        log.append(told(0));
        show();
    }

    document.querySelectorAll(".steps").forEach(equip);
})();
