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

    // What a colour of the page is at present.
    const probe = document.body.appendChild(document.createElement("span"));
    probe.hidden = true;
    function colour(name) {
        probe.style.color = `var(${name})`;
        return getComputedStyle(probe).color;
    }

    async function draw() {
        const theme = root.classList.contains("dark") ? "dark" : "light";
        if (!window.mermaid || drawn === theme) {
            return;
        }
        drawn = theme;
        const [ink, paper, box, line] = ["--ink", "--paper", "--sunk", "--line"].map(colour);
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
    }

    // book.js loads this when the document is there, and mermaid, which is deferred, with it.
    draw();
    new MutationObserver(draw).observe(root, { attributeFilter: ["class"] });
})();
