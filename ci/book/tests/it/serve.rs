//! Row 25 of the fault table: the book's own server, which executes programs, and everybody
//! who must not make it.

use std::fs;
use std::net::TcpStream;
use std::path::Path;

use rustix::process::Signal;

use crate::client::{Answer, Server, alive, eventually};
use crate::fixture::Fixture;

#[test]
fn a_run_reaches_the_page_while_it_runs() {
    let book = Fixture::new();
    let server = Server::start(book.program());
    let mut run = server.run("napper/wait");
    assert!(run.event()["kernel"].as_str().unwrap().starts_with("Linux "));
    while !run.until("build")["line"].as_str().unwrap().contains("Compiling napper") {}
    assert_eq!(run.until("started")["command"], "napper wait");
    assert_eq!(run.event()["line"], "waiting");
    // It waits for us, so what has arrived has arrived before the end.
    book.write("go", "");
    let mut rest = [run.event(), run.event()];
    rest.sort_by_key(|event| event["event"].to_string());
    assert_eq!(
        (&rest[0]["event"], &rest[0]["line"]),
        (&"err".into(), &"on standard error".into())
    );
    assert_eq!((&rest[1]["event"], &rest[1]["line"]), (&"out".into(), &"gone on".into()));
    let ended = run.event();
    assert_eq!((&ended["ok"], &ended["how"]), (&true.into(), &"exit status 0".into()));
    assert!(ended["ms"].as_f64().unwrap() > 0.0);
    assert_eq!(run.line(), None);
}

#[test]
fn a_trace_reaches_the_page_as_a_drawing() {
    let book = Fixture::new();
    let server = Server::start(book.program());
    let page = server.get("/one.html").text();
    assert!(page.contains("<meta name=\"traced-runs\" content=\"napper/server\">"));
    let trace = || server.post("/api/trace", r#"{"name":"napper/server"}"#);

    let mut run = trace();
    assert!(run.event()["kernel"].as_str().unwrap().starts_with("Linux "));
    let command = "cargo trace -p napper --bare -- server";
    assert_eq!(run.until("started")["command"], command);
    assert_eq!(run.event()["line"], "-p napper --bare -- server");
    let drawn = run.event();
    assert_eq!(drawn["svg"], "<svg class=\"timeline\"></svg>", "{drawn}");
    assert_eq!(run.event()["how"], "exit status 0");
    assert_eq!(run.line(), None);
    let left = fs::read_dir(book.path().join("target/trace/served")).unwrap();
    assert_eq!(left.count(), 0, "what was shown is not kept");

    // Where tracing is forbidden there is one line, and no drawing.
    book.write("refuse", "");
    let mut run = trace();
    assert_eq!(run.until("err")["line"], "cannot trace a program: EPERM");
    assert_eq!(run.event()["how"], "exit status 2");
    fs::remove_file(book.path().join("refuse")).unwrap();

    // One at a time, which ends with its page. Beside it something may run.
    book.write("hold", "");
    let mut run = trace();
    let id = run.event()["id"].as_str().unwrap().to_owned();
    run.until("out");
    let pid = run.pid();
    assert_eq!(trace().status, 429);
    assert_eq!(server.run("napper/fails").until("ended")["how"], "exit status 3");
    assert_eq!(server.post("/api/stop", &format!("{{\"id\":\"{id}\"}}")).status, 204);
    assert_eq!(run.until("ended")["how"], "stopped: ended by SIGTERM");
    assert!(!alive(pid));
    let mut run = trace();
    run.until("out");
    let pid = run.pid();
    drop(run);
    eventually("the tracer is gone", || !alive(pid));
}

#[test]
fn only_a_server_of_the_book_is_traced_and_only_by_its_pages() {
    let book = Fixture::new();
    let server = Server::start(book.program());
    for name in ["napper/wait", "napper/none", "trace", "napper/server --clients 9"] {
        let answer = server.post("/api/trace", &format!("{{\"name\":\"{name}\"}}"));
        assert_eq!(answer.status, 404, "{name}");
    }
    let (host, token) = (format!("Host: {}", server.host()), server.token());
    let token = format!("X-Run-Token: {token}");
    let own = format!("Origin: http://{}", server.host());
    let post = |origin: &str, token: &str| {
        let kind = "Content-Type: application/json";
        let head = ["POST /api/trace HTTP/1.0", &host, origin, token, kind];
        server.send(&head, r#"{"name":"napper/server"}"#).status
    };
    assert_eq!(post("Origin: https://evil.example", &token), 403);
    assert_eq!(post(&own, "X-Run-Token: 0"), 403);
    assert!(!book.path().join("target/debug").exists(), "something was compiled");
}

#[test]
fn only_a_page_of_the_book_can_run_something() {
    let book = Fixture::new();
    book.write("go", "");
    let server = Server::start(book.program());
    let (host, token) = (server.host(), server.token());
    let port = server.port;
    let name = r#"{"name":"napper/wait"}"#;
    let post = |host: &str, origin: &str, token: &str, body: &str| {
        let lines = [host, origin, token, "Content-Type: application/json"];
        let head: Vec<&str> = ["POST /api/run HTTP/1.0"]
            .into_iter()
            .chain(lines)
            .filter(|line| !line.is_empty())
            .collect();
        server.send(&head, body).status
    };
    let own_host = &format!("Host: {host}");
    let own_origin = &format!("Origin: http://{host}");
    let own_token = &format!("X-Run-Token: {token}");

    for forged in [
        "Host: evil.example",
        &format!("Host: evil.example:{port}"),
        "Host: 127.0.0.1",
        "Host: localhost:1",
        "Host:",
        "",
    ] {
        assert_eq!(post(forged, own_origin, own_token, name), 421, "{forged:?}");
        let page = server.send(
            &["GET /one.html HTTP/1.0", forged]
                .map(|line| if line.is_empty() { "X: y" } else { line }),
            "",
        );
        assert_eq!(page.status, 421, "{forged:?}");
        assert!(!page.text().contains(&token));
    }
    for foreign in [
        "Origin: https://evil.example",
        "Origin: null",
        &format!("Origin: https://{host}"),
        &format!("Origin: http://localhost:{port}"),
        &format!("Origin: http://{host}.evil.example"),
        "",
    ] {
        assert_eq!(post(own_host, foreign, own_token, name), 403, "{foreign:?}");
    }
    for wrong in [
        "",
        "X-Run-Token:",
        "X-Run-Token: 0",
        &format!("X-Run-Token: {token}0"),
        "X-Run-Token: 00000000000000000000000000000000",
    ] {
        assert_eq!(post(own_host, own_origin, wrong, name), 403, "{wrong:?}");
    }
    for unknown in [
        "",
        "napper",
        "napper/",
        "napper/none",
        "../napper/wait",
        "napper/wait --help",
        "sh",
    ] {
        let body = format!("{{\"name\":\"{unknown}\"}}");
        assert_eq!(post(own_host, own_origin, own_token, &body), 404, "{unknown:?}");
    }
    assert_eq!(post(own_host, own_origin, own_token, "not JSON"), 400);
    assert_eq!(
        post(
            own_host,
            own_origin,
            own_token,
            &format!("{{\"name\":\"{}\"}}", "x".repeat(10_000))
        ),
        413
    );
    assert_eq!(server.get("/api/run").status, 403);
    assert!(!book.path().join("target/release").exists(), "something was compiled");

    // The same request with everything in place is served, under either name.
    assert_eq!(post(own_host, own_origin, own_token, name), 200);
    let (host, origin) =
        (&format!("Host: localhost:{port}"), &format!("Origin: http://localhost:{port}"));
    assert_eq!(post(host, origin, own_token, name), 200);
}

#[test]
fn no_path_leads_out_of_the_site() {
    let book = Fixture::new();
    book.write("target/canary", "canary");
    book.write("canary", "canary");
    let server = Server::start(book.program());
    assert_eq!(server.get("/one.html").status, 200);
    for path in [
        "/../canary",
        "/../../canary",
        "/%2e%2e/canary",
        "/%2e%2e%2fcanary",
        "/..%2fcanary",
        "/..%5ccanary",
        "/..\\canary",
        "/deep/../../canary",
        "/deep/%2e%2e/%2e%2e/canary",
        "/%252e%252e/canary",
        "/.%2e/canary",
        "//canary",
        "/./../canary",
        "/one.html/../../canary",
        "/%00",
        "/one.html%00",
        "/%c0%ae%c0%ae/canary",
        &format!("/{}", book.path().join("canary").display()),
        &format!("/file://{}", book.path().join("canary").display()),
    ] {
        let answer = server.get(path);
        assert!((400..500).contains(&answer.status), "{path}: {}", answer.status);
        assert!(!answer.text().contains("canary\n"), "{path}");
    }
    assert_eq!(
        server
            .send(&["DELETE /one.html HTTP/1.0", &format!("Host: {}", server.host())], "")
            .status,
        405
    );
}

#[test]
fn a_page_that_goes_away_takes_its_run_along() {
    let book = Fixture::new();
    let server = Server::start(book.program());
    let mut run = server.run("napper/family");
    let pids = [run.pid(), run.pid()];
    assert!(pids.iter().all(|&pid| alive(pid)));
    drop(run);
    eventually("both processes are gone", || !pids.iter().any(|&pid| alive(pid)));

    let mut run = server.run("napper/stubborn");
    let pid = run.pid();
    drop(run);
    eventually("a process that ignores SIGTERM is gone", || !alive(pid));
}

#[test]
fn a_page_that_goes_away_ends_compiling() {
    let book = Fixture::new();
    // A build script that never ends stands for a long compilation.
    book.write(
        "listings/napper/build.rs",
        "fn main() {
            std::fs::write(\"pid\", std::process::id().to_string()).unwrap();
            loop { std::thread::park() }
        }",
    );
    let server = Server::start(book.program());
    let run = server.run("napper/wait");
    let pid = || {
        fs::read_to_string(book.path().join("listings/napper/pid"))
            .ok()
            .and_then(|pid| pid.parse::<u32>().ok())
    };
    eventually("the build script runs", || pid().is_some_and(alive));
    drop(run);
    eventually("the build script is gone", || !alive(pid().unwrap()));
}

#[test]
fn stop_ends_the_run_and_the_page_learns_how() {
    let book = Fixture::new();
    let server = Server::start(book.program());
    let mut run = server.run("napper/family");
    let id = run.event()["id"].as_str().unwrap().to_owned();
    let pids = [run.pid(), run.pid()];
    assert_eq!(server.post("/api/stop", "{\"id\":\"0\"}").status, 404);
    assert_eq!(server.post("/api/stop", &format!("{{\"id\":\"{id}\"}}")).status, 204);
    let ended = run.until("ended");
    assert_eq!(
        (&ended["ok"], &ended["how"]),
        (&false.into(), &"stopped: ended by SIGTERM".into())
    );
    assert!(!pids.iter().any(|&pid| alive(pid)));
    assert_eq!(server.post("/api/stop", &format!("{{\"id\":\"{id}\"}}")).status, 404);
}

#[test]
fn a_server_shows_its_address_until_it_is_stopped() {
    let book = Fixture::new();
    let server = Server::start(book.program());
    let mut run = server.run("napper/server");
    let id = run.event()["id"].as_str().unwrap().to_owned();
    let listening = run.until("listening");
    let url = listening["url"].as_str().unwrap();
    assert_eq!(listening["tries"][0], format!("curl {url}/"));
    let address = url.strip_prefix("http://").unwrap();
    TcpStream::connect(address).unwrap();
    server.post("/api/stop", &format!("{{\"id\":\"{id}\"}}"));
    run.until("ended");
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn a_run_that_fails_says_how() {
    let book = Fixture::new();
    let server = Server::start(book.program());
    let ended = |name: &str| server.run(name).until("ended");
    assert_eq!(ended("napper/fails")["how"], "exit status 3");
    assert_eq!(ended("napper/short")["how"], "time limit of 1 s reached: ended by SIGTERM");

    let mut run = server.run("napper/wrong");
    let mut lines = String::new();
    let ended = loop {
        let event = run.event();
        match event["event"].as_str().unwrap() {
            "build" => lines.push_str(event["line"].as_str().unwrap()),
            "ended" => break event,
            _ => {}
        }
    };
    assert!(lines.contains("error: expected"), "{lines}");
    assert_eq!(ended["how"], "compiling failed");

    let mut run = server.run("napper/under");
    assert!(
        run.until("err")["line"]
            .as_str()
            .unwrap()
            .starts_with("cannot start no-such-program-here: ")
    );
    assert_eq!(run.until("ended")["how"], "exit status 127");
}

#[test]
fn without_cargo_the_page_says_so() {
    let book = Fixture::new();
    let mut program = book.program();
    program.env_remove("CARGO").env("PATH", book.path());
    let server = Server::start(program);
    let mut run = server.run("napper/wait");
    assert!(
        run.until("build")["line"].as_str().unwrap().starts_with("cannot start cargo: ")
    );
    assert_eq!(run.until("ended")["how"], "compiling failed");
}

#[test]
fn four_runs_at_once_and_no_more() {
    let book = Fixture::new();
    let server = Server::start(book.program());
    let mut runs: Vec<_> = (0..4).map(|_| server.run("napper/family")).collect();
    let pids: Vec<u32> = runs.iter_mut().map(Answer::pid).collect();
    assert_eq!(server.post("/api/run", r#"{"name":"napper/family"}"#).status, 429);
    drop(runs.pop());
    eventually("a place is free again", || {
        server.post("/api/run", r#"{"name":"napper/fails"}"#).status == 200
    });
    drop(runs);
    eventually("all are gone", || !pids.iter().any(|&pid| alive(pid)));
}

#[test]
fn nothing_outlives_the_server() {
    for signal in [Signal::TERM, Signal::INT] {
        let book = Fixture::new();
        let mut server = Server::start(book.program());
        let mut run = server.run("napper/stubborn");
        let pid = run.pid();
        server.signal(signal);
        assert_eq!(server.child.wait().unwrap().code(), Some(0), "{signal:?}");
        assert!(!alive(pid), "{signal:?}: gone before the server is");
    }

    let book = Fixture::new();
    let mut server = Server::start(book.program());
    let mut run = server.run("napper/family");
    let pids = [run.pid(), run.pid()];
    server.signal(Signal::KILL);
    server.child.wait().unwrap();
    eventually("both processes are gone", || !pids.iter().any(|&pid| alive(pid)));
}

#[test]
fn a_change_is_built_and_an_error_is_shown_until_it_is_mended() {
    let book = Fixture::new();
    let server = Server::start(book.program());
    let mut events = server.get("/api/events");
    let first = events.state();
    assert_eq!(first["error"], serde_json::Value::Null);

    book.write("src/one.md", "# One\n\nAnother sentence.\n");
    let second = events.state();
    assert_ne!(first["version"], second["version"]);
    let page = server.get("/one.html").text();
    assert!(
        page.contains("Another sentence.")
            && page.contains(second["version"].as_str().unwrap())
    );

    book.write(
        "src/one.md",
        "# One\n\n{{#include ../listings/napper/src/main.rs:nowhere}}\n",
    );
    let broken = events.state();
    assert_eq!(broken["version"], second["version"]);
    assert!(broken["error"].as_str().unwrap().starts_with("src/one.md:3: "), "{broken}");
    assert!(
        server.get("/one.html").text().contains("Another sentence."),
        "the last good page stays"
    );

    let anchored = "// ANCHOR: nowhere\n// Here.\n// ANCHOR_END: nowhere\n";
    book.write("listings/napper/src/main.rs", &format!("fn main() {{}}\n{anchored}"));
    let mended = events.state();
    assert_eq!(mended["error"], serde_json::Value::Null);
    assert!(server.get("/one.html").text().contains("// Here."));
}

#[test]
fn a_book_that_never_built_is_served_as_its_error() {
    let book = Fixture::new();
    book.write("src/one.md", "{{#include nothing.md}}\n");
    let server = Server::start(book.program());
    let page = server.get("/");
    assert_eq!(page.status, 503);
    assert!(page.text().contains("/api/live.js"));
    let mut events = server.get("/api/events");
    assert!(events.state()["error"].as_str().unwrap().starts_with("src/one.md:1: "));
    book.write("src/one.md", "# Mended\n");
    assert_eq!(events.state()["error"], serde_json::Value::Null);
    assert_eq!(server.get("/").status, 200);
}

#[test]
fn no_script_runs_but_the_servers_own() {
    let book = Fixture::new();
    let server = Server::start(book.program());
    let answer = server.get("/one.html");
    let policy = answer
        .head
        .lines()
        .find_map(|line| line.strip_prefix("content-security-policy: "))
        .unwrap();
    let scripts = policy.split(';').find(|part| part.contains("script-src")).unwrap();
    assert_eq!(scripts.trim(), "script-src 'self'", "none that stands in a page");
    // A page is never taken from a cache: its token is that of this start.
    let mut head =
        vec!["GET /one.html HTTP/1.0".to_owned(), format!("Host: {}", server.host())];
    head.push("If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT".to_owned());
    let head: Vec<&str> = head.iter().map(String::as_str).collect();
    assert_eq!(server.send(&head, "").status, 200);
    assert!(
        !Path::new(&book.path().join("book")).exists(),
        "nothing is written beside the sources"
    );
}
