//! Who has called? A child stands in a read, and the functions that have not returned are
//! named: those of this file, or with `--all` everybody's.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some("be-looked-at") {
        looked_at::outer();
        return ExitCode::SUCCESS;
    }
    match look() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => flags::fail(flags::REFUSED, trace::tracer::refused(&error)),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    flags::needs_linux("who-called")
}

#[cfg(target_os = "linux")]
fn look() -> std::io::Result<()> {
    use std::io::Read;
    use std::path::Path;
    use std::process::{Command, Stdio};
    use std::time::Duration;

    use nix::sys::{ptrace, wait::waitpid};
    use nix::unistd::Pid;

    let mut command = Command::new(std::env::current_exe()?);
    command.arg("be-looked-at").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn()?;
    let id = Pid::from_raw(child.id() as i32);
    // It says that it is about to read, and then it sleeps: nothing else waits there.
    child.stdout.take().expect("it is piped").read_exact(&mut [0])?;
    while !std::fs::read_to_string(format!("/proc/{id}/stat"))?.contains(") S ") {
        std::thread::sleep(Duration::from_millis(1));
    }
    // ANCHOR: look
    ptrace::seize(id, ptrace::Options::PTRACE_O_EXITKILL)?;
    ptrace::interrupt(id)?;
    waitpid(id, None)?;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize()?;
    let frames = trace::backtrace(child.id(), &root).expect("it can be read");
    ptrace::detach(id, None)?;
    // ANCHOR_END: look
    let all = std::env::args().nth(1).as_deref() == Some("--all");
    let stands = frames.first().map(|first| (first.at + 1, first.file.clone()));
    let (at, file) = stands.expect("it stands somewhere");
    println!("it stands at {at:#x}, in {file}\n");
    println!("{:<14}  {:>8}", "in memory", "in file");
    let mut others = 0;
    for frame in frames {
        let Some(line) = frame.line.filter(|line| all || line.starts_with("listings/"))
        else {
            others += 1;
            continue;
        };
        say(&mut others);
        let (function, line) = (frame.function.unwrap_or_default(), last(&line, '/'));
        let function = last(&function, ':');
        println!("{:#x}  {:>#8x}  {function}, {line}", frame.at, frame.address);
    }
    say(&mut others);
    drop(child.stdin.take());
    child.wait()?;
    Ok(())
}

/// Functions of which nothing is printed.
#[cfg(target_os = "linux")]
fn say(others: &mut usize) {
    if *others > 0 {
        println!("{:<24}  ({others} that are not ours)", "");
        *others = 0;
    }
}

#[cfg(target_os = "linux")]
fn last(text: &str, behind: char) -> &str {
    text.rsplit(behind).next().unwrap_or(text)
}

#[cfg(target_os = "linux")]
mod looked_at {
    use std::io::{self, Read, Write};

    // ANCHOR: looked-at
    #[inline(never)]
    pub fn outer() {
        let mut place = [0; 16];
        let read = inner(&mut place);
        assert_eq!(read, 0, "nobody writes");
    }

    #[inline(never)]
    fn inner(place: &mut [u8]) -> usize {
        let mut out = io::stdout();
        out.write_all(b".").and_then(|()| out.flush()).expect("somebody looks");
        io::stdin().read(place).unwrap_or(0)
    }
    // ANCHOR_END: looked-at
}
