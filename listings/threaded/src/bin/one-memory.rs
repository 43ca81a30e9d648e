//! Two threads: what was one memory is one memory still, and so is the table of descriptors.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    match one_memory::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => flags::fail(
            flags::FAILED,
            format_args!("cannot start a thread: {error}; ulimit -u shows a limit"),
        ),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    flags::needs_linux("one-memory")
}

#[cfg(target_os = "linux")]
mod one_memory {
    use std::fs::File;
    use std::io::{self, Read, Seek};
    use std::process;
    use std::sync::Mutex;
    use std::thread;

    use rustix::thread::gettid;

    // ANCHOR: one-memory
    pub fn run() -> io::Result<()> {
        let number = Mutex::new(1);
        let mut file = File::open("/proc/self/stat")?;
        println!("one thread:   number is 1, the file is at byte 0");
        thread::scope(|scope| {
            let other = scope.spawn(|| -> io::Result<()> {
                *number.lock().expect("nobody panics") += 41;
                let read = (&file).read(&mut [0; 7])?;
                println!("the other:    number is 42, has read {read} bytes, and ends");
                let is_process = gettid().as_raw_nonzero().get() == process::id() as i32;
                println!("              its id is the process's: {is_process}");
                Ok(())
            });
            other.join().map_err(|_| io::Error::other("it panicked"))?
        })?;
        let at = file.stream_position()?;
        let number = number.into_inner().expect("nobody panics");
        println!("the first:    number is {number}, the file is at byte {at}");
        Ok(())
    }
    // ANCHOR_END: one-memory
}
