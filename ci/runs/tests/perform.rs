//! Runs performed for real: a package in a temporary folder whose program is a shell that
//! does what the test says.
#![cfg(target_os = "linux")]

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use runs::{Outcome, What, compare, load, perform, record};
use tempfile::TempDir;

/// The program of every book below: it becomes a shell that runs its first argument.
const SHELL: &str = r#"
use std::os::unix::process::CommandExt;
fn main() {
    let script = std::env::args().nth(1).unwrap();
    panic!("{}", std::process::Command::new("sh").arg("-c").arg(script).exec());
}
"#;

/// A server of the fewest words: it listens on nothing, and ends with 0 on SIGTERM.
const SERVER: &str = "trap 'echo bye; exit 0' TERM; echo listening on http://127.0.0.1:4242; while :; do sleep 0.05; done";

/// A book with one listing called `package`, its runs, and one chapter.
fn book(package: &str, declarations: &str, chapter: &str) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    let write = |path: String, text: &str| {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    let manifest =
        format!("[package]\nname = \"{package}\"\nedition = \"2024\"\n\n{declarations}");
    write(
        "Cargo.toml".to_owned(),
        "[workspace]\nresolver = \"3\"\nmembers = [\"listings/*\"]\n",
    );
    write(format!("listings/{package}/Cargo.toml"), &manifest);
    write(format!("listings/{package}/src/main.rs"), SHELL);
    write("src/SUMMARY.md".to_owned(), "- [X](x.md)\n");
    write("src/x.md".to_owned(), chapter);
    root
}

/// A declaration whose program runs `script`.
fn run(name: &str, script: &str, more: &str) -> String {
    format!("[package.metadata.run.{name}]\nargs = ['''{script}''']\n{more}\n")
}

fn outcome(root: &Path, name: &str) -> Result<String, String> {
    match perform(root, &load(root).unwrap()[name]) {
        Ok(Outcome::Text(text)) => Ok(text),
        Ok(Outcome::Skipped(reason)) => Ok(format!("skipped: {reason}")),
        Err(e) => Err(e.to_string()),
    }
}

#[test]
fn programs() {
    let book = book(
        "runs-programs",
        &[
            run("out", "echo one; echo two >&2", ""),
            run("both", "echo one; echo two >&2; echo three", "stderr = true"),
            run("fails", "echo why >&2; exit 3", ""),
            run("hangs", "echo begun; sleep 60 & echo $! > child; wait", "seconds = 1"),
            run("litters", "sleep 1000 & echo $! > left", ""),
            run("via", "echo $UNDER", "via = ['env', 'UNDER=env']"),
            run("via-gone", "true", "via = ['no-such-program']"),
            run(
                "via-refuses",
                "true",
                "via = ['sh', '-c', 'echo not permitted >&2; exit 1']",
            ),
        ]
        .concat(),
        "",
    );
    let root = book.path();
    let name = |name: &str| outcome(root, &format!("runs-programs/{name}"));
    assert_eq!(name("out").unwrap(), "one\n");
    assert_eq!(name("both").unwrap(), "one\ntwo\nthree\n");
    let error = name("fails").unwrap_err();
    assert!(
        error.contains("runs-programs/fails: exit status: 3") && error.contains("why"),
        "{error}"
    );
    let error = name("hangs").unwrap_err();
    assert!(
        error.contains("still running after 1 s") && error.contains("begun"),
        "{error}"
    );
    gone(&root.join("child"));
    assert_eq!(name("litters").unwrap(), "");
    gone(&root.join("left"));
    assert_eq!(name("via").unwrap(), "env\n");
    assert_eq!(name("via-gone").unwrap(), "skipped: no-such-program is not installed");
    assert_eq!(
        name("via-refuses").unwrap(),
        "skipped: sh does not work here: not permitted"
    );
}

/// The process whose number the file holds has ended; a zombie that nobody has reaped
/// counts as ended.
fn gone(file: &Path) {
    let id = fs::read_to_string(file).unwrap();
    for _ in 0..500 {
        let stat =
            fs::read_to_string(format!("/proc/{}/stat", id.trim())).unwrap_or_default();
        if stat.is_empty() || stat.contains(") Z ") {
            return;
        }
        thread::sleep(Duration::from_millis(10));
    }
    panic!("process {id} is still there");
}

#[test]
fn servers() {
    let server = "kind = 'server'";
    let asks = "kind = 'server'\nask = [['echo', 'a remark', '{url}/x'], ['printf', 'no newline']]";
    let book = book(
        "runs-servers",
        &[
            run("asked", SERVER, asks),
            run("under", SERVER, "kind = 'server'\nvia = ['sh', '-c', '\"$0\" \"$@\"; exit $?']"),
            run("naive", "echo listening on http://127.0.0.1:1; exec sleep 1000", server),
            run("unclean", "trap 'exit 3' TERM; echo listening on http://h:1; while :; do sleep 0.05; done", server),
            run("mute", "echo nothing; exec sleep 60", "kind = 'server'\nseconds = 1"),
            run("refuses", "echo port in use >&2; exit 1", server),
            run(
                "stays",
                "trap '' TERM; echo listening on http://h:1; while :; do sleep 1; done",
                "kind = 'server'\nseconds = 1",
            ),
            run("no-answer", SERVER, "kind = 'server'\nask = [['false']]"),
            run("curl-gone", SERVER, "kind = 'server'\nask = [['no-such-program']]"),
        ]
        .concat(),
        "",
    );
    let name = |name: &str| outcome(book.path(), &format!("runs-servers/{name}"));
    let shown = "http://127.0.0.1:8080";
    assert_eq!(
        name("asked").unwrap(),
        format!(
            "listening on {shown}\n$ echo 'a remark' {shown}/x\na remark {shown}/x\n$ printf 'no newline'\nno newline\nbye\n"
        )
    );
    assert_eq!(name("under").unwrap(), format!("listening on {shown}\nbye\n"));
    assert_eq!(name("naive").unwrap(), format!("listening on {shown}\n"));
    for (run, why) in [
        ("unclean", "after SIGTERM: exit status: 3, not 0"),
        ("mute", "did not listen within 1 s"),
        ("refuses", "ended before it listened\nport in use"),
        ("stays", "did not end after SIGTERM within 1 s"),
        ("no-answer", "$ false\nexit status: 1"),
    ] {
        let error = name(run).unwrap_err();
        assert!(error.contains(why), "{run}: {error}");
    }
    assert_eq!(name("curl-gone").unwrap(), "skipped: no-such-program is not installed");
}

#[test]
fn a_program_that_does_not_build_says_so() {
    let book = book("runs-broken", &run("x", "true", ""), "");
    fs::write(
        book.path().join("listings/runs-broken/src/main.rs"),
        "fn main() { let x: u32 = \"\"; }",
    )
    .unwrap();
    let error = outcome(book.path(), "runs-broken/x").unwrap_err();
    assert!(
        error.contains("runs-broken/x: does not build")
            && error.contains("mismatched types"),
        "{error}"
    );
}

const CHAPTER: &str = "# X

```text,run=runs-record/steady
took 12.5 ms
counted 3
```

Between.

```text,run=runs-record/drifted
counted 3
of 4
```

```text,run=runs-record/gone
as it was
```
";

const FAILING: &str = "
```text,run=runs-record/fails
as it was
```
";

#[test]
fn drift_is_shown_as_a_diff_and_recorded() {
    let book = book(
        "runs-record",
        &[
            run(
                "steady",
                "echo took 11.7 ms; echo 'counted 3   '",
                "varies = ['[0-9.]+ ms$']",
            ),
            run("drifted", "echo counted 4; echo of 4; echo", ""),
            run("gone", "true", "via = ['no-such-program']"),
            run("unshown", "true", ""),
            run("fails", "exit 3", ""),
        ]
        .concat(),
        CHAPTER,
    );
    let root = book.path();
    let chapter = || fs::read_to_string(root.join("src/x.md")).unwrap();
    let runs = load(root).unwrap();

    let steady = outcome(root, "runs-record/steady").unwrap();
    compare(&runs["runs-record/steady"], "took 12.5 ms\ncounted 3\n", &steady).unwrap();
    let drifted = outcome(root, "runs-record/drifted").unwrap();
    let diff =
        compare(&runs["runs-record/drifted"], "counted 3\nof 4\n", &drifted).unwrap_err();
    assert_eq!(
        diff,
        "--- the block\n+++ runs-record/drifted\n@@ -1,2 +1,2 @@\n-counted 3\n+counted 4\n of 4\n"
    );

    assert!(
        record(root, &["runs-record/unknown".to_owned()])
            .unwrap_err()
            .to_string()
            .contains("declared are: ")
    );
    assert!(
        record(root, &["runs-record/unshown".to_owned()])
            .unwrap_err()
            .to_string()
            .contains("no chapter shows")
    );
    assert_eq!(chapter(), CHAPTER);

    let changes = record(root, &["runs-record/drifted".to_owned()]).unwrap();
    assert_eq!((changes.len(), &changes[0].what, changes[0].line), (1, &What::Written, 10));
    let expected = CHAPTER.replace("counted 3\nof 4", "counted 4\nof 4");
    assert_eq!(chapter(), expected);

    let changes = record(root, &[]).unwrap();
    let whats: Vec<_> = changes.iter().map(|c| (c.line, c.what.clone())).collect();
    let skipped = What::Skipped("no-such-program is not installed".to_owned());
    assert_eq!(whats, [(3, What::Written), (10, What::Kept), (15, skipped)]);
    assert_eq!(chapter(), expected.replace("12.5 ms", "11.7 ms"));

    fs::write(root.join("src/x.md"), CHAPTER.to_owned() + FAILING).unwrap();
    let error = record(root, &[]).unwrap_err().to_string();
    assert!(error.starts_with("runs-record/fails: exit status: 3"), "{error}");
    assert_eq!(
        chapter(),
        expected.replace("12.5 ms", "11.7 ms") + FAILING,
        "the other blocks are written"
    );
}

#[test]
fn output_that_would_close_its_block_is_refused() {
    let chapter = "```text,run=runs-fence/x\n```\n";
    let book = book(
        "runs-fence",
        &run("x", "echo '```'; echo '```text,run=runs-fence/x'", ""),
        chapter,
    );
    assert!(
        record(book.path(), &[]).unwrap_err().to_string().contains("use a longer fence")
    );
    assert_eq!(fs::read_to_string(book.path().join("src/x.md")).unwrap(), chapter);
}
