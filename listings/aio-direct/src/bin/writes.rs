//! Direct writes of 1 MiB: which are over when io_submit returns?

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    match experiment::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => trouble.exit("writes"),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    flags::needs_linux("writes")
}

#[cfg(target_os = "linux")]
mod experiment {
    use std::time::Duration;

    use nix::fcntl::{FallocateFlags, fallocate};
    use nix::unistd::ftruncate;

    use aio_direct::scratch::{self, Scratch};
    use aio_direct::{Buffer, Operation, Trouble, context};

    const MIB: usize = 1 << 20;
    /// Each kind of place in the file is so long.
    const PART: u64 = 16 * MIB as u64;

    pub fn run() -> Result<(), Trouble> {
        let Scratch { buffered: file, direct } =
            &Scratch::new(&scratch::folder(), PART as usize)?;
        // ANCHOR: places
        let part = |n: u64| n * PART; // 0: bytes that are there
        fallocate(file, FallocateFlags::empty(), part(1) as i64, PART as i64)?; // 1: blocks
        ftruncate(file, part(3) as i64)?; // 2: a hole. 3: behind the end
        file.sync_all()?;
        // ANCHOR_END: places
        println!(
            "{:<30}{:<30}with RWF_NOWAIT",
            "1 MiB is written", "when io_submit returns"
        );
        for (n, name) in [
            "over bytes that are there",
            "into reserved blocks",
            "into a hole",
            "behind the end",
        ]
        .into_iter()
        .enumerate()
        {
            let at = part(n as u64);
            let write = |flags| {
                let mut context = context(1)?;
                let buffer = Buffer::new(MIB, 65_536);
                context
                    .submit(vec![Operation::write((), direct, at, buffer).with(flags)])?;
                let mut there = context.wait(0, Some(Duration::ZERO))?;
                let over = !there.is_empty();
                there.extend(context.wait(1, None)?);
                Ok::<_, Trouble>((over, there.pop().expect("it was in flight").result))
            };
            // First the one that must not wait: the other may change the place.
            let (_, nowait) = write(libc::RWF_NOWAIT)?;
            let nowait = match nowait {
                Ok(bytes) => format!("{bytes} bytes"),
                Err(error) => format!(
                    "{:?}",
                    nix::errno::Errno::from_raw(error.raw_os_error().unwrap_or(0))
                ),
            };
            let (over, result) = write(0)?;
            let over = if over { "it is over" } else { "it is in flight" };
            println!("{name:<30}{over:<30}{nowait}");
            result?;
        }
        Ok(())
    }
}
