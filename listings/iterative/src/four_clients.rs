//! Four clients who come at the same moment, to see who has to wait.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

const REQUEST: &[u8] = b"GET /guestbook HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// Asks a server four times at once for its guestbook, and prints when each client was
/// connected and when it had its page.
// ANCHOR: in-line
pub fn four_clients(server: SocketAddr) -> io::Result<()> {
    let start = Instant::now();
    // The listen queue is first come, first served: connect in order, and send in order.
    let mut connected = Vec::new();
    for client in 1..=4 {
        let mut stream = TcpStream::connect(server)?;
        stream.write_all(REQUEST)?;
        connected.push((client, stream, start.elapsed()));
    }
    for (client, mut stream, since) in connected {
        let mut page = Vec::new();
        stream.read_to_end(&mut page)?;
        let (since, now) = (since.as_millis(), start.elapsed().as_millis());
        println!("client {client}: connected {since:>2} ms, page {now:>3} ms");
    }
    Ok(())
}
// ANCHOR_END: in-line
