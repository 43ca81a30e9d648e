// The page's frame: colours, table of contents, scrolling blocks, copying, keys, search. The page is complete without it.
"use strict";
(() => {
    const root = document.documentElement;

    // Colours: the reader's choice, or what the system says. This part runs before anything is painted.
    const KEY = "who-waits-theme";
    const darkSystem = matchMedia("(prefers-color-scheme: dark)");

    // Not every browser lets a page store something; then the choice holds for this page.
    function remembered() {
        try {
            return localStorage.getItem(KEY) ?? "auto";
        } catch {
            return "auto";
        }
    }

    function remember() {
        try {
            localStorage.setItem(KEY, choice);
        } catch {}
    }

    let choice = remembered();

    function colour() {
        const dark = choice === "dark" || (choice !== "light" && darkSystem.matches);
        root.classList.toggle("dark", dark);
        root.classList.toggle("light", !dark);
    }

    root.classList.add("js");
    colour();
    darkSystem.addEventListener("change", colour);

    function equipTheme() {
        for (const radio of document.querySelectorAll(".theme input")) {
            radio.checked = radio.value === choice;
            radio.addEventListener("change", () => {
                choice = radio.value;
                remember();
                colour();
            });
        }
    }

    // The table of contents: this chapter's sections below its name, and both in view.
    function equipContents() {
        const contents = document.getElementById("book-contents");
        const current = contents.querySelector("[aria-current]");
        const headings = document.querySelectorAll("main > h2[id]");
        // An index has its own list.
        if (current && headings.length > 1 && headings.length < 20) {
            const list = document.createElement("ol");
            list.className = "sections";
            for (const heading of headings) {
                const link = document.createElement("a");
                link.href = `#${heading.id}`;
                link.textContent = heading.textContent;
                list.append(document.createElement("li"));
                list.lastChild.append(link);
            }
            current.after(list);
        }
        root.classList.add("ready");
        const show = () => {
            const below = current && current.offsetTop > contents.clientHeight * 0.6;
            contents.scrollTop = below ? current.offsetTop - contents.clientHeight / 3 : 0;
        };
        show();
        contents.addEventListener("toggle", show);
        contents.addEventListener("click", (event) => {
            if (event.target.closest('a[href^="#"]') && contents.matches(":popover-open")) {
                contents.hidePopover();
            }
        });
    }

    // What scrolls sideways can be reached and scrolled with the keyboard; what does not scroll is no stop on the way.
    function equipScrolling() {
        const names = { PRE: "Code", DIV: "Table" };
        const observer = new ResizeObserver((entries) => entries.forEach(({ target }) => {
            const scrolls = target.scrollWidth > target.clientWidth + 1;
            if (scrolls) {
                target.tabIndex = 0;
            } else {
                target.removeAttribute("tabindex");
            }
            // A figure has a name, its caption.
            if (target.tagName in names) {
                if (scrolls) {
                    target.setAttribute("role", "group");
                    target.setAttribute("aria-label", `${names[target.tagName]}, scrolls sideways`);
                } else {
                    target.removeAttribute("role");
                    target.removeAttribute("aria-label");
                }
            }
        }));
        for (const block of document.querySelectorAll("main :is(pre:not(.numbers, .run-output), .table-wrapper, .waits, figure)")) {
            observer.observe(block);
        }
    }

    // Copying: code, and commands without their prompts and answers. Nobody needs a copy of our output.
    function equipCopying() {
        for (const code of document.querySelectorAll("pre > code:is([class*=rust], .language-console, .language-sh, .language-toml)")) {
            const block = code.closest("pre");
            const around = block.closest(".lines") ?? document.createElement("div");
            if (!around.isConnected) {
                block.replaceWith(around);
                around.append(block);
            }
            around.classList.add("code-block");
            const button = document.createElement("button");
            button.type = "button";
            button.className = "copy";
            button.textContent = "Copy";
            button.addEventListener("click", async () => {
                const commands = code.matches(".language-console") && code.textContent.match(/^\$ .*/gm);
                const copied = commands ? commands.map((line) => `${line.slice(2)}\n`).join("") : code.textContent;
                await navigator.clipboard.writeText(copied);
                button.textContent = "Copied";
                setTimeout(() => { button.textContent = "Copy"; }, 1500);
            });
            around.append(button);
        }
    }

    // mdBook's search. Its scripts and its index are fetched when the reader opens it.
    let fetched = null;

    function fetchSearch(panel) {
        window.path_to_root = root.dataset.root;
        window.path_to_searchindex_js = panel.dataset.index;
        const scripts = panel.dataset.scripts.split(" ").map((source) => new Promise((done, failed) => {
            const script = document.createElement("script");
            script.src = source;
            script.async = false; // in this order
            script.onload = done;
            script.onerror = failed;
            document.head.append(script);
        }));
        fetched = Promise.all(scripts);
        return fetched;
    }

    function typing(event) {
        return /^(?:input|select|textarea)$/i.test(event.target.nodeName) || event.target.isContentEditable;
    }

    // Asked by mdBook's script.
    window.mdbook_something_else_has_focus = typing;

    function equipSearch() {
        const panel = document.getElementById("mdbook-search-wrapper");
        const button = document.getElementById("mdbook-search-toggle");
        if (!panel) {
            return;
        }
        // Once it is there, mdBook's script hears the button and the keys itself.
        const open = () => {
            if (!fetched) {
                fetchSearch(panel).then(() => button.click());
            }
        };
        button.addEventListener("click", open);
        document.addEventListener("keydown", (event) => {
            if (["/", "s"].includes(event.key) && plain(event) && !typing(event) && !fetched) {
                event.preventDefault();
                open();
            }
        });
        panel.querySelector(".search-close").addEventListener("click", () => button.click());
        // mdBook's script hides the panel and leaves the focus nowhere.
        new MutationObserver(([{ oldValue }]) => {
            if (!/\bhidden\b/.test(oldValue) && panel.classList.contains("hidden")) {
                button.focus();
            }
        }).observe(panel, { attributeFilter: ["class"], attributeOldValue: true });
        if (/[?&](search|highlight)=./.test(location.search)) {
            fetchSearch(panel);
        }
    }

    // The arrow keys turn the page, if nothing has the focus that could want them.
    const plain = (event) => !event.altKey && !event.ctrlKey && !event.metaKey && !event.shiftKey;

    function equipKeys() {
        document.addEventListener("keydown", (event) => {
            const way = { ArrowLeft: "prev", ArrowRight: "next" }[event.key];
            const free = [null, document.body, document.querySelector("main")].includes(document.activeElement);
            if (way && free && plain(event) && !event.defaultPrevented) {
                document.querySelector(`.turn [rel=${way}]`)?.click();
            }
        });
        // On the page for what is not there, a fragment would lead to the index.
        document.querySelector(".skip").addEventListener("click", (event) => {
            event.preventDefault();
            document.querySelector("main").focus();
        });
    }

    // On paper every answer is open.
    function equipPrinting() {
        let opened = [];
        addEventListener("beforeprint", () => {
            opened = [...document.querySelectorAll("details:not([open])")];
            opened.forEach((details) => { details.open = true; });
        });
        addEventListener("afterprint", () => opened.forEach((details) => { details.open = false; }));
    }

    // A page loads what equips charts, diagrams, a loop step by step, or a timeline (that of a run that is traced, too), if it has one.
    function equipRarities() {
        const rare = {
            "figure.chart": root.dataset.charts,
            ".claims thead": root.dataset.claims,
            "pre.mermaid": root.dataset.figures,
            ".steps": root.dataset.steps,
            "svg[data-shows], code[class*='run=']": root.dataset.timeline,
            // Only the book's own server knows how far a learner is.
            "html:has(meta[name='run-token']) #book-contents a[href$='workshop.html']": root.dataset.workshop,
        };
        for (const [what, src] of Object.entries(rare)) {
            if (document.querySelector(what)) {
                document.head.append(Object.assign(document.createElement("script"), { src }));
            }
        }
    }

    document.addEventListener("DOMContentLoaded", () => {
        equipTheme();
        equipContents();
        equipCopying();
        equipScrolling();
        equipSearch();
        equipKeys();
        equipPrinting();
        equipRarities();
    });
})();
