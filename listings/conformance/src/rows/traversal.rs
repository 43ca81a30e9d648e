//! Row 6: traversal. Whatever the target says, a file outside the root is never served.

use crate::client::{End, exchange};
use crate::model::Model;
use crate::report::{Report, Tally};
use crate::response::{excerpt, holds};
use crate::root::CANARY;
use crate::server::Server;

/// Ways to write `..`.
static PARENTS: &[(&str, &str)] = &[
    ("..", ".."),
    ("%2e%2e", "%2e%2e"),
    ("%2E%2E", "%2E%2E"),
    (".%2e", ".%2e"),
    ("%2e.", "%2e."),
    ("%252e%252e", "%252e%252e"),
    ("%%32%65%%32%65", "%%32%65%%32%65"),
    ("overlong UTF-8 of a dot", "%c0%ae%c0%ae"),
    ("longer UTF-8 of a dot", "%e0%80%ae%e0%80%ae"),
    ("full-width dots", "%ef%bc%8e%ef%bc%8e"),
    ("%u002e", "%u002e%u002e"),
    ("three dots", "..."),
    ("four dots", "...."),
    ("dots and a space", "..%20"),
    ("dots and a NUL", "..%00"),
    ("dots and a semicolon", "..;"),
];

/// Ways to write `/`.
static SLASHES: &[(&str, &str)] = &[
    ("/", "/"),
    ("%2f", "%2f"),
    ("%252f", "%252f"),
    ("//", "//"),
    ("/./", "/./"),
    ("backslash", "\\"),
    ("%5c", "%5c"),
    ("overlong UTF-8 of a slash", "%c0%af"),
];

/// Targets that are written by hand. `{top}` is the folder around the root, as an absolute
/// path.
static TARGETS: &[&str] = &[
    "/../canary.txt",
    "/../../../../../../../../../../etc/passwd",
    "/sub/../../canary.txt",
    "/sub/deep/../../../canary.txt",
    "/sub/%2e%2e/%2e%2e/canary.txt",
    "/missing/../../canary.txt",
    "/small.txt/../../canary.txt",
    "/../root-secret/canary.txt",
    "/%2e%2e/root-secret/canary.txt",
    "/../root/../canary.txt",
    "/..",
    "/../",
    "/%2e%2e",
    "/%2e%2e%2f",
    "/..?/canary.txt",
    "/?/../../canary.txt",
    "/..#/canary.txt",
    "../canary.txt",
    "..%2fcanary.txt",
    "{top}/canary.txt",
    "/{top}/canary.txt",
    "//{top}/canary.txt",
    "/%2f{top}/canary.txt",
    "/sub/%2f{top}/canary.txt",
    "http://a/../canary.txt",
    "http://a/%2e%2e/canary.txt",
    "http://a{top}/canary.txt",
    "http://../canary.txt",
    "file://{top}/canary.txt",
    "file:///etc/passwd",
    "/%00/../canary.txt",
    "/small.txt%00/../../canary.txt",
    "/../canary.txt%00.html",
    "/..%00/canary.txt",
    "/....//canary.txt",
    "/..././canary.txt",
    "/.%00./canary.txt",
    "/.%0d./canary.txt",
    "/proc/self/root{top}/canary.txt",
    "/~/canary.txt",
    "/C:\\canary.txt",
    "/link-out",
    "/link-out?x",
    "/sub/link-out",
    "/link-absolute",
    "/link-to-link",
    "/folder-out/canary.txt",
    "/folder-out/root-secret/canary.txt",
    "/folder-out/root/small.txt/../../canary.txt",
    "/folder-out/",
    "/folder-out",
    "/folder-out/%63anary.txt",
    "/%6cink-out",
    "/link-to-itself",
    "/link-to-nowhere",
];

/// Every way to write the parent with every way to write the slash, the targets by hand,
/// and links.
pub fn run(model: &Model) -> Result<Report, String> {
    let server = Server::start(model, &[])?;
    let top = server.root.top().display().to_string();
    let mut tally = Tally::of(model);
    for (parent, up) in PARENTS {
        for (slash, separator) in SLASHES {
            let outcome = || {
                [
                    format!("/{up}{separator}canary.txt"),
                    format!("/sub{separator}{up}{separator}{up}{separator}canary.txt"),
                ]
                .into_iter()
                .try_for_each(|target| kept_inside(&server, "GET", &target))
            };
            tally.case(format!("{parent} with {slash}"), outcome);
        }
    }
    for target in TARGETS {
        let target = target.replace("{top}", &top);
        let outcome = || {
            ["GET", "HEAD", "POST"]
                .iter()
                .try_for_each(|method| kept_inside(&server, method, &target))
        };
        tally.case(&target, outcome);
    }
    tally
        .case("a link to a file inside may be followed or not", || allowed_inside(&server));
    server.conclude(tally)
}

/// One response that holds nothing from outside the root and does not blame the server.
fn kept_inside(server: &Server, method: &str, target: &str) -> Result<(), String> {
    let request = format!(
        "{method} {target} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    );
    let heard = exchange(server.address, request.as_bytes())?;
    if holds(&heard.bytes, CANARY) {
        return Err(format!("{method} {target}: the canary is served"));
    }
    let all = heard.responses(&[method == "HEAD"])?;
    match &all[..] {
        _ if heard.end == End::Open => {
            Err(format!("{method} {target}: the connection stays open"))
        }
        [one] if holds(&one.body, "root:") => Err(format!(
            "{method} {target}: a file of the system is served: {}",
            excerpt(&one.body)
        )),
        [one] if one.whole && one.status < 500 => Ok(()),
        [one] => Err(format!("{method} {target}: status {}", one.status)),
        _ => Err(format!("{method} {target}: {} responses", all.len())),
    }
}

fn allowed_inside(server: &Server) -> Result<(), String> {
    match crate::client::get(server.address, "/link-inside")? {
        response if [200, 403, 404].contains(&response.status) => Ok(()),
        response => Err(format!("status {}", response.status)),
    }
}
