// The book in a real browser.
//
// Usage: node test.mjs BROWSER BOOK-PROGRAM SERVER-PROGRAM..., in the book's folder. ci/browser.sh does that.
// ONLY=visitStatic,plain runs these subjects alone, EXCEPT=visitStatic all others, PAGES=index.html,iterative.html visits these pages alone.
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { chromium } from "playwright-core";
import { charts } from "./charts.mjs";
import { excerpts } from "./excerpts.mjs";
import { keyboard } from "./keyboard.mjs";
import { plain } from "./plain.mjs";
import { runs } from "./runs.mjs";
import { search } from "./search.mjs";
import { servers } from "./servers.mjs";
import { steps } from "./steps.mjs";
import { timelines } from "./timelines.mjs";
import { failed, serveBook, serveFiles, stopAll } from "./support.mjs";
import { themes } from "./themes.mjs";
import { visitServed, visitStatic } from "./visits.mjs";
import { waits } from "./waits.mjs";
import { workshop } from "./workshop.mjs";

const [browserPath, program, ...programs] = process.argv.slice(2);
const QUIET_BROWSER = [
    "--disable-background-networking", "--disable-component-update", "--disable-gpu", "--disable-sync", "--no-first-run",
    "--no-sandbox",
];

const scratch = fs.mkdtempSync(path.join(os.tmpdir(), "book-browser-"));
const site = path.join(scratch, "site");
execFileSync(program, ["build", "--dest", site], { stdio: ["ignore", "ignore", "inherit"] });

/** Every page of the built site, by its path. */
const names = fs.readdirSync(site, { recursive: true }).filter((name) => name.endsWith(".html") && name !== "toc.html").sort();
const text = (name) => fs.readFileSync(path.join(site, name), "utf8");
/** The page, but for print's, that shows a run. */
const where = (run) => names.find((name) => !["print.html", "index.html"].includes(name) && text(name).includes(`run=${run}`));

const browser = await chromium.launch({ executablePath: browserPath, headless: true, args: QUIET_BROWSER, chromiumSandbox: false });
const world = {
    browser, program, scratch, site, names, visited: names, text, where, server: "iterative/serve", servers: programs,
    files: { root: site, ...await serveFiles(site) },
    book: await serveBook(program),
};
if (process.env.PAGES) {
    world.visited = process.env.PAGES.split(",");
}
const subjects = { visitStatic, visitServed, plain, themes, keyboard, search, waits, steps, timelines, charts, excerpts, runs, servers, workshop };
const except = process.env.EXCEPT?.split(",") ?? [];
const only = process.env.ONLY?.split(",") ?? Object.keys(subjects).filter((name) => !except.includes(name));

const since = Date.now();
try {
    for (const name of only) {
        const since = Date.now();
        await subjects[name](world);
        console.log(`${name}: ${((Date.now() - since) / 1000).toFixed(0)} s`);
    }
} finally {
    await browser.close();
    world.files.close();
    await stopAll();
    fs.rmSync(scratch, { recursive: true, force: true });
}
console.log(`${names.length} pages, ${failed()} tests failed, ${((Date.now() - since) / 1000).toFixed(0)} s`);
process.exit(failed() ? 1 : 0);
