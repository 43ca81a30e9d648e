// The search.
import assert from "node:assert/strict";
import path from "node:path";
import { DESK, eventually, none, onPage, test } from "./support.mjs";

/** Among how many of the twenty results a system call's entry of the index is, and a chapter that names it. "poll(2)" is the
 *  worst: the index has a "2" in every entry, and "poll" is everywhere. */
const ENTRY = 12;
const CHAPTER = 10;

export async function search({ browser, files, names }) {
    await test("the search, by keyboard: opened, used, closed; nothing of it is loaded before", async () => {
        const name = names.find((name) => name.startsWith("a-read"));
        await onPage(browser, `${files.address}/${name}`, {}, async (page) => {
            const early = page.loaded.map((response) => path.basename(response.url())).filter((file) => /search|elasticlunr|mark-/.test(file));
            assert.deepEqual(early, [], "loaded before the search is opened");
            const bar = page.locator("#mdbook-searchbar");
            const focused = (locator) => locator.evaluate((element) => element === document.activeElement);
            assert.equal(await bar.isVisible(), false, "it is closed at first");
            const opener = page.locator("#mdbook-search-toggle");
            await opener.focus();
            await page.keyboard.press("Enter");
            await eventually("the search has the focus", () => focused(bar));
            await page.keyboard.press("Escape");
            await eventually("it is closed", async () => !await bar.isVisible());
            assert.ok(await focused(opener), "the focus is where it was");
            await page.keyboard.press("/");
            await eventually("the search has the focus", () => focused(bar));
            await page.keyboard.type("guestbook");
            const results = page.locator("#mdbook-searchresults a");
            await results.first().waitFor();
            for (let pressed = 0; pressed < 5 && !await focused(results.first()); pressed += 1) {
                await page.keyboard.press("Tab");
            }
            assert.ok(await focused(results.first()), "Tab reaches the first result");
            const to = new URL(await results.first().getAttribute("href"), page.url());
            await page.keyboard.press("Enter");
            await page.waitForURL((url) => url.pathname === to.pathname);
        });
    });

    await test("the search finds each system call by its name: its entry in the index, and where the text speaks of it", async () => {
        const faults = [];
        await onPage(browser, `${files.address}/system-calls.html`, {}, async (page) => {
            // From the index: the names, and for each whether the text speaks of it, and the chapters.
            const calls = await page.locator("main h2[id]").evaluateAll((headings) => headings.map((heading) => {
                const chapters = [];
                let named = false;
                for (let next = heading.nextElementSibling; next && next.localName !== "h2"; next = next.nextElementSibling) {
                    for (const place of next.querySelectorAll("li")) {
                        named ||= place.textContent.includes("named in");
                        chapters.push(place.querySelector("a").getAttribute("href"));
                    }
                }
                // Other names of the same call stand beside it.
                const names = [heading.id, ...[...heading.querySelectorAll("code")].map((code) => code.textContent)];
                return { id: heading.id, names: [...new Set(names)], named, chapters };
            }));
            assert.ok(calls.length > 20 && calls.some(({ id }) => id === "accept4"), `few calls: ${calls.length}`);
            const bar = page.locator("#mdbook-searchbar");
            await page.keyboard.press("/");
            await bar.waitFor();
            for (const { id, names, named, chapters } of calls) {
                let spoken = false;
                for (const typed of names.flatMap((name) => [name, `${name}(2)`])) {
                    await bar.fill(typed);
                    await page.keyboard.press("End");
                    const header = page.locator("#mdbook-searchresults-header", { hasText: `'${typed}'` });
                    if (!await header.waitFor({ timeout: 2000 }).then(() => true, () => false)) {
                        faults.push(["no answer", typed]);
                        continue;
                    }
                    const found = await page.locator("#mdbook-searchresults li a[href*='.html']").evaluateAll((links) =>
                        links.map((link) => new URL(link.href)).map(({ pathname, hash }) => pathname.slice(1) + hash));
                    // Before it may stand what is named like the call: a step of a server, a chapter.
                    const word = typed.replace("(2)", "");
                    const others = found.filter((at) => at.startsWith("system-calls.html") || !at.endsWith(`#${word}`) && !at.startsWith(`${word}.html`));
                    const place = others.indexOf(`system-calls.html#${id}`);
                    if (place < 0 || place >= ENTRY) {
                        faults.push([`its entry is ${place < 0 ? "not found" : `number ${place + 1}`}`, typed]);
                    }
                    if (found.some((page) => page.startsWith("sources/"))) {
                        faults.push(["finds listings, which drown the chapters", typed]);
                    }
                    spoken ||= found.slice(0, CHAPTER).some((page) => chapters.includes(page.split("#")[0]));
                }
                // Under one of its names.
                if (named && !spoken) {
                    faults.push([`no chapter that speaks of it among the first ${CHAPTER}`, id]);
                }
            }
        });
        none(faults);
    });

    await test("from the search to a system call, and on to a chapter", () => onPage(browser, `${files.address}/index.html`, {}, async (page) => {
        await page.keyboard.press("/");
        await page.locator("#mdbook-searchbar").waitFor();
        await page.locator("#mdbook-searchbar").pressSequentially("accept4");
        await page.locator("#mdbook-searchresults a").first().click();
        await page.waitForURL(/system-calls\.html.*#accept4$/);
        const top = await page.locator("h2#accept4").evaluate((heading) => heading.getBoundingClientRect().top);
        assert.ok(top >= 0 && top < DESK.height, `the heading is at ${top} px`);
        await page.locator("h2#accept4 ~ ul").first().getByRole("link", { name: "Fifteen lines" }).click();
        await page.waitForURL(/iterative\.html#fifteen-lines$/);
    }));
}
