//! What a client sees of a response when its server closes with bytes unread, and when it
//! does not.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    match unread::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => flags::fail(
            flags::FAILED,
            format_args!("cannot respond: {error}; is the loopback interface up?"),
        ),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    flags::needs_linux("unread")
}

#[cfg(target_os = "linux")]
mod unread {
    use std::io::{self, Read, Write};
    use std::net::{Shutdown, TcpListener, TcpStream};
    use std::thread;
    use std::time::Duration;

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: example\r\n\r\n";
    const REFUSAL: &[u8] = b"HTTP/1.1 413 Content Too Large\r\n\r\n";
    /// When the client begins to read: what has not been sent by then waits in the server's
    /// kernel.
    const LATER: Duration = Duration::from_millis(150);

    pub fn run() -> io::Result<()> {
        let page = vec![b'x'; 1 << 20];
        let and_two = [REQUEST, b"\r\n"].concat();
        let upload = vec![b'x'; 16 << 20];

        println!("a page of {} bytes", page.len());
        try_with("all was read, close", REQUEST, &page, close)?;
        try_with("2 bytes unread, close", &and_two, &page, close)?;
        try_with("2 bytes unread, linger", &and_two, &page, linger)?;
        println!("an upload is refused");
        try_with("16 MiB unread, close", &upload, REFUSAL, close)?;
        try_with("16 MiB unread, linger", &upload, REFUSAL, linger)
    }

    // ANCHOR: close
    /// Wrong, if there may be more than was read.
    fn close(client: TcpStream) -> io::Result<()> {
        drop(client);
        Ok(())
    }

    /// Right: says that this was all, and throws away what the client still has to say, for
    /// two seconds at most.
    fn linger(mut client: TcpStream) -> io::Result<()> {
        client.shutdown(Shutdown::Write)?;
        client.set_read_timeout(Some(Duration::from_secs(2)))?;
        while client.read(&mut [0; 4096])? > 0 {}
        Ok(())
    }
    // ANCHOR_END: close

    fn try_with(
        name: &str,
        request: &[u8],
        response: &[u8],
        end: fn(TcpStream) -> io::Result<()>,
    ) -> io::Result<()> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let client = TcpStream::connect(listener.local_addr()?)?;
        let (mut accepted, _) = listener.accept()?;
        let seen = thread::scope(|scope| {
            let client = scope.spawn(|| ask(client, request));
            accepted.read_exact(&mut [0; REQUEST.len()])?;
            // Long enough for the two bytes to be there.
            thread::sleep(LATER / 3);
            accepted.write_all(response)?;
            end(accepted)?;
            Ok::<_, io::Error>(client.join().expect("the client does not panic"))
        })?;
        println!("  {name:<24}{seen}");
        Ok(())
    }

    /// A client: sends its request, then reads to the end.
    fn ask(mut client: TcpStream, request: &[u8]) -> String {
        if let Err(error) = client.write_all(request) {
            return format!("the client's write fails: {}", error.kind());
        }
        thread::sleep(LATER);
        let _ = client.shutdown(Shutdown::Write);
        let mut page = Vec::new();
        match client.read_to_end(&mut page) {
            Ok(_) => format!("{} bytes arrive", page.len()),
            Err(error) => format!("{} bytes arrive, then: {}", page.len(), error.kind()),
        }
    }
}
