//! A descriptor is closed while a read of it is in flight.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    uring_read::report("closed", closed::run())
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    flags::needs_linux("closed")
}

#[cfg(target_os = "linux")]
mod closed {
    use std::fs::{self, File};
    use std::io::{self, Write};
    use std::os::fd::{AsRawFd, OwnedFd};

    use uring_read::Trouble;
    use uring_read::by_hand::Rings;

    pub fn run() -> Result<(), Trouble> {
        let mut rings = Rings::new(4).map_err(Trouble::Setup)?;
        // ANCHOR: closed
        let (reader, mut writer) = io::pipe()?;
        let number = reader.as_raw_fd();
        rings.queue_read(File::from(OwnedFd::from(reader)), 64, 0)?;
        rings.enter(1, 0)?;
        println!("submitted: {}", state(number));
        rings.close_file();
        println!("closed:    {}", state(number));

        match writer.write(b"hello") {
            Ok(n) => println!("the writer wrote {n} bytes"),
            Err(error) => println!("the writer: {}", error.kind()),
        }
        let (cqe, bytes) = loop {
            match rings.take() {
                Some(done) => break done,
                None => rings.enter(0, 1)?,
            };
        };
        println!("the read:  {} bytes, {:?}", cqe.result, String::from_utf8_lossy(&bytes));
        match writer.write(b"more") {
            Ok(n) => println!("the writer wrote {n} more"),
            Err(error) => println!("the writer, once more: {}", error.kind()),
        }
        // ANCHOR_END: closed
        Ok(())
    }

    fn state(number: i32) -> &'static str {
        match fs::exists(format!("/proc/self/fd/{number}")) {
            Ok(true) => "the descriptor is open",
            Ok(false) => "there is no such descriptor",
            Err(_) => "nobody can say without /proc",
        }
    }
}
