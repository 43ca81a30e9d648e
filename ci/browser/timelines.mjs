// The timelines: what a bar says, by pointer and by keyboard, and that they zoom.
import assert from "node:assert/strict";
import { onPage, test } from "./support.mjs";

export async function timelines({ browser, files, names }) {
    const name = "models.html";
    assert.ok(names.includes(name));
    const address = `${files.address}/${name}`;

    await test("a timeline says what each bar is, to the keyboard and to the pointer", async () => {
        await onPage(browser, address, {}, async (page) => {
            const figure = page.locator("figure:has(svg.timeline)").first();
            const svg = figure.locator("svg.timeline");
            const says = () => figure.getByRole("status").textContent();
            await svg.focus();
            await page.keyboard.press("ArrowRight");
            assert.match(await says(), /^client 1 waits for \d+ ms$/);
            await page.keyboard.press("ArrowDown");
            await page.keyboard.press("ArrowDown");
            assert.match(await says(), /^client 3 waits for \d+ ms$/);
            await page.keyboard.press("ArrowDown");
            const titles = await svg.locator(".bar title").allTextContents();
            const first = await says();
            assert.equal(titles.filter((title) => title === first).length > 0, true, first);
            const seen = new Set([first]);
            for (let n = 0; n < 60; n += 1) {
                await page.keyboard.press("ArrowRight");
                seen.add(await says());
            }
            for (const client of [1, 2, 3]) {
                const wait = [...seen].filter((line) => line.startsWith("recvfrom") && line.includes(`for client ${client}: waits`));
                assert.equal(wait.length, 1, [...seen].join("\n"));
            }
            assert.equal(await svg.locator(".is-chosen").count(), 1);
            await page.keyboard.press("Escape");
            assert.match(await says(), /^Point at a bar/);
            await svg.locator(".bar rect").nth(1).hover();
            assert.match(await says(), /^client 2 waits for \d+ ms$/);
            assert.equal(page.url(), address, "arrows turn no page");
        });
    });

    await test("a timeline zooms into the bar that is chosen, and back", async () => {
        await onPage(browser, address, {}, async (page) => {
            const figure = page.locator("figure:has(svg.timeline)").first();
            const svg = figure.locator("svg.timeline");
            const state = () => svg.evaluate((svg) => ({
                drawing: svg.innerHTML.replaceAll("is-chosen", "").replaceAll(/ class="bar( request-\d)? ?"/g, ""),
                shown: [...svg.querySelectorAll(".bar")].filter((bar) => !bar.hasAttribute("display")).length,
                ticks: [...svg.querySelectorAll(".ticks text")].map((tick) => Number(tick.textContent)),
                widest: Math.max(...[...svg.querySelectorAll(".bar:not([display]) rect")].map((rect) => Number(rect.getAttribute("width")))),
            }));
            const before = await state();
            await svg.focus();
            for (const key of ["ArrowRight", "ArrowDown", "ArrowDown", "ArrowDown", "ArrowRight", "ArrowRight"]) {
                await page.keyboard.press(key);
            }
            for (let n = 0; n < 8; n += 1) {
                await page.keyboard.press("+");
            }
            const near = await state();
            assert.ok(near.shown < before.shown, `${near.shown} of ${before.shown} bars`);
            assert.ok(near.ticks[1] - near.ticks[0] < before.ticks[1] - before.ticks[0], `${near.ticks}`);
            assert.ok(near.widest <= 634.1, "nothing is drawn beside the lane");
            await figure.getByRole("button", { name: "show all" }).click();
            assert.deepEqual(await state(), before);
        });
    });
}
