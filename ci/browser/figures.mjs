// Text in figures: axe does not look into SVG.

/** The text in figures that cannot be read on what is painted under it: below 4.5 to 1, as WCAG counts. */
export const faint = (page) => page.evaluate(() => {
    const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
    // Colours in any notation, painted one over the other from the bottom up.
    const mixed = (colours) => {
        canvas.fillStyle = "white";
        canvas.fillRect(0, 0, 1, 1);
        for (const colour of colours) {
            canvas.fillStyle = colour;
            canvas.fillRect(0, 0, 1, 1);
        }
        return [...canvas.getImageData(0, 0, 1, 1).data.slice(0, 3)];
    };
    const luminance = (colour) => {
        const [r, g, b] = colour.map((value) => value / 255)
            .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const contrast = (one, other) => {
        const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
        return (high + 0.05) / (low + 0.05);
    };
    const shapes = ["rect", "circle", "ellipse", "path", "polygon"];
    const painted = (element) => {
        const style = getComputedStyle(element);
        if (element instanceof SVGElement) {
            return shapes.includes(element.localName) && style.fill !== "none"
                ? style.fill.replace(/^rgb\((.*)\)$/, `rgba($1, ${style.fillOpacity})`) : null;
        }
        return style.backgroundColor;
    };
    const faults = [];
    for (const svg of document.querySelectorAll("main svg")) {
        const labels = [...svg.querySelectorAll("text, foreignObject *")].filter((label) =>
            [...label.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim()));
        for (const label of [...labels, ...svg.querySelectorAll("tspan")]) {
            label.scrollIntoView({ block: "center", inline: "center" });
            const box = label.getBoundingClientRect();
            const style = getComputedStyle(label);
            const ink = label instanceof SVGElement ? style.fill : style.color;
            const under = document.elementsFromPoint(box.x + box.width / 2, box.y + box.height / 2)
                .filter((element) => element !== label && !label.contains(element)).map(painted).filter(Boolean).reverse();
            const paper = mixed([getComputedStyle(document.documentElement).backgroundColor, ...under]);
            const ratio = contrast(mixed([`rgb(${paper})`, ink]), paper);
            if (ratio < 4.5) {
                faults.push(`"${label.textContent.trim().slice(0, 30)}" in a figure: ${ratio.toFixed(1)} to 1`);
            }
        }
    }
    return faults;
});
