// The timelines: what a bar says, by pointer and by keyboard, that they zoom, and those that a page has drawn for it.
import assert from "node:assert/strict";
import fs from "node:fs";
import { COLOURS, violations } from "./axe.mjs";
import { faint } from "./figures.mjs";
import { tooWide } from "./layout.mjs";
import { LONG, NARROW, eventually, none, onPage, resize, test } from "./support.mjs";

/** What belongs to a run's Trace button. */
function traced(page, run) {
    const code = page.locator(`pre:has(> code[class~="run=${run}"])`).first();
    const box = code.locator("xpath=following-sibling::div[1]");
    return {
        look: box.getByRole("button", { name: `Trace ${run}` }),
        go: box.getByRole("button", { name: `Run ${run}` }),
        stop: box.getByRole("button", { name: `Stop ${run}` }),
        status: box.locator(".run-status"),
        output: box.getByRole("region"),
        figure: box.locator("figure"),
    };
}

export async function timelines({ browser, book, files, names, where, server }) {
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
                assert.match(wait[0], /; StoreClient::exchange, iterative\/src\/store_client\.rs:\d+$/);
            }
            assert.equal(await svg.locator(".is-chosen").count(), 1);
            await page.keyboard.press("Escape");
            assert.match(await says(), /^Point at a bar/);
            await svg.locator(".bar rect").nth(1).hover();
            assert.match(await says(), /^client 2 waits for \d+ ms$/);
            assert.equal(page.url(), address, "arrows turn no page");
        });
    });

    await test("the line that has made a call leads to its file", async () => {
        await onPage(browser, address, {}, async (page) => {
            const figure = page.locator("figure:has(svg.timeline)").first();
            const svg = figure.locator("svg.timeline");
            const says = figure.getByRole("status");
            const wait = svg.locator('.bar[data-label="recvfrom"] rect');
            await wait.first().click();
            await svg.locator(".bar rect").first().hover();
            const line = (await says.textContent()).match(/iterative\/src\/store_client\.rs:\d+$/)?.[0];
            assert.ok(line, `held by a click: ${await says.textContent()}`);
            const link = says.getByRole("link", { name: line });
            await page.keyboard.press("Escape");
            assert.equal(await says.getByRole("link").count(), 0, "nothing is chosen");
            // The same by keyboard: behind the buttons.
            await svg.focus();
            for (const key of ["ArrowDown", "ArrowDown", "ArrowDown", "ArrowDown"]) {
                await page.keyboard.press(key);
            }
            for (let n = 0; n < 60 && await link.count() === 0; n += 1) {
                await page.keyboard.press("ArrowRight");
            }
            for (let n = 0; n < 4; n += 1) {
                await page.keyboard.press("Tab");
            }
            assert.ok(await link.evaluate((link) => link === document.activeElement), "the focus is on the link");
            await page.keyboard.press("Enter");
            await page.waitForURL(`${files.address}/sources/iterative.html#src-store_client.rs`);
            assert.equal(await page.locator("#src-store_client\\.rs").count(), 1, "the file is there");
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

    await test("the completions of an operation that goes on are marked, and move with it", async () => {
        await onPage(browser, address, {}, async (page) => {
            const drawing = fs.readFileSync("static/recorded-traces/uring-loop.svg", "utf8");
            // As a page does that has it drawn.
            await page.evaluate((drawing) => {
                const figure = document.createElement("figure");
                figure.id = "added";
                const svg = new DOMParser().parseFromString(drawing, "image/svg+xml").documentElement;
                figure.append(document.importNode(svg, true));
                document.querySelector("main").append(figure);
                figure.firstElementChild.dispatchEvent(new CustomEvent("timeline-drawn", { bubbles: true }));
            }, drawing);
            const svg = page.locator("#added svg");
            const accept = svg.locator('.bar[data-label="accept"]');
            const marks = () => accept.locator(".mark").evaluateAll((all) => all.map((mark) => [
                mark.getAttribute("display"), Number(mark.getAttribute("d").match(/^M([\d.]+) /)[1]),
            ]));
            const before = await marks();
            assert.equal(before.length, 3, "three clients were accepted");
            await svg.focus();
            // To the thread, to the first operation; the middle of what is shown stays.
            for (const key of ["ArrowRight", "ArrowDown", "ArrowDown", "ArrowDown", "ArrowDown"]) {
                await page.keyboard.press(key);
            }
            const said = await page.locator("#added").getByRole("status").textContent();
            assert.match(said, /^accept.*: (still )?in flight,? for \d+ ms, with \d completions$/);
            await page.keyboard.press("+");
            assert.ok((await marks()).every(([display]) => display === "none"), "they were before that");
            await page.keyboard.press("0");
            assert.deepEqual((await marks()).map(([, x]) => x), before.map(([, x]) => x));
        });
    });

    await test("Trace draws a server while it is asked, by keyboard, where the book is served", async () => {
        const at = where(server);
        await onPage(browser, `${files.address}/${at}`, {}, async (page) => {
            assert.equal(await page.getByRole("button", { name: /^Trace/ }).count(), 0, "nothing to press where nothing runs");
        });
        await onPage(browser, `${book.address}/${at}`, {}, async (page) => {
            const { look, go, stop, status, output, figure } = traced(page, server);
            await look.focus();
            await page.keyboard.press("Enter");
            await stop.waitFor();
            assert.ok(await stop.evaluate((button) => button === document.activeElement), "the focus is on Stop");
            await eventually("it has ended", async () => /exit status|not traced|failed/.test(await status.innerText()), LONG);
            assert.match(await status.innerText(), /^exit status 0/, await output.isVisible() ? await output.innerText() : "");
            assert.ok(await look.evaluate((button) => button === document.activeElement), "the focus is on Trace again");
            assert.ok(await go.isVisible(), "and Run is beside it");
            const words = await output.innerText();
            assert.match(words, /^\$ cargo trace -p iterative --store-delay 500\nclient 1: +\d+ to +\d+ ms\n/);
            assert.match(words, /recvfrom +\d+ to +\d+ ms +client 3 +iterative\/src\/store_client\.rs:\d+/);
            const svg = figure.locator("svg.timeline");
            const says = figure.getByRole("status");
            await svg.focus();
            for (const key of ["ArrowRight", "ArrowDown", "ArrowDown"]) {
                await page.keyboard.press(key);
            }
            assert.match(await says.textContent(), /^client 3 waits for \d+ ms$/);
            const widths = () => svg.locator(".bar rect").evaluateAll((all) => all.map((bar) => bar.getAttribute("width")).join());
            const before = await widths();
            await page.keyboard.press("+");
            assert.notEqual(await widths(), before, "it zooms");
            await figure.getByRole("button", { name: "show all" }).click();
            assert.equal(await widths(), before);
            const faults = [await violations(page), await faint(page)];
            await page.emulateMedia({ colorScheme: "dark" });
            faults.push(await violations(page, COLOURS), await faint(page));
            await resize(page, NARROW);
            faults.push(await tooWide(page));
            none(faults.flat().map((fault) => [fault, at]));
        });
    });

    await test("a trace that is refused says so in one line, and draws nothing", async () => {
        const at = where(server);
        await onPage(browser, `${book.address}/${at}`, {}, async (page) => {
            const line = "trace: cannot trace a program: Operation not permitted: kernel.yama.ptrace_scope forbids it";
            const events = [
                { event: "accepted", id: "1", kernel: "Linux" }, { event: "started", command: "cargo trace -p iterative" },
                { event: "err", line }, { event: "ended", ok: false, how: "exit status 2", ms: 5 },
            ];
            const body = events.map((event) => `${JSON.stringify(event)}\n`).join("");
            await page.route("**/api/trace", (route) => route.fulfill({ contentType: "application/x-ndjson", body }));
            const { look, status, output, figure } = traced(page, server);
            await look.click();
            await eventually("it has ended", async () => /exit status 2/.test(await status.innerText()));
            assert.equal((await output.innerText()).trim(), `$ cargo trace -p iterative\n${line}`);
            assert.equal(await figure.isVisible(), false);
        });
    });
}
