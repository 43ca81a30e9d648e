// Draws the diagrams (mermaid) in the colours of the page's theme, and again when the theme changes.
//
// `cargo book` puts mermaid itself into the pages that have a diagram. Without it the diagram's text stays.
"use strict";
(() => {
    const figures = [...document.querySelectorAll("pre.mermaid")].map((element) => ({
        element,
        source: element.textContent,
    }));
    if (!figures.length) {
        return;
    }
    const root = document.documentElement;
    let drawn = "";

    async function draw() {
        const theme = [...root.classList].find((name) => ["light", "rust", "coal", "navy", "ayu"].includes(name));
        if (!window.mermaid || drawn === theme) {
            return;
        }
        drawn = theme;
        const style = getComputedStyle(root);
        const colour = (name) => style.getPropertyValue(name).trim();
        const [ink, paper, box, line] = ["--fg", "--bg", "--quote-bg", "--quote-border"].map(colour);
        window.mermaid.initialize({
            startOnLoad: false,
            securityLevel: "strict",
            theme: "base",
            fontFamily: getComputedStyle(document.body).fontFamily,
            // In its own size: on a phone one scrolls sideways and can read it.
            flowchart: { useMaxWidth: false },
            sequence: { useMaxWidth: false },
            state: { useMaxWidth: false },
            themeVariables: {
                background: paper,
                primaryColor: box,
                primaryTextColor: ink,
                primaryBorderColor: ink,
                secondaryColor: box,
                tertiaryColor: paper,
                lineColor: ink,
                textColor: ink,
                noteBkgColor: paper,
                noteTextColor: ink,
                noteBorderColor: ink,
                edgeLabelBackground: paper,
                clusterBkg: paper,
                clusterBorder: line,
            },
        });
        for (const { element, source } of figures) {
            element.textContent = source;
            element.removeAttribute("data-processed");
        }
        await window.mermaid.run({ nodes: figures.map(({ element }) => element) });
        for (const { element } of figures) {
            // What scrolls can be reached, and scrolled, with the keyboard.
            const scrolls = element.scrollWidth > element.clientWidth;
            element.tabIndex = scrolls ? 0 : -1;
            element.onkeydown = scrolls ? (event) => event.stopPropagation() : null;
        }
    }

    // mermaid is loaded with `defer`: it is there when the document is.
    document.addEventListener("DOMContentLoaded", () => {
        draw();
        new MutationObserver(draw).observe(root, { attributeFilter: ["class"] });
    });
})();
