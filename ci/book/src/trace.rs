//! A trace: `cargo trace` for the server of a run, whose timeline is shown in the page.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use runs::{Kind, Run};
use tokio::sync::mpsc::Sender;

use crate::phase::Phase;
use crate::run::{Event, Stop, build, over, quoted};

/// How long a trace may take. The server is asked twice, each time by three clients.
const LIMIT: Duration = Duration::from_secs(120);
/// The tracer's program.
const TRACER: &str = "trace";
/// The tracer's clients speak HTTP, and its servers do.
const OTHERS: [&str; 1] = ["ftp"];

/// What follows `cargo trace` so that it traces the server of `run`. None: it is no server
/// that the tracer can ask, or it runs under another program already.
pub fn arguments(run: &Run) -> Option<Vec<String>> {
    if run.kind != Kind::Server
        || !run.via.is_empty()
        || OTHERS.contains(&run.package.as_str())
    {
        return None;
    }
    let mut words = vec!["-p".to_owned(), run.package.clone()];
    if run.bin != run.package {
        words.extend(["--bin".to_owned(), run.bin.clone()]);
    }
    let mut rest = Vec::new();
    if run.args.iter().any(|word| word == "--listen") {
        let mut args = run.args.iter();
        while let Some(word) = args.next() {
            match word.as_str() {
                // The tracer says these itself, and starts the store.
                "--listen" | "--root" => drop(args.next()),
                "--store-delay" => words.extend([word.clone(), args.next()?.clone()]),
                _ => rest.push(word.clone()),
            }
        }
    } else {
        // A small one, which has no flags.
        words.push("--bare".to_owned());
        rest.clone_from(&run.args);
    }
    if !rest.is_empty() {
        words.push("--".to_owned());
        words.append(&mut rest);
    }
    Some(words)
}

/// Compiles the tracer and the server of `run`, traces it, and tells the page. `id` names it;
/// the rest is as in [`run::run`](crate::run::run).
pub async fn trace(
    root: &Path,
    book: &Path,
    run: &Run,
    id: &str,
    events: &Sender<Event>,
    mut stop: Stop,
) {
    if let Err(error) = steps(root, book, run, id, events, &mut stop).await {
        let how = format!("not traced: {error}");
        let _ = events.send(Event::Ended { ok: false, how, ms: 0.0 }).await;
    }
}

async fn steps(
    root: &Path,
    book: &Path,
    run: &Run,
    id: &str,
    events: &Sender<Event>,
    stop: &mut Stop,
) -> io::Result<()> {
    let words = arguments(run).ok_or_else(|| io::Error::other("it is no such server"))?;
    // The tracer would build the server itself. So the page sees that, too.
    let tracer = Run { bin: TRACER.to_owned(), ..run.clone() };
    let command = runs::build_command(root, [run, &tracer]);
    let Some(executable) = build(book, &command, &tracer, events, stop).await? else {
        return Ok(());
    };

    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let shown: Vec<String> = words.iter().map(|word| quoted(word)).collect();
    let command = format!("cargo trace {}", shown.join(" "));
    let _ = events.send(Event::Started { command }).await;
    let (out, name) = (root.join("target").join("trace").join("served"), id.to_owned());
    let drawing = out.join(&name).with_extension("svg");
    let mut program = Command::new(executable);
    program.current_dir(root).env_remove("RUSTC");
    program.arg("--out").arg(&out).args(["--name", &name]).args(&words);
    let mut tracing = Phase::start(book, &program)?;
    tracing.stderr(events, |line| vec![Event::Err { line }]);
    // The last line says where the drawing is; the page has it.
    let end = drawing.display().to_string();
    tracing.stdout(events, move |line| match line == end {
        true => Vec::new(),
        false => vec![Event::Out { line }],
    });
    let ended = tracing.wait(LIMIT, stop).await?;
    if ended.is_well() {
        let svg = fs::read_to_string(&drawing)?;
        let _ = events.send(Event::Drawn { svg }).await;
    }
    for ending in ["json", "svg", "md"] {
        let _ = fs::remove_file(drawing.with_extension(ending));
    }
    let _ = events.send(over(&ended)).await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(args: &[&str]) -> Option<String> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let all = runs::load(&root).expect("the runs of this book");
        let mut run = all["iterative/serve"].clone();
        run.args = args.iter().map(|arg| (*arg).to_owned()).collect();
        Some(arguments(&run)?.join(" "))
    }

    #[test]
    fn a_server_is_traced_with_its_own_flags() {
        let common = ["--listen", "127.0.0.1:0", "--root", "src"];
        let with = |more: &[&str]| shown(&[&common, more].concat());
        assert_eq!(with(&[]).as_deref(), Some("-p iterative"));
        assert_eq!(
            with(&["--workers", "4", "--store-delay", "500"]).as_deref(),
            Some("-p iterative --store-delay 500 -- --workers 4")
        );
        let bare = shown(&["127.0.0.1:0"]);
        assert_eq!(bare.as_deref(), Some("-p iterative --bare -- 127.0.0.1:0"));
    }

    #[test]
    fn what_the_tracer_cannot_ask_has_no_button() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let all = runs::load(&root).expect("the runs of this book");
        for name in ["iterative/in-line", "poll-loop/requests", "ftp/serve"] {
            assert_eq!(arguments(&all[name]), None, "{name}");
        }
        let canned = arguments(&all["iterative/canned"]).expect("a server");
        assert_eq!(canned.join(" "), "-p iterative --bin canned --bare -- 127.0.0.1:0");
        let servers = all.values().filter(|run| run.kind == Kind::Server);
        let traced = servers.clone().filter(|run| arguments(run).is_some());
        assert_eq!(servers.count() - traced.count(), 2, "all but strace's and the other");
    }
}
