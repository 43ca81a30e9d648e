//! Reads that nobody answers, and the three ways to give one up.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    uring_read::report("give-up", give_up::run())
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    flags::needs_linux("give-up")
}

#[cfg(target_os = "linux")]
mod give_up {
    use std::io;
    use std::time::Duration;

    use uring_read::trouble::name;
    use uring_read::{Buffer, How, Order, Place, Ring, Trouble};

    const PATIENCE: Duration = Duration::from_millis(50);

    pub fn run() -> Result<(), Trouble> {
        let (reader, _writer) = io::pipe()?; // nobody writes
        let silent = Place::from(reader);
        let read = || Order::Read { from: silent.clone(), into: Buffer::new(64, 1), at: 0 };
        let mut ring = Ring::new(8)?;
        let linked = How { link: true, worker: false };

        // ANCHOR: linked
        println!("a linked timeout:");
        push(&mut ring, read(), linked);
        push(&mut ring, Order::LinkedTimeout(PATIENCE), How::default());
        show(&mut ring)?;
        // ANCHOR_END: linked

        // ANCHOR: cancel
        println!("a cancellation:");
        let token = push(&mut ring, read(), How::default());
        push(&mut ring, Order::Cancel(token), How::default());
        show(&mut ring)?;

        println!("one that comes too late:");
        push(&mut ring, Order::Cancel(token), How::default());
        show(&mut ring)?;
        // ANCHOR_END: cancel

        println!("a timeout of its own, and the read stays:");
        push(&mut ring, read(), How::default());
        push(&mut ring, Order::Timeout(PATIENCE), How::default());
        ring.enter(1)?;
        show_one(&mut ring);
        println!("  in flight: {}", ring.flying());
        Ok(()) // the ring is dropped: cancels it, waits for it, then frees its buffer
    }

    fn push(ring: &mut Ring, order: Order, how: How) -> uring_read::Token {
        ring.push(order, how).expect("there is room for eight")
    }

    fn show(ring: &mut Ring) -> io::Result<()> {
        while ring.flying() > 0 {
            ring.enter(1)?;
            while show_one(ring) {}
        }
        Ok(())
    }

    fn show_one(ring: &mut Ring) -> bool {
        let Some(done) = ring.take() else { return false };
        let which = match done.order {
            Order::Read { .. } => "read",
            Order::Cancel(_) => "cancel",
            Order::LinkedTimeout(_) => "linked timeout",
            _ => "timeout",
        };
        match done.outcome() {
            Ok(n) => println!("  {which:<15} {n}"),
            Err(error) => println!("  {which:<15} {}", name(&error)),
        }
        true
    }
}
