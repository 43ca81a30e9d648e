// An exercise in its chapter: its state, the Check button, what the table of contents counts; and the speaker's notes.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { COLOURS, violations } from "./axe.mjs";
import { tooWide } from "./layout.mjs";
import { LONG, NARROW, eventually, none, onPage, resize, serveBook, stop, test } from "./support.mjs";

const FOLDER = "workshop";
const NAME = "select-refill";
const PAGE = "select.html";

export async function workshop({ browser, book, files, program }) {
    await test("an exercise is checked from its page, and its state is shown there and in the contents", async () => {
        if (fs.existsSync(FOLDER)) {
            console.log(`skipped: ${FOLDER}/ is somebody's: what a learner has there is left alone`);
            return;
        }
        const say = (...words) => execFileSync(path.join(path.dirname(program), "workshop"), words, { encoding: "utf8" });
        try {
            await onPage(browser, `${book.address}/${PAGE}`, {}, async (page) => {
                const block = page.locator(`.exercise[data-exercise="${NAME}"]`);
                const go = block.getByRole("button", { name: `Check ${NAME}` });
                const [state, output, status] = [".exercise-state", ".run-output", ".run-status"].map((part) => block.locator(part));
                const count = page.locator(`#book-contents a[href$="${PAGE}"] > .exercise-count`);
                await eventually("the contents count", () => count.isVisible());
                assert.equal(await count.innerText(), "0/4");
                const check = async (says) => {
                    await go.click();
                    await eventually("the check has ended", async () => await go.isVisible() && /exit status/.test(await status.innerText()), LONG);
                    assert.match(await output.innerText(), says);
                };
                await check(/select-refill was not begun: cargo workshop start select-refill/);
                say("start", NAME);
                await check(/not yet\n\n\s+it does not print: and later: A B/);
                await eventually("it is begun", async () => await state.isVisible() && await state.innerText() === "begun");
                const file = `${FOLDER}/${NAME}/src/bin/two-pipes.rs`;
                const [, answer] = say("solution", "--anyway").split(":\n\n");
                const between = /(\/\/ EXERCISE[^\n]*\n)[^]*?(\n\s*\/\/ END OF EXERCISE)/;
                fs.writeFileSync(file, fs.readFileSync(file, "utf8").replace(between, (_, first, last) => first + answer + last));
                await check(/passed/);
                await eventually("it is passed", async () => await state.innerText() === "passed");
                assert.equal(await count.innerText(), "1/4");
                const faults = [await violations(page)];
                await page.emulateMedia({ colorScheme: "dark" });
                faults.push(await violations(page, COLOURS));
                await resize(page, NARROW);
                faults.push(await tooWide(page));
                none(faults.flat().map((fault) => [fault, PAGE]));
            });
        } finally {
            fs.rmSync(FOLDER, { recursive: true, force: true });
        }
    });

    await test("without the book's server an exercise has its text, its hints and no button", async () => {
        await onPage(browser, `${files.address}/${PAGE}`, {}, async (page) => {
            const block = page.locator(`.exercise[data-exercise="${NAME}"]`);
            assert.equal(await block.getByRole("button", { name: /^Check/ }).count(), 0);
            assert.equal(await page.locator(".exercise-count").count(), 0);
            assert.equal(await block.locator("summary").count(), 4);
        });
    });

    await test("a speaker's notes are there on request, and otherwise not", async () => {
        await onPage(browser, `${book.address}/${PAGE}`, {}, async (page) => {
            assert.equal(await page.locator(".notes").count(), 0);
        });
        const spoken = await serveBook(program, { flags: ["--notes"] });
        await onPage(browser, `${spoken.address}/${PAGE}`, {}, async (page) => {
            await page.locator(".notes > summary").click();
            const faults = [await violations(page)];
            assert.match(await page.locator(".notes").innerText(), /They leave with/);
            await page.emulateMedia({ colorScheme: "dark" });
            faults.push(await violations(page, COLOURS));
            await resize(page, NARROW);
            faults.push(await tooWide(page));
            none(faults.flat().map((fault) => [fault, PAGE]));
        });
        await stop(spoken.child);
    });
}
