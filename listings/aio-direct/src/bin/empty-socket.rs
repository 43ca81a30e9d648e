//! A read of a socket to which nobody has written yet, three ways.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    match experiment::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => trouble.exit("empty-socket"),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    flags::needs_linux("empty-socket")
}

#[cfg(target_os = "linux")]
mod experiment {
    use std::io::{self, Read, Write};
    use std::os::unix::net::UnixStream;
    use std::thread;
    use std::time::{Duration, Instant};

    use aio_direct::{Buffer, Operation, Trouble, context};

    const SLEEP: Duration = Duration::from_millis(300);

    pub fn run() -> Result<(), Trouble> {
        println!("the peer writes after {} ms", SLEEP.as_millis());
        row("read", false, |ours| Operation::read((), ours, 0, Buffer::new(64, 1)))?;
        row("read, O_NONBLOCK", true, |ours| {
            Operation::read((), ours, 0, Buffer::new(64, 1))
        })?;
        row("poll", false, |ours| Operation::poll((), ours, libc::POLLIN))
    }

    fn row(
        name: &str,
        nonblocking: bool,
        operation: impl Fn(&UnixStream) -> Operation<'_, ()>,
    ) -> Result<(), Trouble> {
        let (mut ours, mut theirs) = UnixStream::pair()?;
        ours.set_nonblocking(nonblocking)?;
        let mut context = context(1)?;
        // ANCHOR: row
        let start = Instant::now();
        let peer = thread::spawn(move || {
            thread::sleep(SLEEP);
            theirs.write_all(b"hello").map(|()| theirs)
        });
        context.submit(vec![operation(&ours)])?;
        let submit = start.elapsed();
        let done = context.wait(1, None)?.pop().expect("one is in flight");
        let event = start.elapsed();
        // ANCHOR_END: row
        let what = match done.result {
            Ok(events) if name == "poll" && events & libc::POLLIN as usize != 0 => {
                let n = ours.read(&mut [0; 64])?;
                format!("ready, and read(2) has {n} bytes")
            }
            Ok(n) => format!("{n} bytes"),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => "EAGAIN".into(),
            Err(error) => error.to_string(),
        };
        let [submit, event] = [submit, event].map(|time| time.as_millis());
        println!("{name:<17} io_submit {submit:>3} ms, event at {event:>3} ms: {what}");
        peer.join().expect("the peer does not panic")?;
        Ok(())
    }
}
