// The book in a real browser: its pages, Run and Stop, and the static site.
//
// Usage: node test.mjs BOOK-PROGRAM ITERATIVE-PROGRAM BROWSER, in the book's folder. ci/browser.sh does that.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import fs from "node:fs";
import http from "node:http";
import os from "node:os";
import path from "node:path";
import readline from "node:readline";
import { chromium } from "playwright-core";

const [program, iterative, browserPath] = process.argv.slice(2);
// Compiling a listing for the first time is what takes long.
const LONG = 10 * 60 * 1000;
const QUIET_BROWSER = [
    "--disable-background-networking", "--disable-component-update", "--disable-gpu", "--disable-sync", "--no-first-run",
    "--no-sandbox",
];

const scratch = fs.mkdtempSync(path.join(os.tmpdir(), "book-browser-"));
const running = [];
let failures = 0;

/** Starts `cargo book` in `folder` on a port of the kernel's choice, and returns its address once the first build is done. */
async function serveBook(folder, errors) {
    const child = spawn(program, ["--port", "0"], { cwd: folder, stdio: ["ignore", "pipe", errors] });
    running.push(child);
    for await (const line of readline.createInterface(child.stdout)) {
        const address = line.match(/^listening on (http:\/\/127\.0\.0\.1:\d+)$/)?.[1];
        if (address) {
            child.stdout.resume();
            await fetch(`${address}/`);
            return { child, address };
        }
    }
    throw new Error("cargo book ended before it listened");
}

/** A file server that knows nothing of the book. */
async function serveFiles(root) {
    const types = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml" };
    const server = http.createServer((request, response) => {
        const name = decodeURIComponent(new URL(request.url, "http://x").pathname);
        const file = path.join(root, name.endsWith("/") ? `${name}index.html` : name);
        fs.readFile(file, (error, bytes) => {
            response.writeHead(error ? 404 : 200, { "content-type": types[path.extname(file)] ?? "application/octet-stream" });
            response.end(bytes);
        });
    });
    await new Promise((done) => server.listen(0, "127.0.0.1", done));
    return { close: () => server.close(), address: `http://127.0.0.1:${server.address().port}` };
}

/** The pages that the table of contents names, the page for print and the one for what is not there. */
function pages(site) {
    const contents = fs.readFileSync(path.join(site, "toc.html"), "utf8");
    const named = [...contents.matchAll(/href="([^"#:]+\.html)"/g)].map((match) => match[1]);
    return [...new Set(["index.html", ...named, "print.html", "404.html"])];
}

/** A page of the browser that notes what it should not see. */
async function watched(context, address) {
    const page = await context.newPage();
    page.complaints = [];
    page.on("console", (message) => {
        if (["error", "warning"].includes(message.type())) {
            page.complaints.push(`console: ${message.text()}`);
        }
    });
    page.on("pageerror", (error) => page.complaints.push(`error: ${error}`));
    page.on("request", (request) => {
        if (!request.url().startsWith(`${address}/`) && !/^(data|blob):/.test(request.url())) {
            page.complaints.push(`off-site: ${request.url()}`);
        }
    });
    page.on("response", (response) => {
        if (response.status() >= 400) {
            page.complaints.push(`${response.status()}: ${response.url()}`);
        }
    });
    return page;
}

async function eventually(what, done, limit = 60_000) {
    const since = Date.now();
    while (!(await done())) {
        assert.ok(Date.now() - since < limit, `still not: ${what}`);
        await new Promise((next) => setTimeout(next, 50));
    }
}

/** The processes whose ancestor is `pid`, by id. */
function descendants(pid) {
    const rows = execFileSync("ps", ["-eo", "pid=,ppid=,stat="], { encoding: "utf8" }).trim().split("\n");
    const processes = rows.map((row) => row.trim().split(/\s+/)).filter(([, , state]) => !state.startsWith("Z"));
    const found = [];
    const parents = [String(pid)];
    while (parents.length) {
        const parent = parents.pop();
        for (const [child] of processes.filter(([, above]) => above === parent)) {
            found.push(child);
            parents.push(child);
        }
    }
    return found;
}

const answers = (url) => fetch(url).then((response) => response.status > 0, () => false);

async function test(name, body) {
    try {
        const skipped = await body();
        console.log(skipped ? `skipped: ${name}: ${skipped}` : `ok: ${name}`);
    } catch (error) {
        failures += 1;
        console.log(`FAILED: ${name}\n${error.stack}`);
    }
}

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

const site = path.join(scratch, "site");
execFileSync(program, ["build", "--dest", site], { stdio: ["ignore", "ignore", "inherit"] });
const names = pages(site);
const text = (name) => fs.readFileSync(path.join(site, name), "utf8");
/** The pages, but for print's, that show a run. */
const where = (run) => names.find((name) => name !== "print.html" && text(name).includes(`run=${run}"`));
const shown = [...new Set(names.flatMap((name) => [...text(name).matchAll(/ run=([a-z0-9/-]+)"/g)].map((match) => match[1])))];
// A declaration, as `cargo metadata` gives it.
const metadata = JSON.parse(
    execFileSync("cargo", ["metadata", "--no-deps", "--format-version=1"], { encoding: "utf8", maxBuffer: 1 << 28 }),
);
const declared = Object.fromEntries(metadata.packages.flatMap((listing) =>
    Object.entries(listing.metadata?.run ?? {}).map(([name, run]) => [`${listing.name}/${name}`, run])));
const server = shown.find((run) => run === "iterative/serve") ?? shown.find((run) => declared[run]?.kind === "server");

const book = await serveBook(".", "inherit");
const files = await serveFiles(site);
const browser = await chromium.launchPersistentContext(path.join(scratch, "profile"), {
    executablePath: browserPath, headless: true, args: QUIET_BROWSER, chromiumSandbox: false,
});

try {
    for (const [what, address] of [["served", book.address], ["static", files.address]]) {
        await test(`${names.length} pages, ${what}: no complaint in the console, no request to another host`, async () => {
            assert.ok(names.length > 3, "a book of few pages");
            for (const name of names) {
                const page = await watched(browser, address);
                // The page for print opens the browser's dialog; nobody is there to close it.
                await page.addInitScript(() => { window.print = () => {}; });
                await page.goto(`${address}/${name}`, { waitUntil: "load" });
                const diagrams = await page.locator("pre.mermaid").count();
                await eventually("the diagrams are drawn", async () => {
                    return await page.locator("pre.mermaid svg").count() === diagrams;
                });
                const buttons = await page.locator(".run").count();
                const blocks = await page.locator('code[class*="run="]').count();
                assert.equal(buttons, what === "served" ? blocks : 0, `Run buttons on ${name}`);
                assert.deepEqual(page.complaints, [], name);
                await page.close();
            }
        });
    }

    await test("the iterative server serves the book, and a guestbook, to a browser", async () => {
        const child = spawn(iterative, ["--listen", "127.0.0.1:0", "--root", site], { stdio: ["ignore", "pipe", "inherit"] });
        running.push(child);
        const { value: line } = await readline.createInterface(child.stdout)[Symbol.asyncIterator]().next();
        const address = line.replace("listening on ", "");
        const page = await watched(browser, address);
        for (const name of names.filter((name) => !["print.html", "404.html"].includes(name))) {
            await page.goto(`${address}/${name}`, { waitUntil: "load" });
        }
        await page.goto(`${address}/guestbook`);
        await page.locator("input[name=remark]").fill("<b>from a browser</b>");
        await page.locator("button").click();
        await page.locator("li", { hasText: "<b>from a browser</b>" }).waitFor();
        assert.deepEqual(page.complaints, []);
        await page.close();
        const ended = new Promise((done) => child.once("exit", done));
        child.kill("SIGTERM");
        assert.equal(await ended, 0, "it ends with 0");
        running.splice(running.indexOf(child), 1);
    });

    await test("the search finds", async () => {
        const page = await watched(browser, files.address);
        await page.goto(`${files.address}/index.html`);
        await page.keyboard.press("s");
        const title = path.basename(names.find((name) => name !== "index.html"), ".html").split("-")[0];
        await page.locator("#mdbook-searchbar").waitFor();
        await page.locator("#mdbook-searchbar").pressSequentially(title);
        await page.locator("#mdbook-searchresults li").first().waitFor();
        assert.deepEqual(page.complaints, []);
        await page.close();
    });

    await test("Run prints while the program runs", async () => {
        const run = "blocking-read/pipe";
        if (!where(run)) {
            return `no chapter shows ${run}`;
        }
        const page = await watched(browser, book.address);
        await page.goto(`${book.address}/${where(run)}`);
        const { go, output, recorded, status } = block(page, run);
        const before = await recorded.innerText();
        // Notes every state of the status, in the order in which the reader sees them.
        await page.evaluate(() => {
            window.seen = [];
            const note = () => window.seen.push([...document.querySelectorAll(".run-status")].map((s) => s.textContent).join(""));
            new MutationObserver(note).observe(document.body, { childList: true, characterData: true, subtree: true });
        });
        await go.click();
        await eventually("it has ended", async () => /exit status/.test(await status.innerText()), LONG);
        assert.match(await status.innerText(), /^exit status 0, after [\d.]+ m?s$/);
        assert.match(await output.innerText(), /read returned \d+ bytes/);
        assert.equal(await recorded.innerText(), before, "what was recorded stays");
        const seen = await page.evaluate(() => window.seen);
        assert.ok(seen.includes("compiling") && seen.includes("running"), `what the status said: ${seen}`);
        assert.deepEqual(page.complaints, []);
        await page.close();
    });

    await test("a server shows its address, answers, and Stop stops it", async () => {
        if (!server) {
            return "no chapter shows a server";
        }
        const page = await watched(browser, book.address);
        await page.goto(`${book.address}/${where(server)}`);
        const { go, stop, link, status, output } = block(page, server);
        await go.click();
        await listening({ go, link, status, output });
        assert.match(await output.innerText(), /listening on/, "output before the end");
        const url = await link.getAttribute("href");
        assert.match(url, /^http:\/\/127\.0\.0\.1:\d+$/);
        assert.ok(await answers(url), "it answers");
        await stop.click();
        await eventually("it has ended", async () => /exit status|ended by/.test(await status.innerText()));
        assert.equal(await status.innerText().then((text) => /stopped/.test(text)), true);
        assert.equal(await answers(url), false, "it no longer answers");
        assert.equal(await go.isVisible(), true);
        assert.deepEqual(page.complaints, []);
        await page.close();
    });

    await test("closing the page ends the server, its store included", async () => {
        if (!server) {
            return "no chapter shows a server";
        }
        const page = await watched(browser, book.address);
        await page.goto(`${book.address}/${where(server)}`);
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

    await test("a build error shows in the page and goes away", async () => {
        // A book of its own: this one's chapters are not for a test to write in.
        const folder = path.join(scratch, "small");
        const chapter = (text) => fs.writeFileSync(path.join(folder, "src/one.md"), text);
        for (const empty of ["src", "listings"]) {
            fs.mkdirSync(path.join(folder, empty), { recursive: true });
        }
        fs.writeFileSync(path.join(folder, "book.toml"), "");
        fs.writeFileSync(path.join(folder, "Cargo.toml"), "[workspace]\nmembers = []\n");
        fs.writeFileSync(path.join(folder, "src/SUMMARY.md"), "- [One](one.md)\n");
        chapter("# Before\n");
        const small = await serveBook(folder, "ignore");
        const page = await watched(browser, small.address);
        await page.goto(`${small.address}/one.html`);
        const error = page.locator("#book-error");
        chapter("# Between\n\n{{#include nowhere.md}}\n");
        await error.waitFor();
        assert.match(await error.innerText(), /src\/one\.md:3: /);
        assert.equal(await page.locator("h1#before").count(), 1, "the last good page stays");
        chapter("# After\n");
        await page.locator("h1#after").waitFor();
        assert.equal(await error.count(), 0);
        assert.deepEqual(page.complaints, []);
        await page.close();
    });
} finally {
    await browser.close();
    files.close();
    for (const child of running) {
        const ended = new Promise((done) => child.once("exit", done));
        child.kill("SIGTERM");
        await ended;
    }
    fs.rmSync(scratch, { recursive: true, force: true });
}
process.exit(failures ? 1 : 0);
