//! The compiler of the snippets: compiles them in the book's edition, which skeptic 0.14
//! does not know, lets diagnostics and panics name the chapter's file and line, and gives
//! the program a time limit.
//!
//! The snippet says in a comment where it stands: `//@ src/x.md:12`, and its lines are
//! padded to be the chapter's; or `//@ src/x.md:12 (expanded)` where an include made more
//! lines of it than the chapter has. build.rs compiles this program.
//!
//! The time limit: what skeptic runs as the snippet's program is a copy of this one, which
//! finds the program that it compiled beside itself.

use std::env;
use std::error::Error;
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitStatus, exit};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The ending of the snippet's own program.
const PROGRAM: &str = "snippet";
/// The time limit in seconds, where SNIPPET_SECONDS does not say another.
const SECONDS: u64 = 20;

fn main() {
    let ended = env::current_exe().map_err(Into::into).and_then(|me| {
        let program = me.with_extension(PROGRAM);
        if program.exists() { run(&program) } else { compile(&me) }
    });
    match ended {
        // No code: a signal ended it.
        Ok(status) => exit(status.code().unwrap_or(101)),
        Err(e) => {
            eprintln!("{e}");
            exit(101)
        }
    }
}

fn compile(me: &Path) -> Result<ExitStatus, Box<dyn Error>> {
    let mut args: Vec<OsString> = env::args_os().skip(1).collect();
    let source = args.iter().filter_map(|arg| arg.to_str()).find(|arg| arg.ends_with(".rs")).map(str::to_owned);
    let mut output = None;
    if let Some((place, source)) = source.and_then(|source| Some((place(&source)?, source))) {
        for arg in &mut args {
            if arg.to_str().is_some_and(|arg| arg.starts_with("--edition=")) {
                *arg = concat!("--edition=", env!("EDITION")).into();
            }
        }
        args.push(format!("--remap-path-prefix={source}={place}").into());
        if let Some(at) = args.iter().position(|arg| arg == "-o") {
            let program = Path::new(&args[at + 1]).with_extension(PROGRAM).into();
            output = Some(std::mem::replace(&mut args[at + 1], program));
        }
    }
    let status = Command::new(env!("REAL_RUSTC")).args(args).status()?;
    if let (true, Some(output)) = (status.success(), output) {
        fs::copy(me, output)?;
    }
    Ok(status)
}

/// What a diagnostic shall call the file: without the line, where the lines are the
/// chapter's.
fn place(source: &str) -> Option<String> {
    let text = fs::read_to_string(source).ok()?;
    let place = text.lines().find_map(|line| line.split_once("//@ "))?.1;
    Some(if place.ends_with(" (expanded)") { place } else { place.rsplit_once(':')?.0 }.to_owned())
}

fn run(program: &Path) -> Result<ExitStatus, Box<dyn Error>> {
    let seconds = env::var("SNIPPET_SECONDS").map_or(Ok(SECONDS), |seconds| seconds.parse())?;
    let limit = Instant::now() + Duration::from_secs(seconds);
    let mut child = Command::new(program).spawn()?;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if Instant::now() >= limit {
            child.kill()?;
            child.wait()?;
            return Err(format!("the snippet still ran after {seconds} s; one that does not end says no_run").into());
        }
        sleep(Duration::from_millis(2));
    }
}
