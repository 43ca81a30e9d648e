// The book without script.
import { DESK, PHONE, each, none, test } from "./support.mjs";

/** What is missing from a page whose scripts do not run, or shown although it does nothing. Runs in the page. */
function missing({ phone }) {
    const faults = [];
    const shown = (element) => element.checkVisibility({ visibilityProperty: true });
    const expect = (what, elements) => {
        const hidden = elements.filter((element) => !shown(element));
        if (hidden.length) {
            faults.push(`${hidden.length} of ${elements.length} ${what} are not shown`);
        }
    };
    // The page for print leaves out the listings that the reader has beside it.
    const left = document.querySelector(".whole") ? ".source, .source *" : ":not(*)";
    const all = (selector) => [...document.querySelectorAll(selector)].filter((element) => !element.matches(left));
    document.querySelectorAll("main details").forEach((details) => { details.open = true; });
    expect("paragraphs", all("main p"));
    expect("tables", all("main table"));
    expect("blocks of code or output", all("main pre:not(.numbers)"));
    expect("figures", all("main figure svg"));
    if (!all("main h1, main h2").some(shown)) {
        faults.push("no heading");
    }
    // On a phone it is behind a button that needs no script. The listings are folded until one is read.
    const opener = all("button[popovertarget]").find(shown);
    if (opener) {
        opener.click();
    }
    const written = all("nav a[href$='.html']:not([rel], [href*='sources/'])");
    if (written.length < 6 || !written.every(shown)) {
        faults.push(`the table of contents is not there: ${written.filter(shown).length} links`);
    }
    if (opener) {
        opener.click();
    }
    for (const control of all("button:not([popovertarget]), input, select, textarea, [role=button]")) {
        if (shown(control)) {
            faults.push(`${control.localName} "${(control.ariaLabel || control.title || control.textContent).trim()}" is shown`);
        }
    }
    for (const link of all("a[href^='#']")) {
        if (link.hash && !document.getElementById(decodeURIComponent(link.hash.slice(1)))) {
            faults.push(`${link.hash} leads nowhere`);
        }
    }
    const width = document.scrollingElement.scrollWidth;
    if (phone && width > innerWidth) {
        faults.push(`the page is ${width} px wide`);
    }
    return faults;
}

export async function plain({ browser, files, visited: names }) {
    await test(`${names.length} pages without script: text, figures, tables, outputs, contents; nothing that needs script`, async () => {
        const faults = [];
        await each(names, async (name) => {
            const context = await browser.newContext({ javaScriptEnabled: false, viewport: DESK });
            const page = await context.newPage();
            await page.goto(`${files.address}/${name}`);
            const wide = await page.evaluate(missing, { phone: false });
            await page.setViewportSize(PHONE);
            const narrow = await page.evaluate(missing, { phone: true });
            faults.push(...wide.map((fault) => [fault, name]), ...narrow.map((fault) => [`on a phone: ${fault}`, name]));
            await context.close();
        });
        none(faults);
    });
}
