// The theme: auto, light, dark.
import assert from "node:assert/strict";
import { faint } from "./figures.mjs";
import { PHONE, drawn, eventually, none, onPage, test } from "./support.mjs";

/** Whether the page is dark, to the eye: its background, and the browser's own parts of it. */
const dark = (page) => page.evaluate(() => {
    const colour = getComputedStyle(document.body).backgroundColor;
    const seen = colour === "rgba(0, 0, 0, 0)" ? getComputedStyle(document.documentElement).backgroundColor : colour;
    const [r, g, b] = seen.match(/[\d.]+/g).map(Number);
    return r + g + b < 3 * 128;
});

export async function themes({ browser, files, names, text }) {
    const name = names.find((name) => name !== "print.html" && text(name).includes('class="mermaid"'));
    const choose = (page, theme) => page.locator(`input[name=theme][value=${theme}]`).check();
    const becomes = (page, wanted) => eventually(`the page is ${wanted ? "dark" : "light"}`, async () => await dark(page) === wanted, 5000);

    await test("the theme is chosen, kept on the next page, and taken back; figures follow", async () => {
        assert.ok(name, "no chapter has a diagram");
        await onPage(browser, `${files.address}/${name}`, {}, async (page) => {
            const faults = [];
            const drawing = () => page.locator("pre.mermaid").first().innerHTML();
            const light = await drawing();
            assert.equal(await dark(page), false, "auto, in a light system");
            await choose(page, "dark");
            await becomes(page, true);
            await eventually("the diagrams are drawn anew", async () => await drawing() !== light);
            await drawn(page);
            faults.push(...await faint(page));
            await page.locator("a[rel=next]").click();
            await page.waitForURL((url) => !url.pathname.endsWith(name));
            assert.equal(await dark(page), true, "dark on the next page");
            assert.ok(await page.locator("input[name=theme][value=dark]").isChecked(), "and it says so");
            faults.push(...await faint(page));
            // A system that turns dark and light changes nothing now.
            await choose(page, "light");
            await becomes(page, false);
            await page.emulateMedia({ colorScheme: "dark" });
            await page.reload();
            assert.equal(await dark(page), false, "light, in a dark system");
            await choose(page, "auto");
            await becomes(page, true);
            await page.emulateMedia({ colorScheme: "light" });
            await becomes(page, false);
            await page.reload();
            assert.ok(await page.locator("input[name=theme][value=auto]").isChecked(), "auto again");
            none(faults.map((fault) => [fault, name]));
        });
    });

    await test("a dark page is never painted light first", async () => {
        await onPage(browser, `${files.address}/${name}`, { colorScheme: "light", viewport: PHONE }, async (page) => {
            await page.evaluate(() => document.querySelector("[popovertarget=book-contents]").click());
            await choose(page, "dark");
            await becomes(page, true);
            // Notes the class of the root when the parser has come to the body.
            await page.addInitScript(() => {
                new MutationObserver((_, observer) => {
                    if (document.body) {
                        window.atFirst ??= document.documentElement.className;
                        observer.disconnect();
                    }
                }).observe(document, { childList: true, subtree: true });
            });
            await page.reload();
            assert.match(await page.evaluate(() => window.atFirst), /\bdark\b/);
            await drawn(page);
        });
    });

    await test("without a place to keep the choice, the page works", async () => {
        await onPage(browser, `${files.address}/404.html`, {}, async (page) => {
            await page.addInitScript(() => {
                Object.defineProperty(window, "localStorage", { get() { throw new DOMException("denied", "SecurityError"); } });
            });
            await page.goto(`${files.address}/${name}`);
            await choose(page, "dark");
            await becomes(page, true);
        });
    });
}
