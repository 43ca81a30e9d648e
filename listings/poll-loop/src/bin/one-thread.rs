//! The smallest server that waits for all its clients at once: one canned reply, one thread.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};

const REPLY: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nhello\n";

// ANCHOR: one-thread
#[cfg(target_os = "linux")]
fn main() -> io::Result<()> {
    use poll_loop::{entry, poll};
    use select_loop::Interest;
    use std::os::fd::AsFd;

    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:8080".into());
    let listener = TcpListener::bind(address)?;
    println!("listening on http://{}", listener.local_addr()?);
    let mut clients: Vec<TcpStream> = Vec::new();
    loop {
        let mut entries = vec![entry(listener.as_fd(), Interest::READ)];
        entries.extend(clients.iter().map(|client| entry(client.as_fd(), Interest::READ)));
        poll(&mut entries, None)?;
        // From the back, so that the place of those who follow does not change.
        for n in (0..clients.len()).rev().filter(|n| entries[n + 1].revents != 0) {
            let _ = serve(clients.remove(n));
        }
        if entries[0].revents != 0 {
            clients.push(listener.accept()?.0);
        }
    }
}

fn serve(mut client: TcpStream) -> io::Result<()> {
    let mut request = [0; 1024];
    let _ = client.read(&mut request)?;
    client.write_all(REPLY)
}
// ANCHOR_END: one-thread

#[cfg(not(target_os = "linux"))]
fn main() -> std::process::ExitCode {
    let _ = serve;
    flags::needs_linux("one-thread")
}
