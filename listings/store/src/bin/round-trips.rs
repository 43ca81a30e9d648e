//! Two questions to a store that takes 100 ms for each answer: one after the other, and
//! together.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    match ask::twice() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => flags::fail(
            flags::FAILED,
            format_args!("cannot ask the store: {error}; run it again"),
        ),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    flags::needs_linux("round-trips")
}

#[cfg(target_os = "linux")]
mod ask {
    use std::io::{self, Read, Write};
    use std::net::TcpStream;
    use std::time::{Duration, Instant};

    use store::Store;

    // ANCHOR: round-trips
    const COUNT: &[u8] = b"*2\r\n$4\r\nINCR\r\n$8\r\nvisitors\r\n";
    const FETCH: &[u8] = b"*4\r\n$6\r\nLRANGE\r\n$7\r\nremarks\r\n$1\r\n0\r\n$2\r\n19\r\n";

    pub fn twice() -> io::Result<()> {
        let store = Store::spawn_in_process(Duration::from_millis(100), None)
            .map_err(io::Error::other)?;
        let mut stream = TcpStream::connect(store.address())?;

        let start = Instant::now();
        exchange(&mut stream, COUNT, b":1\r\n")?;
        exchange(&mut stream, FETCH, b"*0\r\n")?;
        println!("one after the other: {} ms", start.elapsed().as_millis());

        let start = Instant::now();
        exchange(&mut stream, &[COUNT, FETCH].concat(), b":2\r\n*0\r\n")?;
        println!("both at once:        {} ms", start.elapsed().as_millis());
        Ok(())
    }

    /// Sends commands, and waits until all their replies are there.
    fn exchange(
        stream: &mut TcpStream,
        commands: &[u8],
        expected: &[u8],
    ) -> io::Result<()> {
        stream.write_all(commands)?;
        let mut replies = vec![0; expected.len()];
        stream.read_exact(&mut replies)?;
        if replies == expected {
            Ok(())
        } else {
            Err(io::Error::other("another reply came than was expected"))
        }
    }
    // ANCHOR_END: round-trips
}
