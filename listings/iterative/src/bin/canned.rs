//! The smallest server that a browser will talk to: one canned reply, one client at a time.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

const REPLY: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nhello\n";

// ANCHOR: canned
fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:8080".into());
    let listener = TcpListener::bind(address)?;
    println!("listening on http://{}", listener.local_addr()?);
    loop {
        let (client, _) = listener.accept()?;
        serve(client)?;
    }
}

fn serve(mut client: TcpStream) -> std::io::Result<()> {
    let mut request = [0; 1024];
    let _ = client.read(&mut request)?;
    client.write_all(REPLY)
}
// ANCHOR_END: canned
