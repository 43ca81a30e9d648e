// The table that grows with the chapters: who waits?
import { none, onPage, test } from "./support.mjs";

export async function waits({ browser, files, names, text }) {
    const chapters = names.filter((name) => !["print.html", "index.html"].includes(name) && text(name).includes('class="waits"'));

    await test(`who waits? is answered in ${chapters.length} chapters, each marks its row, the rows above lead to theirs`, async () => {
        const faults = [];
        let rows = 0;
        await onPage(browser, `${files.address}/${chapters[0]}`, {}, async (page) => {
            for (const name of chapters) {
                await page.goto(`${files.address}/${name}`);
                const found = await page.locator(".waits table").first().evaluate((table) => ({
                    caption: table.caption?.textContent.trim(),
                    own: [...table.querySelectorAll("tr.this")].map((row) => row.cells[0].textContent),
                    links: [...table.querySelectorAll("tbody tr:not(.this)")].map((row) => row.cells[0].querySelector("a")?.getAttribute("href")),
                }));
                const check = (holds, what) => holds || faults.push([what, name]);
                const all = name === "who-waits.html";
                check(found.caption, "the table has no caption");
                check(found.own.length === (all ? 0 : 1), `${found.own.length} rows are marked as this chapter's`);
                check(found.own.every((label) => label.includes("this chapter")), "the mark is not said in words");
                check(found.links.every((link) => names.includes(link?.split("#")[0])), `a row leads nowhere: ${found.links}`);
                rows = Math.max(rows, found.links.length + found.own.length);
            }
        });
        if (rows < 2) {
            faults.push([`at most ${rows} rows`, "all"]);
        }
        none(faults);
    });
}
