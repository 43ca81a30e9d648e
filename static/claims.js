// The page of the claims, served locally: the verdicts of the reader's own kernel, beside the others, as the run on that page prints them.
"use strict";
(() => {
    const heads = document.querySelectorAll(".claims thead tr");
    if (!heads.length || !document.querySelector('meta[name="run-token"]')) {
        return;
    }
    const yours = [...heads].map((head) => {
        const cell = head.appendChild(document.createElement("th"));
        cell.scope = "col";
        cell.textContent = "yours";
        head.closest("table").querySelectorAll("tbody tr").forEach((row) => row.insertCell().className = "unknown");
        return cell;
    });
    const words = { "holds": ["yes", "yes"], "does not hold": ["no", "no"], "cannot tell": ["unknown", "–"] };

    document.addEventListener("run-line", ({ detail: line }) => {
        const release = /^Linux ([0-9]+\.[0-9]+)/.exec(line);
        if (release) {
            yours.forEach((cell) => cell.replaceChildren(release[1], document.createElement("br"), "yours"));
            return;
        }
        const [, says, id, why] = /^(holds|does not hold|cannot tell) +(\S+) *(.*)$/.exec(line) ?? [];
        const row = id && document.querySelector(`.claims tr[id="${id}"]`);
        if (row) {
            const cell = row.cells[row.cells.length - 1];
            [cell.className, cell.textContent] = words[says];
            cell.title = why;
        }
    });
})();
