// The Run button, the server that a page starts, and the page that follows the book.
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { COLOURS, violations } from "./axe.mjs";
import { walk } from "./keyboard.mjs";
import { tooWide } from "./layout.mjs";
import { LONG, NARROW, answers, descendants, eventually, none, onPage, resize, serveBook, stop, test } from "./support.mjs";

/** The output block of this run, with what the script has put below it. */
function block(page, run) {
    const code = page.locator(`pre:has(> code[class~="run=${run}"])`).first();
    const box = code.locator("xpath=following-sibling::div[1]");
    return {
        recorded: code,
        go: box.getByRole("button", { name: `Run ${run}` }),
        stop: box.getByRole("button", { name: `Stop ${run}` }),
        status: box.getByRole("status"),
        output: box.getByRole("region"),
        link: box.getByRole("link"),
    };
}

/** Waits until the page shows a server's address, or says why it never will. */
async function listening({ go, link, status, output }) {
    await eventually("the server listens", async () => {
        if (await go.isVisible()) {
            const said = await output.isVisible() ? await output.innerText() : "";
            throw new Error(`${await status.innerText()}\n${said}`);
        }
        return link.isVisible();
    }, LONG);
}

export async function runs({ browser, book, files, where, server, program, scratch }) {
    await test("Run prints while the program runs; by keyboard", async () => {
        const run = "blocking-read/pipe";
        assert.ok(where(run), `no chapter shows ${run}`);
        await onPage(browser, `${book.address}/${where(run)}`, {}, async (page) => {
            const { go, stop, output, recorded, status } = block(page, run);
            const before = await recorded.innerText();
            // Notes every state of the status, in the order in which the reader sees them.
            await page.evaluate(() => {
                window.seen = [];
                const note = () => window.seen.push([...document.querySelectorAll(".run-status")].map((s) => s.textContent).join(""));
                new MutationObserver(note).observe(document.body, { childList: true, characterData: true, subtree: true });
            });
            const faults = [await walk(page)];
            await go.focus();
            await page.keyboard.press("Enter");
            await stop.waitFor();
            assert.ok(await stop.evaluate((button) => button === document.activeElement), "the focus is on Stop");
            await eventually("it has ended", async () => /exit status/.test(await status.innerText()), LONG);
            assert.match(await status.innerText(), /^exit status 0, after [\d.]+ m?s$/);
            assert.match(await output.innerText(), /read returned \d+ bytes/);
            assert.equal(await recorded.innerText(), before, "what was recorded stays");
            const seen = await page.evaluate(() => window.seen);
            assert.ok(seen.includes("compiling") && seen.includes("running"), `what the status said: ${seen}`);
            await eventually("the focus is on Run again", () => go.evaluate((button) => button === document.activeElement));
            // The page as it looks then.
            faults.push(await violations(page));
            await page.emulateMedia({ colorScheme: "dark" });
            faults.push(await violations(page, COLOURS));
            await resize(page, NARROW);
            faults.push(await tooWide(page));
            none(faults.flat().map((fault) => [fault, where(run)]));
        });
    });

    await test("a server shows its address, answers, and Stop stops it", async () => {
        await onPage(browser, `${book.address}/${where(server)}`, {}, async (page) => {
            const { go, stop, link, status, output } = block(page, server);
            await go.click();
            await listening({ go, link, status, output });
            assert.match(await output.innerText(), /listening on/, "output before the end");
            const url = await link.getAttribute("href");
            assert.match(url, /^http:\/\/127\.0\.0\.1:\d+$/);
            assert.ok(await answers(url), "it answers");
            const faults = [await violations(page)];
            await page.emulateMedia({ colorScheme: "dark" });
            faults.push(await violations(page, COLOURS));
            await resize(page, NARROW);
            faults.push(await tooWide(page));
            none(faults.flat().map((fault) => [fault, where(server)]));
            await stop.click();
            await eventually("it has ended", async () => /exit status|ended by/.test(await status.innerText()));
            assert.match(await status.innerText(), /stopped/);
            assert.equal(await answers(url), false, "it no longer answers");
            assert.equal(await go.isVisible(), true);
        });
    });

    await test("closing the page ends the server, its store included", async () => {
        await onPage(browser, `${book.address}/${where(server)}`, {}, async (page) => {
            const { go, link, status, output } = block(page, server);
            await go.click();
            await listening({ go, link, status, output });
            const url = await link.getAttribute("href");
            assert.ok(await answers(url), "it answers");
            // The guard, the server, and for a server with a store the store.
            const started = descendants(book.child.pid);
            const least = server === "iterative/serve" ? 3 : 2;
            assert.ok(started.length >= least, `started: ${started}`);
            await page.close();
            await eventually("all of them are gone", () => descendants(book.child.pid).length === 0);
            assert.ok(!started.some((pid) => fs.existsSync(`/proc/${pid}/exe`)), "no orphan");
            assert.equal(await answers(url), false);
        });
    });

    await test("what is live starts by itself where it can run, and only there", async () => {
        const run = "doctor/doctor";
        if (!where(run)) {
            return `no chapter shows ${run}`;
        }
        await onPage(browser, `${book.address}/${where(run)}`, {}, async (page) => {
            const { status, output } = block(page, run);
            await eventually("it starts", async () => await status.innerText() !== "", 10_000);
            await eventually("it has ended by itself", async () => /exit status/.test(await status.innerText()), LONG);
            assert.match(await status.innerText(), /^exit status 0/);
            assert.ok((await output.innerText()).split("\n").length > 5, "it says what it found");
            assert.ok(await page.evaluate(() => document.activeElement === document.body && scrollY === 0), "the reader stays");
        });
        await onPage(browser, `${files.address}/${where(run)}`, {}, async (page) => {
            assert.ok(await page.locator("pre:has(> code.live)").first().isVisible(), "the recorded output is there");
            assert.equal(await page.locator(".run").count(), 0, "nothing to press where nothing runs");
        });
    });

    await test("a build error shows in the page and goes away", async () => {
        // A book of its own: this one's chapters are not for a test to write in.
        const folder = path.join(scratch, "small");
        const chapter = (text) => fs.writeFileSync(path.join(folder, "src/one.md"), text);
        for (const empty of ["src", "listings"]) {
            fs.mkdirSync(path.join(folder, empty), { recursive: true });
        }
        fs.writeFileSync(path.join(folder, "book.toml"), `[output.html]\ntheme = "${path.resolve("static/theme")}"\n`);
        fs.writeFileSync(path.join(folder, "Cargo.toml"), "[workspace]\nmembers = []\n");
        fs.writeFileSync(path.join(folder, "src/SUMMARY.md"), "- [One](one.md)\n");
        chapter("# Before\n");
        const small = await serveBook(program, { cwd: folder, errors: "ignore" });
        await onPage(browser, `${small.address}/one.html`, {}, async (page) => {
            const error = page.locator("#book-error");
            chapter("# Between\n\n{{#include nowhere.md}}\n");
            await error.waitFor();
            assert.match(await error.innerText(), /src\/one\.md:3: /);
            assert.equal(await page.locator("h1#before").count(), 1, "the last good page stays");
            chapter("# After\n");
            await page.locator("h1#after").waitFor();
            assert.equal(await error.count(), 0);
        });
        await stop(small.child);
    });
}
