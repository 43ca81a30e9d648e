//! poll is asked whether a file is ready, and then the file is read.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    match ready_anyway::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => flags::fail(
            flags::REFUSED,
            format_args!(
                "cannot read a cold file: {error}; start it in a folder on a disk"
            ),
        ),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    flags::needs_linux("ready-anyway")
}

#[cfg(target_os = "linux")]
mod ready_anyway {
    use std::fs::File;
    use std::io;
    use std::os::unix::fs::FileExt;
    use std::time::Instant;

    use file_stall::cold::Cold;
    use file_stall::raw::resident;
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::fs::{Advice, fadvise};

    const SIZE: u64 = 16 << 20;

    // ANCHOR: run
    pub fn run() -> io::Result<()> {
        let folder = file_stall::folder()?;
        let cold = Cold::write(&folder.path().join("file"), SIZE)?;
        if let Some(why) = cold.not_cold()? {
            return Err(io::Error::other(why));
        }
        let file = cold.file();
        fadvise(file, 0, None, Advice::Random)?; // what is asked for, and nothing beyond
        look("cold", file)?;
        look("again", file)
    }

    fn look(what: &str, file: &File) -> io::Result<()> {
        let before = resident(file)?;
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        let mut entry = [PollFd::new(file, PollFlags::IN | PollFlags::OUT)];
        poll(&mut entry, Some(&now))?;
        let said = entry[0].revents();
        let begun = Instant::now();
        file.read_exact_at(&mut vec![0; SIZE as usize], 0)?;
        let ms = begun.elapsed().as_secs_f64() * 1e3;
        let mib = before >> 20;
        println!(
            "{what:<6} {mib:2} MiB in memory   poll: {}   read: {ms:6.1} ms",
            words(said)
        );
        Ok(())
    }
    // ANCHOR_END: run

    fn words(said: PollFlags) -> String {
        let names = [(PollFlags::IN, "POLLIN"), (PollFlags::OUT, "POLLOUT")];
        let said = names.iter().filter(|(flag, _)| said.contains(*flag));
        said.map(|(_, name)| *name).collect::<Vec<_>>().join(" ")
    }
}
