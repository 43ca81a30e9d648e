//! The smallest program: one read that is in flight while the program goes on.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    match experiment::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => trouble.exit("one-read"),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    flags::needs_linux("one-read")
}

#[cfg(target_os = "linux")]
mod experiment {
    use aio_direct::scratch::{self, Scratch};
    use aio_direct::{Alignment, Buffer, Operation, Trouble, context};

    pub fn run() -> Result<(), Trouble> {
        let file = Scratch::new(&scratch::folder(), 4096)?.direct;
        // ANCHOR: one
        let wants = Alignment::of(&file)?;
        let mut context = context(1)?; // io_setup: room for one operation
        let buffer = Buffer::new(4096, wants.memory);

        context.submit(vec![Operation::read("the read", &file, 0, buffer)])?; // io_submit
        println!("io_submit has returned, {} in flight", context.in_flight());

        let done = context.wait(1, None)?; // io_getevents: at least one, without a time limit
        for done in done {
            println!("{} has {} bytes", done.tag, done.result?);
        }
        // ANCHOR_END: one
        Ok(())
    } // io_destroy
}
