// The page on paper.
import { execFileSync } from "node:child_process";
import { tooWide } from "./layout.mjs";
import { resize } from "./support.mjs";

/** What the theme's margins leave of A4, 178 by 259 mm, in CSS pixels. */
const SHEET = { width: 672, height: 979 };

/** What is wrong with the page when printed, folded as a reader finds it. */
export async function paper(page) {
    await page.evaluate(() => document.querySelectorAll("details").forEach((details) => { details.open = false; }));
    const before = page.viewportSize();
    await resize(page, SHEET);
    await page.emulateMedia({ media: "print" });
    await page.evaluate(() => dispatchEvent(new Event("beforeprint")));
    const faults = await tooWide(page, { paper: true });
    faults.push(...await page.evaluate(() => {
        const shown = (element) => element.checkVisibility({ visibilityProperty: true, contentVisibilityAuto: true });
        const faults = [];
        for (const element of document.querySelectorAll("nav, button, input, select, [role=search], a[href^='#'][class*=skip]")) {
            if (shown(element)) {
                faults.push(`${element.localName} "${(element.ariaLabel || element.textContent).trim().slice(0, 30)}" is printed`);
            }
        }
        for (const details of document.querySelectorAll("main details")) {
            if (![...details.children].every((child) => child.localName === "summary" || shown(child))) {
                faults.push(`details "${details.textContent.trim().slice(0, 30)}" stays folded`);
            }
        }
        return faults;
    }));
    await page.evaluate(() => dispatchEvent(new Event("afterprint")));
    await page.emulateMedia({ media: null });
    await resize(page, before);
    return faults;
}

/** What of the page's answers and recorded outputs its PDF has not, folded as a reader finds it. */
export async function missingFromPdf(page) {
    const wanted = await page.evaluate(() =>
        [...document.querySelectorAll("main details, main pre:has(> [class*='run='])")].map((part) => {
            const text = part.cloneNode(true);
            text.querySelectorAll("button").forEach((button) => button.remove());
            return text.textContent;
        }).join("\n"));
    const pdf = await page.pdf({ preferCSSPageSize: true, format: "A4" });
    const text = execFileSync("pdftotext", ["-raw", "-", "-"], { input: pdf, encoding: "utf8", maxBuffer: 1 << 26 });
    // Lines are broken in other places, and words with them.
    const printed = text.normalize("NFKC").replace(/[\s\u00ad-]+/g, "");
    const words = wanted.normalize("NFKC").match(/[\p{L}\p{N}]{4,}/gu) ?? [];
    return [...new Set(words)].filter((word) => !printed.includes(word)).map((word) => `"${word}" is not in the PDF`);
}
