// The step-by-step simulator of a loop.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { COLOURS, violations } from "./axe.mjs";
import { tooWide } from "./layout.mjs";
import { paper } from "./print.mjs";
import { NARROW, PHONE, eventually, installed, none, onPage, resize, test } from "./support.mjs";

/** The simulator of a page, and what was recorded. */
async function simulator(page) {
    const box = page.locator(".steps.live").first();
    const name = (name) => box.getByRole("button", { name, exact: true });
    return {
        box,
        step: name("Step"), back: name("Back"), end: name("To the end"), restart: name("Restart"),
        choices: box.locator(".steps-choice"),
        why: box.getByRole("status"),
        log: box.getByRole("log"),
        score: box.locator(".steps-score"),
        ...await box.locator("script").evaluate((script) => JSON.parse(script.textContent)),
    };
}

/** Keeps the page here, and notes where the keys would have led. */
const keepHere = (page) => page.evaluate(() => {
    window.turned = [];
    navigation.addEventListener("navigate", (event) => {
        if (!event.destination.sameDocument) {
            window.turned.push(event.destination.url);
            event.preventDefault();
        }
    });
});
const turned = (page) => page.evaluate(() => window.turned.splice(0));

/** Gives the page a theme; its script hears of it a moment later. */
async function theme(page, scheme) {
    await page.emulateMedia({ colorScheme: scheme });
    await eventually(`the page is ${scheme}`, () => page.evaluate((scheme) => document.documentElement.classList.contains(scheme), scheme));
}

/** What is shown of the recording's state, in the form in which it was recorded. */
const shown = ({ box }) => box.evaluate((box) => {
    const text = (selector) => [...box.querySelectorAll(selector)].map((element) => element.textContent);
    return {
        waits: box.querySelector(".steps-waits").textContent,
        rows: [...box.querySelectorAll(".steps-kernel tbody tr")].map((row) =>
            [row.querySelector(".steps-status").textContent, ...[...row.cells].slice(1).map((cell) => cell.textContent)]),
        ready: [...box.querySelectorAll(".steps-list .steps-ready li")].map((entry) => [entry.firstChild.data, !entry.classList.contains("stale")]),
        // Of a ring, the two queues: their heads and tails, and the entries in between.
        queues: [...box.querySelectorAll(".steps-queue")].map((queue) => [
            ...queue.querySelector(".steps-ends").textContent.match(/\d+/g).map(Number),
            [...queue.querySelectorAll("li")].map((entry) => [entry.firstChild.textContent, entry.lastChild.data]),
        ]),
        now: text(".steps-loop .now > b"),
        call: box.querySelector(".steps-call").textContent,
        asleep: box.classList.contains("asleep"),
    };
});

/** What stands in the queues of a frame, as a table says it: each mark with its entry. */
const entries = ({ submission, completion }) =>
    [submission, completion].flatMap((queue) => queue?.[2] ?? []).map(([mark, what]) => `${mark} ${what}`);

export async function steps({ browser, files, names, text }) {
    const pages = names.filter((name) => name !== "print.html" && /class="steps[ "]/.test(text(name)));
    const at = (name) => `${files.address}/${name}`;
    // One of each kind: a loop that makes calls, and one that has two queues.
    const rings = pages.find((name) => text(name).includes('class="steps rings"'));
    const kinds = [pages[0], ...(rings ? [rings] : [])];

    await test(`a simulator in ${pages.length} chapters; by keyboard to the end and back, and every state is the recorded one`, async () => {
        assert.ok(pages.length > 0, "no chapter has a simulator");
        assert.ok(pages[0] !== rings, "one of each kind");
        for (const name of pages) {
            await onPage(browser, at(name), {}, async (page) => {
                const loop = await simulator(page);
                await keepHere(page);
                await loop.step.focus();
                for (const [n, frame] of loop.frames.entries()) {
                    const state = await shown(loop);
                    const columns = loop.keeps ? 3 : 4;
                    assert.deepEqual(state.rows, frame.rows.map((row) => row.slice(0, columns)), `${name}: state ${n}`);
                    assert.deepEqual(state.ready, frame.ready ?? [], `${name}: ready list ${n}`);
                    assert.deepEqual(state.queues, loop.rings ? [frame.submission, frame.completion] : [], `${name}: queues ${n}`);
                    assert.ok(!frame.question || await loop.box.getByText(frame.question, { exact: true }).isVisible(), `${name}: question ${n}`);
                    assert.equal(state.waits, frame.waits);
                    assert.equal(state.asleep, frame.asleep);
                    assert.deepEqual(state.now, frame.labels ?? (frame.label ? [frame.label] : []));
                    assert.ok(state.call.includes(frame.call ?? "") && state.call.includes(frame.answer ?? ""), state.call);
                    assert.equal(await loop.log.locator("p").count(), n + 1);
                    const told = await loop.log.locator("p").last().innerText();
                    const tells = [frame.does?.replace(/\.$/, ""), ...[frame.submission, frame.completion].flatMap((queue) => queue?.[2] ?? []).map(([, what]) => what)];
                    // What arrives while it is held is told alone.
                    assert.ok(!frame.call && !frame.does || tells.every((text) => told.includes(text ?? "")), `${name}: log ${n}: ${told}`);
                    await page.keyboard.press("ArrowRight");
                }
                assert.equal(await loop.step.getAttribute("aria-disabled"), "true", "it has ended");
                assert.match(await loop.log.innerText(), new RegExp(`^${loop.calls}\\. `, "m"));
                assert.ok(await loop.log.evaluate((log) => log.scrollTop + log.clientHeight >= log.scrollHeight - 2), "the log's end is in view");
                for (let n = 0; n <= loop.frames.length; n += 1) {
                    await page.keyboard.press("ArrowLeft");
                }
                assert.equal(await loop.log.locator("p").count(), 1);
                assert.equal(await loop.back.getAttribute("aria-disabled"), "true");
                assert.deepEqual(await turned(page), [], "the page stays");
                assert.equal(await loop.score.innerText(), "", "nothing was predicted");
            });
        }
    });

    for (const kind of kinds) await test(`${kind}: what comes next is predicted, right and wrong; the log and the score say so`, async () => {
        await onPage(browser, at(kind), {}, async (page) => {
            const loop = await simulator(page);
            const [{ choices }] = loop.frames;
            const right = choices.findIndex(([, , right]) => right);
            const wrong = choices.findIndex(([, , right]) => !right);
            await loop.step.focus();
            await page.keyboard.press(String(right + 1));
            assert.match(await loop.choices.nth(right).innerText(), /yes/);
            assert.equal(await loop.why.innerText(), choices[right][1]);
            await page.keyboard.press(String(wrong + 1));
            assert.doesNotMatch(await loop.choices.nth(wrong).innerText(), /no$/, "it is decided");
            assert.equal(await loop.score.innerText(), "1 of 1 predicted");
            await page.keyboard.press("ArrowRight");
            assert.match(await loop.log.locator("p").last().innerText(), /You said so\.$/);
            await loop.restart.click();
            assert.equal(await loop.score.innerText(), "");

            // The other way: by button, wrong, and then right, which is a second try.
            await loop.choices.nth(wrong).focus();
            await page.keyboard.press("Enter");
            assert.match(await loop.choices.nth(wrong).innerText(), /no$/);
            assert.equal(await loop.why.innerText(), choices[wrong][1]);
            await loop.choices.nth(right).click();
            assert.match(await loop.choices.nth(right).innerText(), /yes/);
            assert.equal(await loop.score.innerText(), "0 of 1 predicted");
            // From the button, which keeps the focus as long as there is something to choose.
            await page.keyboard.press("ArrowRight");
            const said = await loop.log.locator("p").last().innerText();
            assert.ok(said.endsWith(`You had said ${choices[wrong][0]}.`), said);
            // Nothing can be chosen while the loop sleeps, and the focus is not lost.
            const asleep = loop.frames.findIndex((frame) => frame.asleep);
            for (let n = 1; n < asleep; n += 1) {
                await page.keyboard.press("ArrowRight");
            }
            assert.equal(await loop.choices.first().isVisible(), false);
            assert.ok(await loop.step.evaluate((step) => step === document.activeElement));
            await page.keyboard.press("1");
            assert.equal(await loop.score.innerText(), "0 of 1 predicted");
            for (let n = 0; n < asleep; n += 1) {
                await page.keyboard.press("ArrowLeft");
            }
            assert.match(await loop.choices.nth(wrong).innerText(), /no$/, "what was said is remembered");
            await loop.end.click();
            assert.equal(await loop.log.locator("p").count(), loop.frames.length);
        });
    });

    await test("the arrow keys step inside of it and turn the page outside; with a modifier they do neither", async () => {
        await onPage(browser, at(pages[0]), { viewport: PHONE }, async (page) => {
            const loop = await simulator(page);
            await keepHere(page);
            // A click beside the controls.
            await loop.box.locator(".steps-count").click();
            await page.keyboard.press("ArrowRight");
            assert.equal(await loop.log.locator("p").count(), 2);
            for (const key of ["Control+ArrowRight", "Shift+ArrowRight", "Control+1"]) {
                await page.keyboard.press(key);
            }
            assert.equal(await loop.log.locator("p").count(), 2);
            // In the table they scroll.
            await loop.box.locator("summary").click();
            const table = loop.box.locator(".table-wrapper");
            await eventually("the table can be reached", () => table.evaluate((table) => table.tabIndex === 0));
            await table.focus();
            await page.keyboard.press("ArrowRight");
            await eventually("it scrolls", () => table.evaluate((table) => table.scrollLeft > 0), 5000);
            assert.equal(await loop.log.locator("p").count(), 2);
            assert.deepEqual(await turned(page), []);
            await page.evaluate(() => document.activeElement.blur());
            await page.keyboard.press("ArrowRight");
            assert.equal((await turned(page)).length, 1, "from the text it turns the page");
        });
    });

    await test("in every state of it: axe, in both themes; nothing too wide at 320 px", async () => {
        const faults = [];
        for (const name of pages) {
            await onPage(browser, at(name), {}, async (page) => {
                const loop = await simulator(page);
                const asleep = loop.frames.findLastIndex((frame, n) => frame.asleep && n < loop.frames.length - 1);
                await loop.step.focus();
                for (let n = 0; n < asleep + 4; n += 1) {
                    await page.keyboard.press("1");
                    await page.keyboard.press("2");
                    if ([0, asleep, asleep + 3].includes(n)) {
                        await theme(page, "light");
                        faults.push(...(await violations(page)).map((fault) => [`state ${n}: ${fault}`, name]));
                        await theme(page, "dark");
                        faults.push(...(await violations(page, COLOURS)).map((fault) => [`state ${n}, dark: ${fault}`, name]));
                    }
                    await page.keyboard.press("ArrowRight");
                }
                await resize(page, NARROW);
                await loop.restart.click();
                await loop.step.focus();
                for (let n = 0; n < loop.frames.length; n += 1) {
                    faults.push(...(await tooWide(page)).map((fault) => [`state ${n}: ${fault}`, name]));
                    await page.keyboard.press("ArrowRight");
                }
            });
        }
        none(faults);
    });

    await test("bytes move where motion is welcome, and only there", async () => {
        const motions = async (kind, reducedMotion) => {
            let most = 0;
            await onPage(browser, at(kind), { reducedMotion }, async (page) => {
                const loop = await simulator(page);
                await loop.step.focus();
                for (let n = 0; n < 8; n += 1) {
                    await page.keyboard.press("ArrowRight");
                    most = Math.max(most, await loop.box.evaluate((box) => box.getAnimations({ subtree: true }).length));
                }
            });
            return most;
        };
        for (const kind of kinds) {
            assert.ok(await motions(kind, "no-preference") > 0, kind);
            assert.equal(await motions(kind, "reduce"), 0, kind);
        }
    });

    await test("without script and on paper there is the table of all calls, and nothing to press", async () => {
        for (const name of pages) {
            let recording;
            await onPage(browser, at(name), {}, async (page) => {
                recording = await simulator(page);
                const faults = await paper(page);
                none(faults.map((fault) => [fault, name]));
                if (installed("pdftotext")) {
                    const pdf = await page.pdf({ preferCSSPageSize: true, format: "A4" });
                    const printed = execFileSync("pdftotext", ["-raw", "-", "-"], { input: pdf, encoding: "utf8", maxBuffer: 1 << 26 });
                    const bare = (text) => text.normalize("NFKC").replace(/[\s\u00ad-]+/g, "");
                    const calls = recording.frames.flatMap(({ call, answer, arrived, ...frame }) => [call, answer, ...arrived ?? [], ...entries(frame)]);
                    if (recording.rings) {
                        calls.push(await recording.box.locator(".steps-seen").textContent());
                    }
                    const missing = calls.filter((text) => text && !bare(printed).includes(bare(text)));
                    assert.deepEqual(missing, [], `${name}: not printed`);
                    assert.ok(!bare(printed).includes("Whichsystemcallisnext"), "the question is not printed");
                }
            });
            const context = await browser.newContext({ javaScriptEnabled: false });
            const page = await context.newPage();
            await page.goto(at(name));
            const steps = page.locator(".steps");
            assert.equal(await steps.locator("tbody tr").count(), recording.calls);
            assert.ok(await steps.locator("tbody tr").last().isVisible());
            const table = await steps.locator("table").textContent();
            const missing = recording.frames.filter(({ call, answer }) => !table.includes(call ?? "") || !table.includes(answer ?? ""));
            assert.deepEqual(missing, []);
            assert.deepEqual(recording.frames.flatMap(entries).filter((text) => !table.includes(text)), []);
            assert.equal(await steps.locator(".steps-seen").count(), recording.rings ? 1 : 0, "what was seen, and what is derived");
            assert.equal(await steps.locator("button").count(), 0);
            await context.close();
        }
    });
}
