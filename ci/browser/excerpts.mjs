// Every excerpt leads to its lines in the listing that it was taken from.
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { PHONE, none, onPage, test } from "./support.mjs";

/** How many fences of this chapter show a listing's lines and nothing else. */
function included(chapter) {
    const fences = fs.readFileSync(chapter, "utf8").matchAll(/^( *)```rust\b[^\n]*\n(.*?)^ *```$/gms);
    return [...fences].filter(([, , body]) => /^\s*\{\{#(rustdoc_)?include\s+\.\.\/listings\/[^}]+\}\}\s*$/.test(body)).length;
}

export async function excerpts({ browser, files, names }) {
    await test("every excerpt leads to its lines, marked and in view", async () => {
        const faults = [];
        const targets = new Map();
        let count = 0;
        await onPage(browser, `${files.address}/`, {}, async (page) => {
            for (const name of names) {
                const chapter = path.join("src", name.replace(/\.html$/, ".md"));
                if (name === "index.html" || !fs.existsSync(chapter)) {
                    continue;
                }
                await page.goto(`${files.address}/${name}`);
                const found = await page.locator("main .excerpt").evaluateAll((all) => all.map((excerpt) => ({
                    code: excerpt.querySelector("pre code").textContent,
                    href: excerpt.querySelector("p.from a")?.href,
                    said: excerpt.querySelector("p.from a")?.textContent,
                })));
                if (found.length !== included(chapter)) {
                    faults.push([`${found.length} excerpts for ${included(chapter)} includes`, name]);
                }
                count += found.length;
                for (const { code, href, said } of found) {
                    if (!href) {
                        faults.push([`no link below "${code.slice(0, 40)}"`, name]);
                        continue;
                    }
                    const [source, id] = href.split("#");
                    targets.set(source, [...targets.get(source) ?? [], { name, code, id, said }]);
                }
            }
            assert.ok(count > 0, "no chapter has an excerpt");
            for (const [source, wanted] of targets) {
                await page.goto(source);
                for (const { name, code, id, said } of wanted) {
                    // A click on the link, but for the way here: the page goes to the place.
                    await page.evaluate((id) => { location.hash = ""; location.hash = id; }, id);
                    const fault = await page.evaluate(lines, { id: decodeURIComponent(id), code, said });
                    if (fault) {
                        faults.push([`${said}: ${fault}`, name]);
                    }
                }
            }
        });
        none(faults);
        console.log(`  ${count} excerpts`);
    });

    await test("a click below an excerpt leads to its lines on a phone, and from there back to the chapter", async () => {
        const [name] = names.filter((name) => /class="excerpt"/.test(fs.readFileSync(path.join(files.root, name), "utf8")));
        assert.ok(name, "no chapter has an excerpt");
        await onPage(browser, `${files.address}/${name}`, { viewport: PHONE }, async (page) => {
            // One that shows lines of a file, not all of it: those are marked.
            await page.locator(".excerpt p.from a", { hasText: ", line" }).first().click();
            await page.waitForURL(/sources\/.*#/);
            await page.locator(".range:target").waitFor({ state: "attached" });
            await page.locator(`main a[href*="${name}"]`).first().click();
            await page.waitForURL(`**/${name}*`);
        });
    });
}

/** What is wrong with the place that an excerpt leads to. Runs in the page. */
function lines({ id, code, said }) {
    const range = document.querySelector(":target");
    if (range?.id !== id) {
        return `no element #${id}`;
    }
    const box = range.getBoundingClientRect();
    if (box.height < 10 || box.top < 0 || box.top > innerHeight - 20) {
        return `its lines are not in view (from ${box.top} to ${box.bottom} px)`;
    }
    const bare = (lines) => lines.map((line) => line.trim()).join("\n").trim();
    // The whole file: a link to where it begins.
    if (range.matches("section")) {
        const file = range.querySelector("pre.code code").textContent;
        return bare(file.split("\n")) === bare(code.split("\n")) ? "" : "it shows another file";
    }
    const style = getComputedStyle(range);
    if (style.backgroundColor === "rgba(0, 0, 0, 0)" && style.borderLeftStyle === "none") {
        return "its lines are not marked";
    }
    // The text under the mark, without what the reader does not see.
    const block = range.parentElement.querySelector("pre.code");
    const numbers = range.parentElement.querySelector("pre.numbers").textContent.trim().split("\n").map(Number);
    const height = parseFloat(getComputedStyle(block).lineHeight);
    const first = Math.round((box.top - block.getBoundingClientRect().top - parseFloat(getComputedStyle(block).paddingTop)) / height);
    const count = Math.round(box.height / height);
    const text = block.textContent.split("\n").slice(first, first + count);
    if (bare(text) !== bare(code.split("\n"))) {
        return `marked is\n${text.join("\n")}\nand not\n${code}`;
    }
    const [from, to] = said.match(/lines? (\d+)(?: to (\d+))?/).slice(1).map(Number);
    if (numbers[first] !== from || (to && numbers[first + count - 1] !== to)) {
        return `the numbers say ${numbers[first]} to ${numbers[first + count - 1]}`;
    }
    return "";
}
