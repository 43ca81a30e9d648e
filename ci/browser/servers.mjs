// The book's own servers serve the book to a browser.
import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import path from "node:path";
import { onPage, open, start, stop, test } from "./support.mjs";

/** More than any of the servers has workers. */
const IDLE = 40;
/** A page, its style and its scripts, from this machine: far less than the time after which a server gives up on the idle. */
const PATIENCE = 5_000;
const PAGES = 4;

/** Opens connections that say nothing more, after `first` has been said and answered. */
async function hold(address, count, first) {
    const { hostname, port } = new URL(address);
    const connections = [];
    for (let index = 0; index < count; index += 1) {
        const connection = net.connect(Number(port), hostname);
        connection.on("error", () => {});
        await once(connection, "connect");
        if (first) {
            connection.write(first);
            // A server may close what is idle while others wait: that is no answer, and no fault.
            await Promise.race([once(connection, "data"), once(connection, "close")]);
        }
        connections.push(connection);
    }
    return () => connections.forEach((connection) => connection.destroy());
}

export async function servers({ browser, site, names, servers }) {
    const chapters = names.filter((name) => !name.includes("/") && !["404.html", "index.html", "print.html"].includes(name));
    for (const program of servers) {
        const name = path.basename(program);
        const started = () => start(program, ["--listen", "127.0.0.1:0", "--root", site]);

        await test(`${name} serves the book, and a guestbook, to a browser`, async () => {
            const { child, address } = await started();
            await onPage(browser, `${address}/`, {}, async (page) => {
                for (const name of chapters) {
                    await page.goto(`${address}/${name}`, { waitUntil: "load" });
                }
                await page.goto(`${address}/guestbook`);
                await page.locator("input[name=remark]").fill("<b>from a browser</b>");
                await page.locator("button").click();
                await page.locator("li", { hasText: "<b>from a browser</b>" }).waitFor();
            });
            assert.equal(await stop(child), 0, "it ends with 0");
        });

        // One client at a time is what the iterative server is about: the first idle connection holds it.
        if (name === "iterative") {
            continue;
        }
        const kept = "GET /index.html HTTP/1.1\r\nHost: x\r\n\r\n";
        for (const [what, said] of [["that have said nothing", ""], ["kept open after a request", kept]]) {
            await test(`${name} serves the book while ${IDLE} connections ${what} are held`, async () => {
                const { child, address } = await started();
                const close = await hold(address, IDLE, said);
                const since = Date.now();
                const [first, ...others] = chapters.slice(0, PAGES);
                await onPage(browser, `${address}/${first}`, {}, async (page) => {
                    for (const name of others) {
                        await open(page, `${address}/${name}`);
                    }
                });
                const took = Date.now() - since;
                console.log(`  ${PAGES} pages in ${(took / 1000).toFixed(1)} s`);
                assert.ok(took < PAGES * PATIENCE, `${PAGES} pages took ${took} ms`);
                close();
                assert.equal(await stop(child), 0, "it ends with 0");
            });
        }
    }
}
