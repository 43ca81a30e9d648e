// Added by the book's server to the pages that it serves: shows a new build, or why there is none.
"use strict";
(() => {
    const shown = document.querySelector('meta[name="book-version"]').content;
    let source = null;

    // A line of its own at the lower edge, by `id`; none if there is no text.
    function note(id, colours, text) {
        document.getElementById(id)?.remove();
        if (!text) {
            return null;
        }
        const box = document.createElement("div");
        box.id = id;
        box.setAttribute("role", "alert");
        Object.assign(box.style, {
            position: "fixed", inset: "auto 0 0 0", zIndex: 1000, maxHeight: "50vh", overflow: "auto",
            boxSizing: "border-box", padding: "1rem 1.5rem", font: "14px/1.5 monospace", whiteSpace: "pre-wrap",
            overflowWrap: "anywhere", ...colours,
        });
        box.textContent = text;
        document.body.append(box);
        return box;
    }

    function show({ version, error }) {
        const red = { background: "#3b1010", color: "#fff", borderTop: "3px solid #e0564a" };
        note("book-error", red, error && `The book does not build. What you see is the last build that did.\n\n${error}`);
        if (version === shown) {
            return;
        }
        if (!document.documentElement.hasAttribute("data-running")) {
            location.reload();
            return;
        }
        // Reloading would end what runs on this page.
        const grey = { background: "#333", color: "#fff", borderTop: "3px solid #999" };
        const box = note("book-changed", grey, "The book has changed. ");
        const reload = document.createElement("button");
        reload.type = "button";
        reload.textContent = "Reload, and end what runs here";
        reload.addEventListener("click", () => location.reload());
        box.append(reload);
    }

    function listen() {
        source = new EventSource("/api/events");
        source.onmessage = (message) => show(JSON.parse(message.data));
    }

    // A browser opens few connections to one address; a page that nobody looks at needs none.
    function decide() {
        if (document.hidden) {
            source?.close();
            source = null;
        } else if (!source) {
            listen();
        }
    }
    document.addEventListener("visibilitychange", decide);
    decide();
})();
