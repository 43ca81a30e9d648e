// Accessibility, as far as a program can tell: axe-core, all its rules that are on by default and the ones named here.
// None is turned off.
import axe from "axe-core";

// WCAG 2.2 asks for targets of 24 px; axe leaves its rule for that off until told.
const MORE = { "target-size": { enabled: true } };

/** The rules that look at colours: what another theme can change. The others see the same page in either. */
export const COLOURS = ["color-contrast", "link-in-text-block"];

/**
 * Leaves of the coloured words in each listing the first of each kind: the others have its colour, on the same ground, and
 * axe takes half a minute for a page with thousands of them.
 */
const thin = (page) => page.evaluate(() => {
    for (const block of document.querySelectorAll("pre.code")) {
        const seen = new Set();
        for (const word of block.querySelectorAll("span")) {
            if (seen.has(word.className)) {
                word.replaceWith(...word.childNodes);
            }
            seen.add(word.className);
        }
        block.normalize();
    }
});

/** The violations on the page as it stands. */
export async function violations(page, rules) {
    await thin(page);
    if (!await page.evaluate(() => "axe" in window)) {
        await page.evaluate(axe.source);
    }
    const options = { resultTypes: ["violations"], ...(rules ? { runOnly: rules } : { rules: MORE }) };
    const found = await page.evaluate((options) => window.axe.run(document, options).then((result) => result.violations), options);
    return found.flatMap(({ id, nodes }) => nodes.map(({ target, failureSummary }) =>
        `${id}: ${target.join(" ")}: ${failureSummary.split("\n")[1]?.trim()}`));
}
