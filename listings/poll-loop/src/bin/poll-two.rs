//! The smallest program that waits for two: a call of poll(2) for two pipes.

#[cfg(target_os = "linux")]
#[path = "support/bits.rs"]
mod bits;

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    match two::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => flags::fail(
            flags::FAILED,
            format_args!("cannot wait for two shells: {error}; is there a /bin/sh?"),
        ),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    flags::needs_linux("poll-two")
}

#[cfg(target_os = "linux")]
mod two {
    use std::io::{self, Read};
    use std::os::fd::AsFd;
    use std::process::{ChildStdout, Command, Stdio};
    use std::time::Instant;

    use poll_loop::{NOBODY, entry, poll};
    use select_loop::Interest;

    use crate::bits::in_words;

    // ANCHOR: two
    pub fn run() -> io::Result<()> {
        let start = Instant::now();
        let mut pipes = [
            output("sleep 0.6; printf slow; sleep 0.6")?,
            output("sleep 0.3; printf fast; sleep 0.6")?,
        ];
        let mut entries = [
            entry(pipes[0].as_fd(), Interest::READ),
            entry(pipes[1].as_fd(), Interest::READ),
        ];
        while entries.iter().any(|entry| entry.fd >= 0) {
            let ready = poll(&mut entries, None)?;
            let [one, two] = entries.map(|entry| in_words(entry.revents));
            let ms = start.elapsed().as_millis();
            println!("{ms:>4} ms: poll returned {ready}: [{one}, {two}]");
            for (pipe, entry) in pipes.iter_mut().zip(&mut entries) {
                // ANCHOR: gone
                if entry.revents != 0 && pipe.read(&mut [0; 64])? == 0 {
                    *entry = NOBODY;
                }
                // ANCHOR_END: gone
            }
        }
        Ok(())
    }

    /// The reading end of a pipe to which a shell writes.
    fn output(script: &str) -> io::Result<ChildStdout> {
        let shell =
            Command::new("sh").args(["-c", script]).stdout(Stdio::piped()).spawn()?;
        Ok(shell.stdout.expect("its standard output is our pipe"))
    }
    // ANCHOR_END: two
}
