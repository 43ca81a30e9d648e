//! The smallest program that waits: a read from a pipe whose other end sleeps first.

// ANCHOR: first-read
use std::io::{self, Read};
use std::process::{Command, Stdio};
use std::time::Instant;

fn main() -> io::Result<()> {
    let start = Instant::now();
    let mut child = Command::new("sh")
        .args(["-c", "sleep 0.3; printf hello"])
        .stdout(Stdio::piped())
        .spawn()?;
    let mut pipe = child.stdout.take().expect("its standard output is our pipe");

    let mut buffer = [0; 64];
    let n = pipe.read(&mut buffer)?;
    println!("read returned {n} bytes after {} ms", start.elapsed().as_millis());

    child.wait()?;
    Ok(())
}
// ANCHOR_END: first-read
