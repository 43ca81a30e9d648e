//! Four threads, and clients that say nothing: one, two, three, four. When is the next one
//! who asks answered?

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    match stuck::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => flags::fail(
            flags::FAILED,
            format_args!("cannot keep four threads busy: {error}; run it again"),
        ),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    flags::needs_linux("stuck-pool")
}

#[cfg(target_os = "linux")]
mod stuck {
    use std::io::{self, Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::sync::Arc;
    use std::thread;
    use std::time::Duration;

    const THREADS: usize = 4;
    const PATIENCE: Duration = Duration::from_millis(500);

    // ANCHOR: stuck
    pub fn run() -> io::Result<()> {
        let listener = Arc::new(TcpListener::bind("127.0.0.1:0")?);
        for _ in 0..THREADS {
            let listener = Arc::clone(&listener);
            thread::spawn(move || while answer(&listener).is_ok() {});
        }
        println!("{THREADS} threads; the next who asks");
        let mut silent = Vec::new();
        loop {
            let mut client = TcpStream::connect(listener.local_addr()?)?;
            client.write_all(b"hello\n")?;
            client.set_read_timeout(Some(PATIENCE))?;
            let answered = client.read(&mut [0; 16]).is_ok();
            let outcome = if answered { "is answered" } else { "waits" };
            println!("{} silent clients  {outcome}", silent.len());
            if !answered {
                return Ok(());
            }
            silent.push(TcpStream::connect(listener.local_addr()?)?);
        }
    }

    /// Accepts, reads a line, answers it.
    fn answer(listener: &TcpListener) -> io::Result<()> {
        let (mut client, _) = listener.accept()?;
        let mut line = [0; 16];
        let n = client.read(&mut line)?;
        client.write_all(&line[..n])
    }
    // ANCHOR_END: stuck
}
