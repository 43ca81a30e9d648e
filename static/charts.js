// Charts: a point that is pointed at, or reached with the arrow keys, says what it is; curves and layers come and go.
//
// What a point says stands in the table behind the drawing. Without script, on paper, and on the page of all chapters
// the drawing stands alone, with its legend. The same file works in a report, without the book's other scripts.
"use strict";
(() => {
    const NS = "http://www.w3.org/2000/svg";
    const HELP = "Point at a curve, or choose a point with the arrow keys.";
    /** In units of the drawing: from here a point is not meant. */
    const FAR = 45;
    const LAYERS = { book: "the book", reader: "yours", past: "2019" };

    function element(tag, attributes, ...content) {
        const made = document.createElement(tag);
        Object.entries(attributes).forEach(([name, value]) => made.setAttribute(name, value));
        made.append(...content);
        return made;
    }

    /** A line and a mark, as in the drawing. */
    function key({ group, shape }) {
        const svg = document.createElementNS(NS, "svg");
        const look = [...group.classList].filter((name) => name !== "chart-curve");
        svg.setAttribute("class", ["chart-key", ...look].join(" "));
        const attributes = { viewBox: "0 0 44 16", "aria-hidden": "true", fill: "none", stroke: "currentColor", "stroke-width": 2 };
        Object.entries(attributes).forEach(([name, value]) => svg.setAttribute(name, value));
        const line = group.querySelector(".chart-line").cloneNode();
        line.setAttribute("d", "M1 8H43");
        svg.append(line);
        if (shape) {
            const mark = document.createElementNS(NS, "path");
            mark.setAttribute("class", "chart-mark");
            mark.setAttribute("d", `M22 8${shape}`);
            svg.append(mark);
        }
        return svg;
    }

    /** The curves of a chart, from the drawing and the table. */
    function curvesOf(figure, svg, hasLayers) {
        const { x: by, y: what } = svg.dataset;
        return [...svg.querySelectorAll(".chart-curve")].map((group) => {
            const { series: number, name, layer } = group.dataset;
            const head = figure.querySelector(`th[data-series="${number}"]`);
            const { rows } = head.closest("table").tBodies[0];
            const whose = hasLayers ? ` (${LAYERS[layer]})` : "";
            const says = (mark) => {
                const row = rows[mark.dataset.row];
                const cell = row.cells[head.cellIndex];
                const x = row.cells[0].textContent;
                const [y, range, note] = [cell.firstChild.data.trim(), cell.querySelector("small"), cell.querySelector("i")];
                const unit = x === "1" ? by.replace(/^(\w+)s\b/, "$1") : by;
                return [
                    `${name}${whose}: ${y === "–" ? "nothing measured" : `${y} ${what}`} at ${x} ${unit}`,
                    range && `rounds from ${range.textContent.replace("–", " to ")}`,
                    note?.textContent,
                ].filter(Boolean).join("; ");
            };
            const points = [...group.querySelectorAll("[data-row]")].map((mark) => {
                const [, x, y] = mark.getAttribute("d").match(/^M([\d.]+) ([\d.]+)/);
                return { number, x: Number(x), y: Number(y), says: () => says(mark) };
            });
            const plain = group.querySelector(".chart-marks path:not(.chart-noted)");
            const shape = plain?.getAttribute("d").replace(/^M[\d.]+ [\d.]+/, "");
            const label = svg.querySelector(`.chart-names [data-series="${number}"]`);
            group.removeAttribute("display");
            return { number, name, layer, group, points, shape, label, isOn: true };
        });
    }

    /** Places at least a step apart, near to the wanted ones, which are in order. As `labels.rs` does it. */
    function spread(wanted, step, top, bottom) {
        const room = Math.min(step, (bottom - top) / Math.max(1, wanted.length - 1));
        const groups = [];
        const start = ({ sum, count }) => Math.max(top, Math.min(sum / count, bottom - (count - 1) * room));
        for (const want of wanted) {
            groups.push({ sum: want, count: 1 });
            while (groups.length > 1) {
                const [above, below] = groups.slice(-2);
                if (start(below) - start(above) >= above.count * room) {
                    break;
                }
                const sum = above.sum + below.sum - below.count * above.count * room;
                groups.splice(-2, 2, { sum, count: above.count + below.count });
            }
        }
        return groups.flatMap((group) => Array.from({ length: group.count }, (_, n) => start(group) + n * room));
    }

    function equip(figure) {
        const svg = figure.querySelector(".chart-drawing");
        const [right, bottom] = svg.dataset.frame.split(" ").map(Number);
        const layers = ["book", "reader", "past"].filter((layer) => svg.querySelector(`[data-layer="${layer}"]`));
        const curves = curvesOf(figure, svg, layers.length > 1);
        const layerIsOn = Object.fromEntries(layers.map((layer) => [layer, layer !== "past"]));
        const isShown = (curve) => curve.isOn && layerIsOn[curve.layer];
        let chosen = null;
        /** Where a reader goes up and down, also past curves that have nothing there. */
        let column = 0;

        /** The names beside the plot, each by its curve, as close as its letters allow. */
        function name() {
            const letters = parseFloat(getComputedStyle(svg).fontSize);
            const twins = (curve) => curve.layer === "book"
                && curves.some((other) => other.layer === "reader" && other.name === curve.name && isShown(other));
            const beside = [];
            for (const curve of curves.filter(({ label }) => label)) {
                const isNamed = isShown(curve) && !twins(curve);
                curve.label.removeAttribute("display");
                curve.label.classList.toggle("is-off", !isNamed);
                if (isNamed && curve.label.dataset.from) {
                    const [x, y] = curve.label.dataset.from.split(" ").map(Number);
                    beside.push({ x, y, label: curve.label });
                }
            }
            beside.sort((one, other) => one.y - other.y);
            spread(beside.map(({ y }) => y), letters * 1.1, letters / 2, bottom).forEach((place, n) => {
                const { x, y, label } = beside[n];
                label.querySelector("text").setAttribute("y", place.toFixed(1));
                label.querySelector("path").setAttribute("d", `M${x + 6} ${y} ${right + 10} ${place.toFixed(1)}`);
            });
        }

        const ring = document.createElementNS(NS, "circle");
        ring.setAttribute("class", "chart-ring is-off");
        ring.setAttribute("r", 9);
        svg.append(ring);
        const says = element("p", { class: "chart-says", role: "status" }, HELP);

        /** One curve before the others; none if it is null. */
        function lift(number) {
            svg.classList.toggle("has-chosen", number !== null);
            for (const { group, label, number: one } of curves) {
                group.classList.toggle("is-chosen", one === number);
                label?.classList.toggle("is-chosen", one === number);
            }
        }

        function choose(point) {
            if (point === chosen) {
                return;
            }
            chosen = point;
            lift(point?.number ?? null);
            ring.classList.toggle("is-off", !point);
            if (point) {
                ring.setAttribute("cx", point.x);
                ring.setAttribute("cy", point.y);
            }
            says.textContent = point?.says() ?? HELP;
        }

        function start(point) {
            column = point?.x ?? 0;
            choose(point);
        }

        const shown = () => curves.filter((curve) => isShown(curve) && curve.points.length);
        const nearest = (points, far) => points.reduce((best, point) => (far(point) < far(best) ? point : best));
        const curve = () => shown().find(({ number }) => number === chosen?.number);
        const first = () => start(shown()[0]?.points[0] ?? null);

        function along(by) {
            const points = curve()?.points;
            if (!points) {
                first();
                return;
            }
            const at = points.indexOf(chosen) + by;
            start(points[Math.min(points.length - 1, Math.max(0, at))]);
        }

        /** To the curve that is next above or below, at this load or the nearest that it has. */
        function across(by) {
            if (!curve()) {
                first();
                return;
            }
            const points = shown().map((one) =>
                (one === curve() ? chosen : nearest(one.points, ({ x }) => Math.abs(x - column))));
            points.sort((one, other) => other.y - one.y || one.number - other.number);
            choose(points[Math.min(points.length - 1, Math.max(0, points.indexOf(chosen) + by))]);
        }

        const keys = {
            ArrowRight: () => along(1),
            ArrowLeft: () => along(-1),
            ArrowDown: () => across(-1),
            ArrowUp: () => across(1),
            Home: () => along(-Infinity),
            End: () => along(Infinity),
            Escape: () => choose(null),
        };
        svg.tabIndex = 0;
        svg.setAttribute("role", "group");
        svg.setAttribute("aria-roledescription", "chart");
        svg.addEventListener("keydown", (event) => {
            if (event.ctrlKey || event.altKey || event.metaKey || !Object.hasOwn(keys, event.key)) {
                return;
            }
            // The page is not to scroll.
            event.preventDefault();
            keys[event.key]();
        });
        function point(event) {
            const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
            const points = shown().flatMap(({ points }) => points);
            const far = ({ x, y }) => Math.hypot(x - at.x, y - at.y);
            const best = points.length ? nearest(points, far) : null;
            start(best && far(best) < FAR ? best : null);
        }
        svg.addEventListener("pointermove", point);
        svg.addEventListener("click", point);
        svg.addEventListener("pointerleave", (event) => {
            // What was chosen by a finger or by keys stays.
            if (event.pointerType === "mouse" && document.activeElement !== svg) {
                choose(null);
            }
        });

        function refresh() {
            for (const one of curves) {
                const { group, number } = one;
                const isOff = !isShown(one);
                group.classList.toggle("is-off", isOff);
                figure.querySelector(`.chart-legend li[data-series="${number}"]`)?.classList.toggle("is-off", isOff);
            }
            if (chosen && !curve()) {
                choose(null);
            }
            name();
        }

        function toggle(label, isPressed, does, attributes = {}) {
            const button = element("button", { type: "button", "aria-pressed": isPressed, ...attributes }, ...label);
            button.addEventListener("click", () => {
                const isOn = button.getAttribute("aria-pressed") !== "true";
                button.setAttribute("aria-pressed", isOn);
                does(isOn);
                refresh();
            });
            return button;
        }

        function row(layer) {
            const buttons = curves.filter((curve) => curve.layer === layer).map((curve) => {
                const button = toggle([key(curve), curve.name], true, (isOn) => { curve.isOn = isOn; });
                const look = () => isShown(curve) && lift(curve.number);
                const leave = () => lift(chosen?.number ?? null);
                button.addEventListener("pointerenter", look);
                button.addEventListener("focus", look);
                button.addEventListener("pointerleave", leave);
                button.addEventListener("blur", leave);
                return button;
            });
            const made = element("div", { class: "chart-row", role: "group", "aria-label": `Curves: ${LAYERS[layer]}` });
            if (layers.length > 1) {
                const hide = (isOn) => buttons.forEach((button) => { button.hidden = !isOn; });
                made.append(toggle([LAYERS[layer]], layerIsOn[layer], (isOn) => {
                    layerIsOn[layer] = isOn;
                    hide(isOn);
                }, { class: "chart-switch" }));
                hide(layerIsOn[layer]);
            }
            made.append(...buttons);
            return made;
        }

        // On paper the legend names what is shown, and those of 2019 are not in it yet.
        const past = curves.filter(({ layer }) => layer === "past");
        if (past.length) {
            const items = past.map((curve) => element("li", { "data-series": curve.number }, key(curve), `${curve.name} (2019)`));
            figure.querySelector(".chart-legend").append(element("ul", {}, ...items));
        }
        const tools = element("div", { class: "chart-tools" }, says, ...layers.map(row));
        svg.after(tools);
        figure.classList.add("live");
        refresh();
        new ResizeObserver(name).observe(figure);
    }

    if (!document.documentElement.classList.contains("whole")) {
        document.querySelectorAll("figure.chart").forEach(equip);
    }
})();
