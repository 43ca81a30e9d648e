// Timelines: a bar that is pointed at, or reached with the arrow keys, says what it is, and which line of a listing has made
// the call; + and - zoom. A drawing that is added later says so with an event, `timeline-drawn`, and is equipped then.
//
// Without script, on paper, and on the page of all chapters the drawing stands alone; each bar has its title.
"use strict";
(() => {
    const NS = "http://www.w3.org/2000/svg";
    const STEPS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000];
    const LETTER = 7.6;

    function draw(tag, attributes, content = "") {
        const element = document.createElementNS(NS, tag);
        Object.entries(attributes).forEach(([name, value]) => element.setAttribute(name, value));
        element.textContent = content;
        return element;
    }
    const write = (x, y, content, size = 14) =>
        draw("text", { x: x.toFixed(1), y, fill: "currentColor", "font-family": "inherit", "font-size": size }, content);

    // Where a line stands in the pages of sources, if the book has such a page: the table of contents knows.
    function source(line) {
        const [, name, file] = line?.match(/^listings\/([^/]+)\/(.+):\d+$/) ?? [];
        const page = `${document.documentElement.dataset.root ?? ""}sources/${name}.html`;
        const known = [...document.querySelectorAll("#book-contents a")].some((link) => link.getAttribute("href") === page);
        return known ? `${page}#${file.replaceAll("/", "-")}` : null;
    }

    function equip(svg) {
        const [first, last, left, right] = svg.dataset.shows.split(" ").map(Number);
        const ticks = svg.querySelector(".ticks");
        const axis = Number(ticks.dataset.axis);
        const bars = [...svg.querySelectorAll(".bar")].map((bar) => {
            const [begin, end] = bar.dataset.at.split(" ").map(Number);
            const rect = bar.querySelector("rect");
            // Completions of an operation that goes on.
            const marks = [...bar.querySelectorAll(".mark")].map((mark) => [mark, Number(mark.dataset.time)]);
            const [top, height] = ["y", "height"].map((name) => Number(rect.getAttribute(name)));
            return { bar, rect, begin, end, marks, top, height, label: bar.dataset.label };
        });
        svg.querySelectorAll(".label").forEach((label) => label.remove());
        const rows = [...new Set(bars.map(({ top }) => top))].map((top) => bars.filter((bar) => bar.top === top));
        let shown = [first, last];
        let chosen = null;
        // By a click: then the pointer can go to the link without choosing another one on its way.
        let held = false;

        const x = (time) => {
            const part = (time - shown[0]) / (shown[1] - shown[0]);
            return left + Math.min(1, Math.max(0, part)) * (right - left);
        };

        function redraw() {
            for (const { bar, rect, begin, end, marks, top, height, label } of bars) {
                bar.querySelector("text")?.remove();
                const out = end <= shown[0] || begin >= shown[1];
                if (out) {
                    bar.setAttribute("display", "none");
                } else {
                    bar.removeAttribute("display");
                }
                const width = Math.max(x(end) - x(begin), label ? 2 : 1.2);
                rect.setAttribute("x", x(begin).toFixed(1));
                rect.setAttribute("width", width.toFixed(1));
                for (const [mark, time] of marks) {
                    mark.setAttribute("d", `M${x(time).toFixed(1)} ${top}v${height}`);
                    mark.setAttribute("display", time < shown[0] || time > shown[1] ? "none" : "inline");
                }
                if (label && width > label.length * LETTER + 8) {
                    const text = height < 20 ? write(x(begin) + 5, top + 11.5, label, 12) : write(x(begin) + 5, top + 15, label);
                    // In the colour of the page, not of the request.
                    text.setAttribute("fill", "var(--ink)");
                    bar.append(text);
                }
            }
            const span = (shown[1] - shown[0]) / 1e3;
            const step = STEPS.find((step) => span / step <= 8) ?? 5000;
            ticks.replaceChildren();
            for (let n = Math.ceil(Math.max(0, shown[0] / 1e3) / step); n * step <= shown[1] / 1e3; n += 1) {
                const place = x(n * step * 1e3);
                const says = String(Number((n * step).toFixed(3)));
                ticks.append(
                    draw("path", { d: `M${place.toFixed(1)} 28V${axis}`, stroke: "currentColor", "stroke-opacity": 0.25 }),
                    write(place - (LETTER / 2) * says.length, axis + 18, says),
                );
            }
        }

        const says = document.createElement("p");
        says.className = "timeline-says";
        says.setAttribute("role", "status");
        const help = "Point at a bar (a click holds it), or choose one with the arrow keys. + and − zoom, 0 shows all.";
        says.textContent = help;

        // What a bar says. The line at its end leads to the file.
        function say({ bar }) {
            const text = bar.querySelector("title").textContent;
            const page = source(bar.dataset.line);
            const line = bar.dataset.line?.replace(/^listings\//, "");
            if (!page || !text.endsWith(line)) {
                says.textContent = text;
                return;
            }
            const link = document.createElement("a");
            link.href = page;
            link.textContent = line;
            says.replaceChildren(text.slice(0, -line.length), link);
        }

        function choose(bar) {
            chosen?.bar.classList.remove("is-chosen");
            chosen = bar;
            chosen?.bar.classList.add("is-chosen");
            if (bar) {
                say(bar);
            } else {
                held = false;
                says.textContent = help;
            }
            // It is brought into what is shown.
            if (bar && (bar.end <= shown[0] || bar.begin >= shown[1])) {
                const half = (shown[1] - shown[0]) / 2;
                look(bar.begin - half, bar.begin + half);
            }
        }

        function look(from, to) {
            const span = Math.min(last - first, Math.max(50, to - from));
            const begin = Math.min(Math.max(first, from), last - span);
            shown = [begin, begin + span];
            redraw();
        }

        function zoom(factor) {
            const clipped = chosen && [Math.max(chosen.begin, shown[0]), Math.min(chosen.end, shown[1])];
            const middle = clipped ? (clipped[0] + clipped[1]) / 2 : (shown[0] + shown[1]) / 2;
            const half = ((shown[1] - shown[0]) * factor) / 2;
            look(middle - half, middle + half);
        }

        const row = () => rows.findIndex((row) => row.includes(chosen));
        function along(by) {
            const bars = rows[Math.max(0, row())];
            const at = bars.indexOf(chosen);
            choose(bars[Math.min(bars.length - 1, Math.max(0, at + by))]);
        }
        function across(by) {
            const to = rows[Math.min(rows.length - 1, Math.max(0, row() + by))];
            // The one that goes on at the same time, or comes next.
            const time = chosen ? Math.max(chosen.begin, shown[0]) : first;
            choose(to.find((bar) => bar.end > time) ?? to.at(-1));
        }

        const keys = {
            ArrowRight: () => along(1),
            ArrowLeft: () => along(-1),
            ArrowDown: () => across(1),
            ArrowUp: () => across(-1),
            "+": () => zoom(1 / 2),
            "=": () => zoom(1 / 2),
            "-": () => zoom(2),
            0: () => look(first, last),
            Escape: () => choose(null),
        };
        svg.tabIndex = 0;
        svg.setAttribute("role", "group");
        svg.setAttribute("aria-roledescription", "timeline");
        svg.addEventListener("keydown", (event) => {
            if (event.ctrlKey || event.altKey || event.metaKey || !Object.hasOwn(keys, event.key)) {
                return;
            }
            // The page is not to scroll. (It turns by these keys only when nothing has the focus.)
            event.preventDefault();
            keys[event.key]();
        });
        for (const bar of bars) {
            bar.bar.addEventListener("pointerenter", () => held || choose(bar));
        }
        svg.addEventListener("click", ({ target }) => {
            const bar = bars.find((bar) => bar.bar.contains(target));
            held = Boolean(bar) && !(held && bar === chosen);
            if (bar) {
                choose(bar);
            }
        });

        const tools = document.createElement("div");
        tools.className = "timeline-tools";
        for (const [name, does, label] of [["+", keys["+"], "zoom in"], ["−", keys["-"], "zoom out"], ["all", keys[0], "show all"]]) {
            const button = document.createElement("button");
            button.type = "button";
            button.className = "run-button";
            button.textContent = name;
            button.setAttribute("aria-label", label);
            button.addEventListener("click", does);
            tools.append(button);
        }
        tools.append(says);
        svg.after(tools);
        redraw();
    }

    if (!document.documentElement.classList.contains("whole")) {
        document.querySelectorAll("svg.timeline").forEach(equip);
        document.addEventListener("timeline-drawn", ({ target }) => equip(target));
    }
})();
