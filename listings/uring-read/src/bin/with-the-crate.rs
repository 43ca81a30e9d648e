//! The same read with the crate `io-uring`, which does the mapping and the counting.
#![cfg_attr(
    target_os = "linux",
    expect(unsafe_code, reason = "only we know how long the buffer lives")
)]

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    uring_read::report("with-the-crate", run())
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    flags::needs_linux("with-the-crate")
}

#[cfg(target_os = "linux")]
fn run() -> Result<(), uring_read::Trouble> {
    use io_uring::{IoUring, opcode, types};
    use std::os::fd::AsRawFd;
    use uring_read::Trouble;
    use uring_read::scratch::{Scratch, folder};

    let file = Scratch::new(&folder(), 4096)?.buffered;
    // ANCHOR: crate
    let mut buffer = vec![0; 4096];
    let mut ring = IoUring::new(3).map_err(Trouble::Setup)?;

    let fd = types::Fd(file.as_raw_fd());
    let entry = opcode::Read::new(fd, buffer.as_mut_ptr(), 4096).build().user_data(42);
    // SAFETY: nobody else touches `buffer` from here until the completion. Should that never
    // come, the buffer is never freed.
    unsafe { ring.submission().push(&entry) }.expect("an empty ring has room");
    if let Err(error) = ring.submit_and_wait(1) {
        std::mem::forget(buffer);
        return Err(error.into());
    }
    let done = ring.completion().next().expect("one was waited for");

    println!("user_data {}, result {}", done.user_data(), done.result());
    // ANCHOR_END: crate
    Ok(())
}
