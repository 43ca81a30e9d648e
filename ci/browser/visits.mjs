// One visit to each page of the book, and everything that one visit can check.
import { COLOURS, violations } from "./axe.mjs";
import { faint } from "./figures.mjs";
import { walk } from "./keyboard.mjs";
import { tooWide } from "./layout.mjs";
import { missingFromPdf, paper } from "./print.mjs";
import { DESK, NARROW, PHONE, drawn, each, installed, none, onPage, resize, test, unfold } from "./support.mjs";

/** What a chapter without diagrams may weigh, in bytes as the reader's browser unpacks them. */
const WEIGHT = 300 * 1000;

/** What was found wrong, by the kind of check. */
class Faults {
    #kinds = new Map();

    add(kind, name, faults) {
        const list = this.#kinds.get(kind) ?? [];
        this.#kinds.set(kind, list.concat(faults.map((fault) => [fault, name])));
    }

    /** A test for each kind of check. */
    async tell(what) {
        for (const [kind, faults] of this.#kinds) {
            await test(`${what}: ${kind}`, () => none(faults));
        }
    }
}

/** The pages of the static site, in two themes, on a desk, on a phone and on paper. */
export async function visitStatic({ browser, files, visited: names }) {
    const faults = new Faults();
    const weights = [];
    const pdf = installed("pdftotext");
    if (!pdf) {
        console.log("skipped: what the PDF of each page has: pdftotext (poppler-utils) is not installed");
    }
    await each(names, (name) => onPage(browser, `${files.address}/${name}`, {}, async (page) => {
        const sizes = await Promise.all(page.loaded.map((response) => response.body().then((body) => body.length, () => 0)));
        weights.push({ name, bytes: sizes.reduce((sum, size) => sum + size), diagrams: await page.locator("pre.mermaid").count() });

        // The page for print has the controls, the answers and the outputs of all chapters again.
        const repeats = name === "print.html";
        const check = async (kind, found) => faults.add(kind, name, await found);
        await unfold(page);
        await check("axe, light", violations(page));
        await check("text in figures, light", faint(page));
        if (!repeats) {
            await check("by keyboard: a skip link, visible focus, everything reached, no trap", walk(page));
        }
        await resize(page, PHONE);
        await check("axe on a phone", violations(page));
        await check("no sideways scroll at 360 px", tooWide(page));
        await resize(page, NARROW);
        await check("no sideways scroll at 320 px", tooWide(page));
        await page.emulateMedia({ colorScheme: "dark" });
        await drawn(page);
        await resize(page, DESK);
        await check("axe, dark", violations(page, COLOURS));
        await check("text in figures, dark", faint(page));
        await check("on paper: no navigation, everything unfolded, nothing cut off", paper(page));
        if (pdf && !repeats) {
            await check("its answers and outputs are in its PDF", missingFromPdf(page));
        }
        await check("no complaint in the console, no request to another host", page.complaints.splice(0));
    }));
    await faults.tell(`${names.length} pages, static`);
    await test(`a chapter without diagrams loads less than ${WEIGHT / 1000} KB`, () => {
        weights.sort((one, other) => names.indexOf(one.name) - names.indexOf(other.name));
        for (const { name, bytes, diagrams } of weights) {
            console.log(`  ${(bytes / 1000).toFixed(0).padStart(6)} KB  ${name}${diagrams ? ", with diagrams" : ""}`);
        }
        const chapters = weights.filter(({ name, diagrams }) => !diagrams && !name.includes("/") && name !== "print.html");
        none(chapters.filter(({ bytes }) => bytes >= WEIGHT).map(({ name, bytes }) => [`${bytes} bytes`, name]));
    });
}

/** The pages as `cargo book` serves them: what its scripts and its Run and Check buttons add. */
export async function visitServed({ browser, book, visited: names }) {
    const faults = new Faults();
    await each(names, (name) => onPage(browser, `${book.address}/${name}`, {}, async (page) => {
        const check = async (kind, found) => faults.add(kind, name, await found);
        let pressed = 0;
        for (const [verb, block, what] of [["Run", "run=", "recorded output"], ["Check", "check=", "exercise"]]) {
            const blocks = await page.locator(`main code[class*="${block}"]`).count();
            const buttons = await page.locator(`.run-button[aria-label^="${verb} "]`).count();
            await check(`a ${verb} button for each ${what}`, blocks === buttons ? [] : [`${buttons} for ${blocks}`]);
            pressed += buttons;
        }
        if (pressed && name !== "print.html") {
            await unfold(page);
            await check("axe, light", violations(page));
            await resize(page, NARROW);
            await page.emulateMedia({ colorScheme: "dark" });
            await drawn(page);
            await check("no sideways scroll at 320 px", tooWide(page));
            await check("axe on a phone, dark", violations(page, COLOURS));
        }
        await check("no complaint in the console, no request to another host", page.complaints.splice(0));
    }));
    await faults.tell(`${names.length} pages, served by cargo book`);
}
