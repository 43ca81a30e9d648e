//! Three ways to make somebody else who runs. Under strace one sees with which flags.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    match three_ways() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => flags::fail(
            flags::FAILED,
            format_args!("cannot make another: {error}; ulimit -u shows a limit"),
        ),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    flags::needs_linux("three-ways")
}

// ANCHOR: three-ways
#[cfg(target_os = "linux")]
fn three_ways() -> std::io::Result<()> {
    use forking::{ForkResult, fork, leave, wait_for};

    match fork()? {
        ForkResult::Child => leave(0),
        ForkResult::Parent { child } => wait_for(child)?,
    }
    std::thread::spawn(|| ()).join().expect("it does nothing");
    std::process::Command::new("true").status()?;
    Ok(())
}
// ANCHOR_END: three-ways
