//! Operations that cannot be done: does io_submit say so, or the event?

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    match experiment::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => trouble.exit("who-refuses"),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    flags::needs_linux("who-refuses")
}

#[cfg(target_os = "linux")]
mod experiment {
    use std::fs::File;
    use std::io;

    use nix::errno::Errno;

    use aio_direct::scratch::{self, Scratch};
    use aio_direct::{Alignment, Buffer, Operation, Trouble, context};

    const BYTES: usize = 65_536;

    pub fn run() -> Result<(), Trouble> {
        let file = &Scratch::new(&scratch::folder(), BYTES)?.direct;
        let memory = Alignment::of(file)?.memory.max(512);
        let folder = &File::open("/")?;
        let (_reader, writer) = &io::pipe()?;
        let whole = || Buffer::new(BYTES, memory);
        println!("{:<34}{:<13}the event", "a read", "io_submit");
        // ANCHOR: rows
        row("as it should be", Operation::read((), file, 0, whole()))?;
        let beside = Buffer::beside(BYTES, memory, 1);
        row("the buffer is one byte further", Operation::read((), file, 0, beside))?;
        row("the offset is 1", Operation::read((), file, 1, whole()))?;
        row(
            "the length is one byte less",
            Operation::read((), file, 0, whole()).part(0..BYTES - 1),
        )?;
        row(
            "it begins at the file's end",
            Operation::read((), file, BYTES as u64, whole()),
        )?;
        row("of a folder", Operation::read((), folder, 0, whole()))?;
        row("of a pipe's end for writing", Operation::read((), writer, 0, whole()))?;
        row("from below zero", Operation::read((), file, u64::MAX, whole()))?;
        row("poll of the file", Operation::poll((), file, libc::POLLIN))
        // ANCHOR_END: rows
    }

    fn row(name: &str, operation: Operation<'_, ()>) -> Result<(), Trouble> {
        let mut context = context(1)?;
        // ANCHOR: row
        match context.submit(vec![operation]) {
            Err(refused) => println!("{name:<34}{}", errno(&refused.error)),
            Ok(()) => {
                let done = context.wait(1, None)?.pop().expect("one is in flight");
                let event = match done.result {
                    Ok(n) => n.to_string(),
                    Err(error) => errno(&error),
                };
                println!("{name:<34}{:<13}{event}", "takes it");
            }
        }
        // ANCHOR_END: row
        Ok(())
    }

    /// An error by its name.
    fn errno(error: &io::Error) -> String {
        format!("{:?}", Errno::from_raw(error.raw_os_error().unwrap_or(0)))
    }
}
