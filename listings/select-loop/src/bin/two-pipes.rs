//! One thread waits for two pipes at once.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    match two::pipes() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            flags::fail(flags::FAILED, format_args!("cannot wait for two pipes: {error}"))
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    flags::needs_linux("two-pipes")
}

#[cfg(target_os = "linux")]
mod two {
    use std::io::{self, PipeReader, Read, Write};
    use std::os::fd::AsFd;
    use std::thread;
    use std::time::Duration;

    use nix::sys::select::{FdSet, select};

    pub fn pipes() -> io::Result<()> {
        let (mut a, mut to_a) = io::pipe()?;
        let (mut b, mut to_b) = io::pipe()?;
        let writer = thread::spawn(move || {
            thread::sleep(Duration::from_millis(200));
            to_b.write_all(b"hello")?;
            thread::sleep(Duration::from_millis(200));
            to_a.write_all(b"and me")
        });

        // ANCHOR: two
        let mut set = FdSet::new();
        set.insert(a.as_fd());
        set.insert(b.as_fd());
        println!("the set before: {}", names(&set, &a, &b));
        select(None, &mut set, None, None, None)?; // until one of them is ready
        println!("the set after:  {}", names(&set, &a, &b));
        // ANCHOR_END: two

        let mut text = [0; 16];
        let n = b.read(&mut text)?;
        println!("B says: {}", String::from_utf8_lossy(&text[..n]));

        // So that the next line is the same each time: A was written to, and nobody has the
        // writing end of B any more.
        writer.join().map_err(|_| io::Error::other("the writer has panicked"))??;

        // ANCHOR: again
        let mut set = FdSet::new(); // once more from the beginning
        set.insert(a.as_fd());
        set.insert(b.as_fd());
        select(None, &mut set, None, None, None)?;
        // ANCHOR_END: again
        println!("and later:      {}", names(&set, &a, &b));
        let n = a.read(&mut text)?;
        println!("A says: {}", String::from_utf8_lossy(&text[..n]));
        Ok(())
    }

    fn names(set: &FdSet<'_>, a: &PipeReader, b: &PipeReader) -> String {
        let name =
            |fd: &PipeReader, name| if set.contains(fd.as_fd()) { name } else { "-" };
        format!("{} {}", name(a, "A"), name(b, "B"))
    }
}
