// How far the learner is, beside each exercise and each chapter. Only the book's own server (`cargo book`) knows.
"use strict";
(() => {
    if (!document.querySelector('meta[name="run-token"]')) {
        return;
    }
    const words = { open: "begun", passed: "passed", skipped: "left out" };

    function mark(place, className, text) {
        let badge = place.querySelector(`.${className}`);
        if (!badge) {
            badge = document.createElement("span");
            badge.className = className;
            place.append(" ", badge);
        }
        badge.textContent = text;
        return badge;
    }

    // Beside an exercise stands its state, beside a chapter how many of its exercises are passed.
    function show(all) {
        const chapters = new Map();
        for (const { name, chapter, state } of all) {
            const block = document.querySelector(`.exercise[data-exercise="${name}"] > .exercise-about`);
            if (block && words[state]) {
                mark(block, "exercise-state", words[state]).dataset.state = state;
            }
            const count = chapters.get(chapter) ?? { passed: 0, all: 0 };
            count.passed += state === "passed";
            count.all += 1;
            chapters.set(chapter, count);
        }
        for (const link of document.querySelectorAll("#book-contents li > a")) {
            const count = chapters.get(link.getAttribute("href").split("/").pop());
            if (count) {
                const badge = mark(link, "exercise-count", `${count.passed}/${count.all}`);
                badge.setAttribute("aria-label", `${count.passed} of ${count.all} exercises passed`);
                badge.setAttribute("role", "img");
            }
        }
    }

    async function ask() {
        const response = await fetch("/api/workshop");
        if (response.ok) {
            show(await response.json());
        }
    }

    document.addEventListener("run-ended", (event) => {
        if (event.target.closest(".exercise")) {
            ask();
        }
    });
    ask();
})();
