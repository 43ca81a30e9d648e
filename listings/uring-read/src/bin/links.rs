//! A read and a write that are linked: the copy of a block, and two ways for the chain to
//! break.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    uring_read::report("links", links::run())
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    flags::needs_linux("links")
}

#[cfg(target_os = "linux")]
mod links {
    use std::os::fd::AsFd;
    use std::time::Duration;

    use uring_read::scratch::{Scratch, folder};
    use uring_read::trouble::name;
    use uring_read::{Buffer, How, Order, Place, Ring, Trouble};

    pub fn run() -> Result<(), Trouble> {
        let from = Scratch::new(&folder(), 5000)?.buffered;
        let to = Scratch::new(&folder(), 0)?.buffered;
        let from = Place::from(from);
        let to = Place::from(to.as_fd().try_clone_to_owned()?);
        chain("4096 bytes of 4096", &from, &to, 0)?;
        chain("904 bytes, the last", &from, &to, 4096)?;
        chain("none, behind the end", &from, &to, 8192)
    }

    // ANCHOR: chain
    /// Reads 4096 bytes, then writes a mark elsewhere, then waits a little: each step only
    /// if the one before has succeeded.
    fn chain(what: &str, from: &Place, to: &Place, at: u64) -> Result<(), Trouble> {
        let (into, mark) = (Buffer::new(4096, 1), Buffer::holding(b"copied\n"));
        let linked = How { link: true, worker: false };
        let mut ring = Ring::new(4)?;
        for (order, how) in [
            (Order::Read { from: from.clone(), into, at }, linked),
            (Order::Write { to: to.clone(), bytes: mark, at: 0 }, linked),
            (Order::Timeout(Duration::from_millis(1)), How::default()),
        ] {
            ring.push(order, how).expect("an empty ring has room for three");
        }
        ring.enter(3)?;
        // ANCHOR_END: chain
        println!("{what}:");
        while ring.flying() > 0 {
            let Some(done) = ring.take() else {
                ring.enter(1)?;
                continue;
            };
            let which = match done.order {
                Order::Read { .. } => "read",
                Order::Write { .. } => "write",
                _ => "timeout",
            };
            match done.outcome() {
                Ok(n) => println!("  {which:<8} {n}"),
                Err(error) => println!("  {which:<8} {}", name(&error)),
            }
        }
        Ok(())
    }
}
