// The charts: what a point says, by pointer and by keyboard; curves and layers that come and go; and the drawing itself on a
// desk, on a phone, on paper, without script. On a page of its own, as a report is, and in a chapter.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { COLOURS, violations } from "./axe.mjs";
import { faint } from "./figures.mjs";
import { tooWide } from "./layout.mjs";
import { missingFromPdf, paper } from "./print.mjs";
import { DESK, NARROW, PHONE, installed, none, onPage, resize, test, unfold } from "./support.mjs";

/** Names and numbers of a drawing that lie on one another, or are cut off. Runs in the page. */
function crowded() {
    const faults = [];
    for (const svg of document.querySelectorAll(".chart-drawing")) {
        const frame = svg.getBoundingClientRect();
        const texts = [...svg.querySelectorAll("text")].filter((text) => text.getBoundingClientRect().width > 0).map((text) => {
            const { left, top, right, bottom } = text.getBoundingClientRect();
            // The box of a line is higher than its letters.
            const air = (bottom - top) * 0.16;
            return { left, right, top: top + air, bottom: bottom - air, says: text.textContent };
        });
        for (const [n, one] of texts.entries()) {
            if (one.left < frame.left - 1 || one.right > frame.right + 1 || one.top < frame.top - 1 || one.bottom > frame.bottom + 1) {
                faults.push(`"${one.says}" is cut off`);
            }
            if (one.bottom - one.top < 7) {
                faults.push(`"${one.says}" is ${(one.bottom - one.top).toFixed(1)} px high`);
            }
            for (const other of texts.slice(n + 1)) {
                if (one.left < other.right && other.left < one.right && one.top < other.bottom && other.top < one.bottom) {
                    faults.push(`"${one.says}" lies on "${other.says}"`);
                }
            }
        }
    }
    return faults;
}

/** What a reader sees of a chart. Runs on the figure. */
function state(figure) {
    // (For what is in a drawing checkVisibility says yes, drawn or not.)
    const seen = (selector) => [...figure.querySelectorAll(selector)].filter((element) => element.getBoundingClientRect().width > 0);
    return {
        curves: seen(".chart-curve").map(({ dataset }) => `${dataset.name} ${dataset.layer}`),
        names: seen(".chart-names text").map((text) => text.textContent).sort(),
        legend: [...figure.querySelectorAll(".chart-legend li:not(.is-off)")].map((item) => item.textContent),
        ring: seen(".chart-ring").length,
    };
}

const linear = (page) => page.locator("figure.chart").first();
const log = (page) => page.locator("figure.chart").nth(1);
const says = (figure) => figure.getByRole("status").textContent();
const press = async (page, ...keys) => {
    for (const key of keys) {
        await page.keyboard.press(key);
    }
};

async function byKeyboard(page, address) {
    const figure = linear(page);
    const svg = figure.locator(".chart-drawing");
    await svg.focus();
    const top = () => page.evaluate(() => scrollY);
    const before = await top();
    await press(page, "ArrowRight");
    assert.match(await says(figure), /^example 1 \(the book\): [\d,]+ requests a second at 1 client; rounds from [\d,]+ to [\d,]+$/);
    await press(page, "End");
    assert.match(await says(figure), /^example 1 \(the book\): [\d,]+ requests a second at 1,000 clients; /);
    assert.equal((await figure.evaluate(state)).ring, 1);
    assert.equal(await svg.locator(".chart-curve.is-chosen").count(), 1);
    // From the lowest place to the highest: each is met once, those that end before are met where they end.
    await press(page, "ArrowDown", "ArrowDown", "ArrowDown");
    const met = [(await says(figure)).split(" (")[0]];
    const heights = [];
    for (let n = 0; n < 14; n += 1) {
        await press(page, "ArrowUp");
        met.push((await says(figure)).split(" (")[0]);
        heights.push(await svg.locator(".chart-ring").evaluate((ring) => Number(ring.getAttribute("cy"))));
    }
    assert.equal(new Set(met).size, 12, met.join(", "));
    assert.deepEqual(heights, [...heights].sort((one, other) => other - one), "up is up");
    assert.match(await says(figure), /^example 12 /);
    await press(page, "ArrowLeft", "ArrowLeft");
    assert.match(await says(figure), /at 800 clients/);
    await press(page, "Home", "ArrowLeft");
    assert.match(await says(figure), /at 1 client;/);
    // A note, a gap.
    const notes = await svg.locator(".chart-noted").count();
    assert.equal(notes, 3);
    await press(page, "Escape");
    assert.match(await says(figure), /^Point at a curve/);
    assert.equal((await figure.evaluate(state)).ring, 0);
    assert.equal(page.url(), address, "arrows turn no page");
    assert.equal(await top(), before, "nor do they scroll it");
}

async function byPointer(page) {
    const figure = linear(page);
    const point = async (selector) => {
        const box = await figure.locator(selector).boundingBox();
        await page.mouse.move(box.x + box.width / 2 + 3, box.y + box.height / 2 + 2);
    };
    await figure.locator(".chart-drawing").scrollIntoViewIfNeeded();
    await point('[data-series="6"] [data-row="9"]');
    assert.match(await says(figure), /^example 7 \(the book\): [\d,]+ requests a second at 700 clients; rounds/);
    await point('[data-series="4"] [data-row="9"]');
    assert.match(await says(figure), /^example 5 .* at 700 clients; rounds from .*; the last before it stopped answering$/);
    await point('[data-series="7"] .chart-noted');
    assert.match(await says(figure), /^example 8 \(the book\): nothing measured at 400 clients; thrown away: its generator/);
    await page.mouse.move(2, 2);
    assert.match(await says(figure), /^Point at a curve/);
    // What it says stands in the table.
    const cell = await figure.evaluate((figure) => figure.querySelector("tbody").rows[9].cells[7].firstChild.data.trim());
    await point('[data-series="6"] [data-row="9"]');
    assert.ok((await says(figure)).includes(`: ${cell} requests`), cell);
}

async function comesAndGoes(page) {
    const figure = linear(page);
    const button = (name) => figure.getByRole("button", { name, exact: true });
    const before = await figure.evaluate(state);
    assert.equal(before.curves.length, 12);
    assert.equal(before.names.length, 12);
    assert.equal(before.legend.length, 12);
    await figure.locator(".chart-drawing").focus();
    await press(page, "ArrowRight");
    await button("example 1").click();
    const without = await figure.evaluate(state);
    assert.ok(!without.curves.includes("example 1 book") && !without.names.includes("example 1") && !without.legend.includes("example 1"));
    assert.deepEqual([without.curves.length, without.names.length, without.ring], [11, 11, 0]);
    assert.match(await says(figure), /^Point at a curve/, "what is gone is not chosen");
    assert.equal(await button("example 1").getAttribute("aria-pressed"), "false");
    await figure.locator(".chart-drawing").focus();
    await press(page, "ArrowRight");
    assert.match(await says(figure), /^example 2 /, "nor can it be");
    await press(page, "Escape");
    await button("example 1").focus();
    await press(page, "Space");
    await button("2019").focus();
    await press(page, "Enter");
    const past = await figure.evaluate(state);
    assert.equal(past.curves.length, 14);
    assert.ok(past.legend.includes("b (2019)"), past.legend.join());
    await button("b").click();
    assert.equal((await figure.evaluate(state)).curves.length, 13);
    await button("b").click();
    await button("2019").click();
    assert.deepEqual(await figure.evaluate(state), before, "all as before");
}

async function readersLayer(page) {
    const figure = log(page);
    const before = await figure.evaluate(state);
    assert.ok(before.curves.includes("example 3 book") && before.curves.includes("example 3 reader"), before.curves.join());
    assert.equal(before.names.length, 5, "a name for each, not for each layer");
    const yours = figure.getByRole("button", { name: "yours", exact: true });
    assert.equal(await yours.getAttribute("aria-pressed"), "true");
    await yours.click();
    const without = await figure.evaluate(state);
    assert.deepEqual(without.curves, before.curves.filter((name) => !name.endsWith("reader")));
    assert.deepEqual(without.names, before.names, "the book's curve has the name now");
    await yours.click();
    assert.deepEqual(await figure.evaluate(state), before);
}

/** What can be wrong with how it looks, in all sizes and colours. */
async function looks(page) {
    const faults = [];
    const check = async (where, found) => faults.push(...(await found).map((fault) => [fault, where]));
    await unfold(page);
    await page.getByRole("button", { name: "2019", exact: true }).first().click();
    for (const [where, size] of Object.entries({ desk: DESK, tablet: { width: 700, height: 900 }, phone: PHONE, narrow: NARROW })) {
        await resize(page, size);
        await check(where, page.evaluate(crowded));
        await check(where, tooWide(page));
        // The drawing itself never scrolls.
        await check(where, page.$$eval(".chart-drawing", (all) => all.filter((svg) => svg.getBoundingClientRect().right > innerWidth)
            .map(() => "the drawing is wider than the page")));
    }
    await resize(page, PHONE);
    await check("axe on a phone", violations(page));
    await resize(page, DESK);
    await check("axe, light", violations(page));
    await check("light", faint(page));
    await page.emulateMedia({ colorScheme: "dark" });
    await check("axe, dark", violations(page, COLOURS));
    await check("dark", faint(page));
    await page.emulateMedia({ colorScheme: "light" });
    await page.locator(".chart-drawing").first().focus();
    await press(page, "ArrowRight");
    await check("paper", paper(page));
    await page.emulateMedia({ media: "print" });
    await check("paper", linear(page).evaluate((figure) => [
        ...[".chart-legend", "table"].filter((part) => !figure.querySelector(part).checkVisibility()).map((part) => `${part} is not printed`),
        ...[".chart-tools", ".chart-ring"].filter((part) => figure.querySelector(part).getBoundingClientRect().width > 0).map((part) => `${part} is printed`),
        ...[...figure.querySelectorAll(".chart-curve:not(.chart-past)")].filter((curve) => getComputedStyle(curve).opacity !== "1")
            .map((curve) => `${curve.dataset.name} is printed faintly`),
    ]));
    await page.emulateMedia({ media: null });
    if (installed("pdftotext")) {
        await check("PDF", missingFromPdf(page));
    }
    none(faults);
}

async function withoutScript(browser, address) {
    const context = await browser.newContext({ javaScriptEnabled: false, viewport: PHONE });
    const page = await context.newPage();
    await page.goto(address);
    const seen = await linear(page).evaluate(state);
    assert.deepEqual([seen.curves.length, seen.names.length, seen.legend.length], [12, 12, 12]);
    assert.ok(await linear(page).locator(".chart-legend").isVisible());
    assert.equal(await page.locator("figure.chart :is(button, [role=status])").count(), 0);
    await linear(page).locator("summary").click();
    assert.equal(await linear(page).locator("table").count(), 2);
    assert.ok(await linear(page).locator("table", { hasText: "2019" }).isVisible(), "2019 stands in the table");
    none((await page.evaluate(crowded)).map((fault) => [fault, "without script"]));
    none((await tooWide(page)).map((fault) => [fault, "without script"]));
    await context.close();
}

/** The report of the book's own results: what a reader keeps, and sends to others. */
async function wholeReport(page) {
    const faults = [];
    const check = async (where, found) => faults.push(...(await found).map((fault) => [fault, where]));
    for (const [where, size] of Object.entries({ phone: PHONE, narrow: NARROW, desk: DESK })) {
        await resize(page, size);
        await check(where, tooWide(page));
    }
    assert.ok(await page.locator("figure.chart").count() >= 5, "charts");
    await check("axe, light", violations(page));
    await page.emulateMedia({ colorScheme: "dark" });
    await check("axe, dark", violations(page, COLOURS));
    await page.emulateMedia({ colorScheme: "light" });
    await check("paper", paper(page));
    none(faults);
}

export async function charts({ browser, program, site, files, text }) {
    const demo = execFileSync(path.join(path.dirname(program), "chart-demo"), { encoding: "utf8", maxBuffer: 1 << 26 });
    const figures = demo.match(/<figure class="chart">.*?<\/figure>\n/gs).join("");
    const chapter = text("models.html").replace(/(<main[^>]*>).*(<\/main>)/s, `$1<h1>Charts</h1>\n${figures.replaceAll("$", "$$$$")}$2`);
    const results = fs.mkdtempSync(path.join(os.tmpdir(), "report-"));
    fs.cpSync("static/reference", results, { recursive: true });
    execFileSync(path.join(path.dirname(program), "harness"), ["report", results]);
    // A file asks for no icon; what comes from a server does.
    const icon = '<link rel="icon" href="data:,">';
    const report = fs.readFileSync(path.join(results, "report.html"), "utf8").replace("</title>", `</title>${icon}`);
    fs.rmSync(results, { recursive: true });
    const pages = { "chart-report.html": demo, "chart-chapter.html": chapter, "harness-report.html": report };
    Object.entries(pages).forEach(([name, page]) => fs.writeFileSync(path.join(site, name), page));
    try {
        for (const [name, where] of [["chart-report.html", "on a page of its own"], ["chart-chapter.html", "in a chapter"]]) {
            const address = `${files.address}/${name}`;
            const on = (body) => () => onPage(browser, address, {}, body);
            await test(`charts ${where}: the arrow keys reach every curve, and a point says what it is`, on((page) => byKeyboard(page, address)));
            await test(`charts ${where}: a point says what it is to the pointer`, on(byPointer));
            await test(`charts ${where}: curves come and go, and those of 2019 come when asked`, on(comesAndGoes));
            await test(`charts ${where}: the reader's curves over the book's`, on(readersLayer));
            await test(`charts ${where}: legible, accessible, in one piece on a desk, on a phone and on paper`, on(looks));
            await test(`charts ${where}: without script all but 2019 is drawn`, () => withoutScript(browser, address));
        }
        await test("the harness's report: accessible, on a desk, on a phone, on paper",
            () => onPage(browser, `${files.address}/harness-report.html`, {}, wholeReport));
    } finally {
        Object.keys(pages).forEach((name) => fs.rmSync(path.join(site, name)));
    }
}
