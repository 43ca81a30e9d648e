//! One read from the disk, buffered and direct: how long is each of the two calls?

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    match experiment::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => trouble.exit("where-it-waits"),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    flags::needs_linux("where-it-waits")
}

#[cfg(target_os = "linux")]
mod experiment {
    use std::fs::File;
    use std::time::{Duration, Instant};

    use nix::sys::resource::{UsageWho, getrusage};

    use aio_direct::scratch::{self, Scratch};
    use aio_direct::{Buffer, Operation, Trouble, context};

    const BYTES: usize = 16 << 20;

    pub fn run() -> Result<(), Trouble> {
        let scratch = Scratch::new(&scratch::folder(), BYTES)?;
        println!(
            "a read of {} MiB   from disk  io_submit  waits in it  io_getevents",
            BYTES >> 20
        );
        row("buffered, cold", &scratch.buffered)?;
        row("buffered, cached", &scratch.buffered)?;
        scratch.forget()?;
        row("O_DIRECT", &scratch.direct)
    }

    fn row(name: &str, file: &File) -> Result<(), Trouble> {
        // ANCHOR: row
        let mut context = context(1)?;
        let mut buffer = Buffer::new(BYTES, 65_536);
        buffer.fill(1); // so that its memory is there
        let read = Operation::read((), file, 0, buffer);

        let (start, before) = (Instant::now(), counts());
        context.submit(vec![read])?;
        let (submit, in_submit) = (start.elapsed(), counts());

        let there = context.wait(0, Some(Duration::ZERO))?; // do not wait
        let was_there = !there.is_empty();
        let done = if was_there { there } else { context.wait(1, None)? };
        let get = start.elapsed() - submit;
        // ANCHOR_END: row
        let [submit, get] = [submit, get].map(|time| time.as_secs_f64() * 1e3);
        let (waits, mib) =
            (in_submit.0 - before.0, (in_submit.1 - before.1) * 512 / (1 << 20));
        let note = match &done[0].result {
            Ok(BYTES) if was_there => "the event was there",
            Ok(BYTES) => "the event came later",
            _ => "it was not all read",
        };
        println!("{name:<19}{mib:>5} MiB{submit:>8.1} ms{waits:>13}{get:>11.1} ms  {note}");
        Ok(())
    }

    /// How often this thread has had to wait, and how many blocks of 512 bytes it has had read
    /// from a disk.
    fn counts() -> (i64, i64) {
        let usage = getrusage(UsageWho::RUSAGE_THREAD);
        usage.map_or((0, 0), |usage| {
            (usage.voluntary_context_switches(), usage.block_reads())
        })
    }
}
