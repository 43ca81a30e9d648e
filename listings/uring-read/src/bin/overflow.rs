//! More completions than the completion ring has room for.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    uring_read::report("overflow", overflow::run())
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    flags::needs_linux("overflow")
}

#[cfg(target_os = "linux")]
mod overflow {
    use uring_read::{How, Order, Ring, Trouble};

    pub fn run() -> Result<(), Trouble> {
        // ANCHOR: overflow
        let mut ring = Ring::new(4)?;
        let (sq, cq) = ring.sizes();
        println!("room for {sq} submissions and {cq} completions");
        for _ in 0..5 {
            for _ in 0..sq {
                ring.push(Order::Nop, How::default())
                    .expect("the kernel takes all of them");
            }
            match ring.enter(0) {
                Ok(_) => show(&mut ring, ""),
                Err(error) => show(&mut ring, &error.to_string()),
            }
        }
        let mut taken = 0;
        while ring.flying() > 0 {
            while ring.take().is_some() {
                taken += 1;
            }
            show(&mut ring, &format!("{taken} taken"));
            ring.enter(1)?; // the kernel moves what it has kept
        }
        // ANCHOR_END: overflow
        Ok(())
    }

    fn show(ring: &mut Ring, what: &str) {
        let (complete, more) = ring.waiting();
        let more = if more { ", and the kernel keeps more" } else { "" };
        println!(
            "{:>2} in flight, {complete} in the completion ring{more} {what}",
            ring.flying()
        );
    }
}
