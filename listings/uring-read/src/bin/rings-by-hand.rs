//! One read over the two rings, without a library: heads and tails before and after each
//! step.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    uring_read::report("rings-by-hand", run())
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    flags::needs_linux("rings-by-hand")
}

#[cfg(target_os = "linux")]
fn run() -> Result<(), uring_read::Trouble> {
    use uring_read::Trouble;
    use uring_read::by_hand::Rings;
    use uring_read::scratch::{Scratch, folder};

    let file = Scratch::new(&folder(), 4096)?.buffered; // freshly written, so in the page cache
    // ANCHOR: by-hand
    let mut rings = Rings::new(3).map_err(Trouble::Setup)?;
    let (sq, cq) = rings.sizes();
    println!("asked for 3 entries: {sq} for submissions, {cq} for completions\n");

    println!("{:<27}SQ head  tail   CQ head  tail", "");
    show("both rings empty", &rings);
    rings.queue_read(file, 4096, 0)?;
    show("an entry, and the tail", &rings);
    let taken = rings.enter(1, 0)?;
    show(&format!("io_uring_enter took {taken}"), &rings);
    let (cqe, bytes) = loop {
        match rings.take() {
            Some(done) => break done,
            None => rings.enter(0, 1)?, // only if the page was not cached
        };
    };
    show("the completion is taken", &rings);

    println!("\nuser_data {}, result {}: {} bytes", cqe.user_data, cqe.result, bytes.len());
    // ANCHOR_END: by-hand
    Ok(())
}

#[cfg(target_os = "linux")]
fn show(when: &str, rings: &uring_read::by_hand::Rings) {
    let ends = rings.ends();
    println!(
        "{when:<27}{:>7}{:>6}{:>10}{:>6}",
        ends.sq_head, ends.sq_tail, ends.cq_head, ends.cq_tail
    );
}
