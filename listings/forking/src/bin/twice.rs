//! fork returns twice. What was one memory is two; what was one open file still is one.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    match twice::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => flags::fail(
            flags::FAILED,
            format_args!("cannot fork: {error}; ulimit -u shows a limit on processes"),
        ),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    flags::needs_linux("twice")
}

#[cfg(target_os = "linux")]
mod twice {
    use std::fs::File;
    use std::io::{self, Read};
    use std::process::exit;

    use forking::{ForkResult, fork, wait_for};

    // ANCHOR: twice
    pub fn run() -> io::Result<()> {
        let mut number = 1;
        let mut file = File::open("/proc/self/stat")?;
        println!("one process:  number is {number}, the file is at byte 0");
        match fork()? {
            ForkResult::Child => {
                number += 41;
                let read = file.read(&mut [0; 7])?;
                println!(
                    "the child:    number is {number}, has read {read} bytes, and exits"
                );
                exit(0);
            }
            ForkResult::Parent { child } => {
                wait_for(child)?;
                let at = io::Seek::stream_position(&mut file)?;
                println!("the parent:   number is {number}, the file is at byte {at}");
            }
        }
        Ok(())
    }
    // ANCHOR_END: twice
}
