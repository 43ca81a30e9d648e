//! A page that is longer than the kernel has room for, sent three ways over a socket that does
//! not block: the count ignored once, the counts ignored for each piece, and the count heeded.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    match lost::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => flags::fail(
            flags::FAILED,
            format_args!("cannot send a page: {error}; is the loopback interface up?"),
        ),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    flags::needs_linux("lost-write")
}

#[cfg(target_os = "linux")]
mod lost {
    use std::io::{self, ErrorKind, Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::{AsFd, BorrowedFd};
    use std::sync::mpsc::{self, Sender};
    use std::thread;
    use std::time::Duration;

    use poll_loop::{entry, poll};
    use select_loop::Interest;

    /// More than the buffers of both ends take.
    const LENGTH: usize = 16 << 20;
    const PIECE: usize = 64 << 10;
    /// When the client begins to read: so long after the kernel has had no more room. The
    /// pieces that are left take ten times as long.
    const LATER: Duration = Duration::from_millis(20);

    pub fn run() -> io::Result<()> {
        // Each word is its own number, so that the client sees where something is missing.
        let page: Vec<u8> = (0..(LENGTH / 8) as u64).flat_map(u64::to_be_bytes).collect();
        println!("{LENGTH} bytes            arrived  what the client has");
        try_with("sent at once", &page, send_at_once)?;
        try_with("sent in pieces", &page, send_in_pieces)?;
        try_with("from where it stopped", &page, send_all)
    }

    // ANCHOR: at-once
    /// Wrong: assumes that the kernel takes everything.
    fn send_at_once(client: &mut Slow, page: &[u8]) -> io::Result<()> {
        client.write(page).map(drop)
    }
    // ANCHOR_END: at-once

    // ANCHOR: pieces
    /// Wrong, too: a piece for which there is no room is gone, and the next may be sent.
    fn send_in_pieces(client: &mut Slow, page: &[u8]) -> io::Result<()> {
        for piece in page.chunks(PIECE) {
            match client.write(piece) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
            thread::sleep(Duration::from_millis(1)); // it does something else
        }
        Ok(())
    }
    // ANCHOR_END: pieces

    // ANCHOR: all
    /// Right: what is left is kept, and sent when there is room.
    fn send_all(client: &mut Slow, page: &[u8]) -> io::Result<()> {
        let mut sent = 0;
        while sent < page.len() {
            match client.write(&page[sent..]) {
                Ok(n) => sent += n,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let room = Interest { read: false, write: true };
                    poll(&mut [entry(client.as_fd(), room)], None)?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
    // ANCHOR_END: all

    /// The connection to a client that begins to read when something was not taken.
    struct Slow {
        socket: TcpStream,
        full: Option<Sender<()>>,
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let written = self.socket.write(bytes);
            if !matches!(written, Ok(n) if n == bytes.len()) {
                self.full = None;
            }
            written
        }

        fn flush(&mut self) -> io::Result<()> {
            self.socket.flush()
        }
    }

    impl AsFd for Slow {
        fn as_fd(&self) -> BorrowedFd<'_> {
            self.socket.as_fd()
        }
    }

    fn try_with(
        how: &str,
        page: &[u8],
        send: fn(&mut Slow, &[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let mut client = TcpStream::connect(listener.local_addr()?)?;
        let (socket, _) = listener.accept()?;
        socket.set_nonblocking(true)?;
        let (full, is_full) = mpsc::channel::<()>();
        let mut accepted = Slow { socket, full: Some(full) };
        let arrived = thread::scope(|scope| {
            let arrived = scope.spawn(move || {
                let _ = is_full.recv(); // nothing ever comes, and this ends with the sender
                thread::sleep(LATER);
                let mut bytes = Vec::new();
                client.read_to_end(&mut bytes).map(|_| bytes)
            });
            let sent = send(&mut accepted, page);
            drop(accepted);
            sent.and(arrived.join().expect("the client does not panic"))
        })?;
        let wrong = arrived.iter().zip(page).position(|(got, sent)| got != sent);
        let copy = match wrong {
            Some(at) => format!("wrong from byte {at} on"),
            None if arrived.len() < page.len() => "the beginning".to_owned(),
            None => "the page".to_owned(),
        };
        println!("{how:<22}{:>13}  {copy}", arrived.len());
        Ok(())
    }
}
