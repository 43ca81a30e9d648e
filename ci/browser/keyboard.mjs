// The page by keyboard alone.
import assert from "node:assert/strict";
import { PHONE, eventually, onPage, test } from "./support.mjs";

/** Notes every control that a reader sees, and how each looks without the focus. Runs in the page. */
function survey() {
    const controls = "a[href], button, input, select, textarea, summary, [tabindex]";
    const look = (element) => {
        const { outlineStyle, outlineWidth, outlineColor, boxShadow } = getComputedStyle(element);
        return outlineStyle === "none" || outlineWidth === "0px" ? boxShadow : `${outlineColor} ${boxShadow}`;
    };
    const seen = [...document.querySelectorAll(controls)].filter((element) =>
        element.tabIndex >= 0 && !element.disabled && !element.closest("[inert]")
        // Of radio buttons the keyboard reaches the chosen one; the arrows reach the others.
        && !(element.type === "radio" && !element.checked)
        && element.checkVisibility({ visibilityProperty: true }));
    window.walk = { look, rest: new Map(seen.map((element) => [element, look(element)])), seen: new Set() };
    getSelection().removeAllRanges();
    scrollTo(0, 0);
    // Tab goes on from whatever had the focus last, which may be the page's last element: here, one before its first.
    const first = document.createElement("span");
    first.tabIndex = -1;
    document.body.prepend(first);
    first.focus();
    first.remove();
    return seen.length;
}

/** Says what has the focus, whether it was there before, and what is wrong with how it shows. Runs in the page. */
function step() {
    const element = document.activeElement;
    if (!element || element === document.body) {
        return { end: true, faults: [] };
    }
    const { look, rest, seen } = window.walk;
    const again = seen.has(element);
    seen.add(element);
    const text = (element.ariaLabel || element.textContent || element.id).trim().replace(/\s+/g, " ").slice(0, 40);
    const name = `${element.localName} "${text}"`;
    const faults = [];
    if (rest.has(element) && look(element) === rest.get(element)) {
        faults.push(`${name} has the focus, and looks as before`);
    }
    // Whether a point of it is in view, and nothing lies on it.
    const boxes = [...element.getClientRects()].map(({ left, top, right, bottom }) =>
        [Math.max(left, 0), Math.max(top, 0), Math.min(right, innerWidth), Math.min(bottom, innerHeight)]);
    const shown = boxes.filter(([left, top, right, bottom]) => right - left >= 2 && bottom - top >= 2);
    const hit = (x, y) => {
        const at = document.elementFromPoint(x, y);
        return element.contains(at) || [...element.labels ?? []].includes(at);
    };
    const free = shown.some(([left, top, right, bottom]) =>
        hit((left + right) / 2, (top + bottom) / 2) || hit(left + 3, (top + bottom) / 2) || hit(right - 3, bottom - 3));
    if (!free) {
        faults.push(`${name} has the focus, and ${shown.length ? "something lies on it" : "is not in view"}`);
    }
    return { end: again, faults, skip: element.localName === "a" ? element.getAttribute("href") : "" };
}

/** Walks through the whole page with Tab. Returns what is wrong: no skip link, no visible focus, not reached. */
export async function walk(page) {
    const faults = [];
    const count = await page.evaluate(survey);
    for (let pressed = 0; ; pressed += 1) {
        await page.keyboard.press("Tab");
        const { end, faults: more, skip } = await page.evaluate(step);
        faults.push(...more);
        if (pressed === 0 && !/^#./.test(skip ?? "")) {
            faults.push("the first Tab does not reach a skip link");
        }
        // Chromium lets the keyboard reach what scrolls, tabindex or not: more stops than controls.
        if (end || pressed > 2 * count + 20) {
            break;
        }
    }
    const missed = await page.evaluate(() => [...window.walk.rest.keys()].filter((element) => !window.walk.seen.has(element))
        .map((element) => `${element.localName} "${element.textContent.trim().slice(0, 40)}"`));
    faults.push(...missed.map((name) => `${name} is not reached by Tab`));
    return faults;
}

const focused = (locator) => locator.evaluate((element) => element === document.activeElement);

/** Presses Tab until `locator` has the focus. */
async function tabTo(page, locator, limit = 200) {
    for (let pressed = 0; pressed < limit; pressed += 1) {
        if (await focused(locator)) {
            return;
        }
        await page.keyboard.press("Tab");
    }
    assert.fail(`Tab does not reach ${locator}`);
}

export async function keyboard({ browser, files, where }) {
    const name = where("iterative/in-line");
    const url = `${files.address}/${name}`;

    await test("the skip link leads into the text", () => onPage(browser, url, {}, async (page) => {
        await page.keyboard.press("Tab");
        await page.keyboard.press("Enter");
        await page.keyboard.press("Tab");
        assert.ok(await page.evaluate(() => document.querySelector("main").contains(document.activeElement)));
    }));

    await test("the table of contents on a phone: opened, closed, used, by keyboard", () => onPage(browser, url, { viewport: PHONE }, async (page) => {
        const opener = page.getByRole("button", { name: "Contents" });
        const contents = page.getByRole("navigation", { name: "Table of contents" });
        const first = contents.getByRole("link").first();
        assert.equal(await contents.isVisible(), false, "it is closed at first");
        await tabTo(page, opener, 5);
        await page.keyboard.press("Enter");
        await contents.waitFor();
        await tabTo(page, first, 3);
        await page.keyboard.press("Escape");
        await contents.waitFor({ state: "hidden" });
        await eventually("the focus is back", () => focused(opener));
        await page.keyboard.press("Enter");
        await tabTo(page, first, 3);
        const to = await first.evaluate((link) => link.href);
        await page.keyboard.press("Enter");
        await page.waitForURL(to);
        assert.equal(await contents.isVisible(), false, "it is closed on the page that was chosen");
    }));

    await test("answers unfold by keyboard", () => onPage(browser, url, {}, async (page) => {
        const summary = page.locator("main summary").first();
        await summary.focus();
        await page.keyboard.press("Enter");
        assert.ok(await summary.evaluate((summary) => summary.parentElement.open));
    }));

    await test("the arrow keys turn the page, but not from a control, a scrolling block, or the search", () => onPage(browser, url, { viewport: PHONE }, async (page) => {
        // Says where the page would go, at the moment when it decides so, and keeps it here.
        await page.evaluate(() => {
            window.turned = [];
            navigation.addEventListener("navigate", (event) => {
                // The search adds what is typed to the address.
                if (!event.destination.sameDocument) {
                    window.turned.push(event.destination.url);
                    event.preventDefault();
                }
            });
        });
        const turned = () => page.evaluate(() => window.turned.splice(0));
        const stays = async (what, keys = ["ArrowRight", "ArrowLeft"]) => {
            for (const key of keys) {
                await page.keyboard.press(key);
                assert.deepEqual(await turned(), [], `${key}: ${what}`);
            }
        };
        const block = await page.locator("main pre[tabindex='0']").first().elementHandle();
        await block.focus();
        await stays("a scrolling block");
        await page.keyboard.press("ArrowRight");
        await eventually("it scrolls", () => block.evaluate((block) => block.scrollLeft > 0), 5000);
        for (const selector of ["main summary", "main a[href]", "[popovertarget=book-contents]", "#mdbook-search-toggle"]) {
            await page.locator(selector).first().focus();
            await stays(selector);
        }
        await page.locator("[popovertarget=book-contents]").click();
        for (const theme of ["light", "dark", "auto"]) {
            const radio = page.locator(`input[name=theme][value=${theme}]`);
            await radio.focus();
            await stays(`the theme ${theme}`);
        }
        await page.keyboard.press("Escape");
        await page.evaluate(() => document.activeElement.blur());
        await stays("with a modifier", ["Control+ArrowRight", "Shift+ArrowRight", "Meta+ArrowRight"]);
        await page.keyboard.press("s");
        const bar = page.locator("#mdbook-searchbar");
        await eventually("the search has the focus", () => focused(bar));
        await page.keyboard.type("left");
        await stays("the search");
        await page.keyboard.press("Escape");
        await page.evaluate(() => document.activeElement.blur());
        const [next, previous] = await Promise.all(["next", "prev"].map((rel) => page.locator(`a[rel=${rel}]`).evaluate((link) => link.href)));
        await page.keyboard.press("ArrowRight");
        assert.deepEqual(await turned(), [next]);
        await page.keyboard.press("ArrowLeft");
        assert.deepEqual(await turned(), [previous]);
    }));
}
