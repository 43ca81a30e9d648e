//! Sixty-four reads, one system call.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    uring_read::report("sixty-four", run())
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    flags::needs_linux("sixty-four")
}

#[cfg(target_os = "linux")]
fn run() -> Result<(), uring_read::Trouble> {
    use uring_read::scratch::{Scratch, folder, pattern};
    use uring_read::{Options, Reads};

    const BLOCK: usize = 4096;
    let file = Scratch::new(&folder(), 64 * BLOCK)?.buffered;
    // ANCHOR: sixty-four
    let mut reads =
        Reads::new(file, Options { depth: 64, block: BLOCK, unit: 1, fixed: false })?;
    for n in 0..64 {
        reads.ask(n * BLOCK as u64);
    }
    let mut right = 0;
    while let Some(block) = reads.wait()? {
        right += usize::from(block.bytes() == pattern(block.at as usize, BLOCK));
    }
    println!("{right} blocks read, {} call of io_uring_enter", reads.calls());
    // ANCHOR_END: sixty-four
    Ok(())
}
