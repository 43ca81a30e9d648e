//! A small book with one listing.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

const MANIFEST: &str = r#"
[package]
name = "napper"
version = "0.1.0"
edition = "2024"

# Prints, waits until the file `go` is there, and prints again.
[package.metadata.run.wait]
args = ["wait"]
# Two processes that sleep.
[package.metadata.run.family]
args = ["family"]
seconds = 3600
[package.metadata.run.short]
args = ["family"]
seconds = 1
[package.metadata.run.stubborn]
via = ["sh", "-c", "trap '' TERM; echo pid $$; while :; do sleep 1; done"]
seconds = 3600
[package.metadata.run.server]
args = ["server"]
kind = "server"
try = ["curl {url}/"]
[package.metadata.run.fails]
args = ["fails"]
[package.metadata.run.wrong]
bin = "wrong"
[package.metadata.run.under]
via = ["no-such-program-here"]
"#;

const MAIN: &str = r#"
use std::io::Write;
use std::{env, net, path, process, thread, time};

fn main() {
    match env::args().nth(1).as_deref() {
        Some("wait") => {
            println!("waiting");
            while !path::Path::new("go").exists() {
                thread::sleep(time::Duration::from_millis(10));
            }
            eprintln!("on standard error");
            println!("gone on");
        }
        Some("family") => {
            let own = env::current_exe().unwrap();
            let child = process::Command::new(own).arg("sleep").spawn().unwrap();
            println!("pid {}", process::id());
            println!("pid {}", child.id());
            sleep();
        }
        Some("server") => {
            let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
            println!("listening on http://{}", listener.local_addr().unwrap());
            for client in listener.incoming() {
                let _ = client.unwrap().write_all(b"HTTP/1.0 200 OK\r\n\r\nhello");
            }
        }
        Some("fails") => process::exit(3),
        _ => sleep(),
    }
}

fn sleep() {
    loop {
        thread::sleep(time::Duration::from_secs(600));
    }
}
"#;

/// In the place of the tracer: says what it was asked for, and draws something.
const TRACER: &str = r#"
use std::{env, fs, path, process, thread, time};

fn main() {
    let words: Vec<String> = env::args().skip(1).collect();
    let after = |name: &str| words.iter().skip_while(|word| *word != name).nth(1).unwrap();
    let file = path::Path::new(after("--out")).join(after("--name")).with_extension("svg");
    println!("{}", words[4..].join(" "));
    if fs::exists("hold").unwrap() {
        println!("pid {}", process::id());
        thread::sleep(time::Duration::from_secs(600));
    }
    if fs::exists("refuse").unwrap() {
        eprintln!("cannot trace a program: EPERM");
        process::exit(2);
    }
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, "<svg class=\"timeline\"></svg>").unwrap();
    println!("{}", file.display());
}
"#;

const CHAPTER: &str = "# One

```text,run=napper/wait
waiting
```

```mermaid
graph LR
  a-->b
```
";

/// A book of one chapter in a folder of its own.
pub struct Fixture(pub TempDir);

impl Fixture {
    pub fn new() -> Fixture {
        let folder = tempfile::tempdir().unwrap();
        let book = Fixture(folder);
        book.write(
            "book.toml",
            "[book]\ntitle = \"Fixture\"\n[build]\ncreate-missing = false\n",
        );
        book.write(
            "Cargo.toml",
            "[workspace]\nresolver = \"3\"\nmembers = [\"listings/*\"]\n",
        );
        book.write(
            "src/SUMMARY.md",
            "- [One](one.md)\n- [Two](deep/two.md)\n- [A draft]()\n",
        );
        book.write("src/one.md", CHAPTER);
        book.write("src/deep/two.md", "# Two\n\nNo diagram.\n");
        book.write("listings/napper/Cargo.toml", MANIFEST);
        book.write("listings/napper/src/main.rs", MAIN);
        book.write("listings/napper/src/bin/trace.rs", TRACER);
        book.write(
            "listings/napper/src/bin/wrong.rs",
            "fn main() { this does not compile }\n",
        );
        book
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn write(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// The book program, to be run in this book's folder with a target folder of its own.
    pub fn program(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_book"));
        command
            .current_dir(self.path())
            .env_remove("CARGO_TARGET_DIR")
            .stdin(Stdio::null());
        command
    }
}
