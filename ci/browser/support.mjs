// What every test here needs: servers, pages that note what they should not see, and a way to say how it went.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import fs from "node:fs";
import http from "node:http";
import path from "node:path";
import readline from "node:readline";

/** Compiling a listing for the first time is what takes long. */
export const LONG = 10 * 60 * 1000;

const running = [];
// What this has started ends with it.
process.on("exit", () => running.forEach((child) => child.kill("SIGTERM")));
for (const signal of ["SIGINT", "SIGTERM"]) {
    process.on(signal, () => process.exit(1));
}
let failures = 0;

/** Runs one test and prints how it went. A body that cannot test here returns why. */
export async function test(name, body) {
    const since = Date.now();
    const took = () => `(${((Date.now() - since) / 1000).toFixed(1)} s)`;
    try {
        const skipped = await body();
        console.log(skipped ? `skipped: ${name}: ${skipped}` : `ok: ${name} ${took()}`);
    } catch (error) {
        failures += 1;
        console.log(`FAILED: ${name} ${took()}\n${error.stack}`);
    }
}

/** How many tests have failed. */
export const failed = () => failures;

/** Fails with `faults`, each an array of what is wrong and where; what is wrong in several places is said once. */
export function none(faults) {
    const places = new Map();
    for (const [what, where] of faults) {
        places.set(what, new Set(places.get(what)).add(where));
    }
    const lines = [...places].slice(0, 40).map(([what, where]) => {
        const [first, ...others] = where;
        return `  ${first}${others.length ? ` and ${others.length} more` : ""}: ${what}`;
    });
    if (lines.length) {
        const error = new Error();
        error.stack = [...lines, places.size > lines.length ? `  and ${places.size - lines.length} more` : ""].join("\n").trimEnd();
        throw error;
    }
}

/** Calls `body` with each item, two at a time: the machines that run this have two cores. */
export async function each(items, body) {
    const rest = [...items];
    const worker = async () => {
        while (rest.length) {
            await body(rest.shift());
        }
    };
    await Promise.all([worker(), worker()]);
}

/** Waits until `done()`; `what` says for what. */
export async function eventually(what, done, limit = 60_000) {
    const since = Date.now();
    while (!(await done())) {
        assert.ok(Date.now() - since < limit, `still not: ${what}`);
        await new Promise((next) => setTimeout(next, 50));
    }
}

/** Starts a program that says where it listens, and returns it with its address. */
export async function start(program, args, { cwd = ".", errors = "inherit" } = {}) {
    const child = spawn(program, args, { cwd, stdio: ["ignore", "pipe", errors] });
    running.push(child);
    for await (const line of readline.createInterface(child.stdout)) {
        const address = line.match(/^listening on (http:\/\/127\.0\.0\.1:\d+)$/)?.[1];
        if (address) {
            child.stdout.resume();
            return { child, address };
        }
    }
    throw new Error(`${program} ended before it listened`);
}

/** Ends a program that `start` has started, and returns its exit status. */
export async function stop(child) {
    const ended = child.exitCode ?? new Promise((done) => child.once("exit", done));
    child.kill("SIGTERM");
    running.splice(running.indexOf(child), 1);
    return ended;
}

/** Ends whatever a failed test has left running. */
export const stopAll = () => Promise.all([...running].map(stop));

/** `cargo book` in `cwd`, on a port of the kernel's choice; the first build is done. */
export async function serveBook(program, { flags = [], ...options } = {}) {
    const book = await start(program, ["--port", "0", ...flags], options);
    await fetch(`${book.address}/`);
    return book;
}

/** A file server that knows nothing of the book. */
export async function serveFiles(root) {
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

/** Whether this program is on the PATH. */
export const installed = (program) => process.env.PATH.split(":").some((folder) => fs.existsSync(path.join(folder, program)));

/** Whether anything answers there. */
export const answers = (url) => fetch(url).then((response) => response.status > 0, () => false);

/** A window on a desk, and on a phone. */
export const DESK = { width: 1280, height: 800 };
export const PHONE = { width: 360, height: 740 };
/** The narrowest: a page for 1280 px, enlarged four times. */
export const NARROW = { width: 320, height: 640 };

/**
 * Calls `body` with the page at `url`, opened by a browser that has never been there, and closes it. `options` are
 * Playwright's for a context. Fails if the page has complained: in the console, by asking another host, by asking
 * for what is not there. `body` may take the complaints away to tell them itself.
 */
export async function onPage(browser, url, options, body) {
    const context = await browser.newContext({ viewport: DESK, colorScheme: "light", reducedMotion: "reduce", ...options });
    try {
        const page = await context.newPage();
        const home = `${new URL(url).origin}/`;
        page.complaints = [];
        page.on("console", (message) => {
            if (["error", "warning"].includes(message.type())) {
                page.complaints.push(`console: ${message.text()}`);
            }
        });
        page.on("pageerror", (error) => page.complaints.push(`error: ${error}`));
        page.on("request", (request) => {
            if (!request.url().startsWith(home) && !/^(data|blob):/.test(request.url())) {
                page.complaints.push(`off-site: ${request.url()}`);
            }
        });
        page.loaded = [];
        page.on("response", (response) => {
            page.loaded.push(response);
            if (response.status() >= 400) {
                page.complaints.push(`${response.status()}: ${response.url()}`);
            }
        });
        // The page for print opens the browser's dialog; nobody is there to close it.
        await page.addInitScript(() => { window.print = () => {}; });
        await open(page, url);
        await body(page);
        assert.deepEqual(page.complaints, []);
    } finally {
        await context.close();
    }
}

/** Goes to a page and waits until its diagrams are drawn. */
export async function open(page, url) {
    await page.goto(url, { waitUntil: "load" });
    await drawn(page);
}

/** Waits until every diagram is drawn. */
export async function drawn(page) {
    const diagrams = await page.locator("pre.mermaid").count();
    await eventually("the diagrams are drawn", async () => await page.locator("pre.mermaid svg").count() === diagrams);
}

/** Gives the window another size, and the page's scripts the time to see it. */
export async function resize(page, size) {
    await page.setViewportSize(size);
    await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
}

/** Opens everything that is folded. */
export const unfold = (page) => page.evaluate(() => {
    document.querySelectorAll("main details").forEach((details) => { details.open = true; });
});

/** The processes whose ancestor is `pid`, by id. */
export function descendants(pid) {
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
