//! A client for the experiments: asks, and later looks what came.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Asks for a path, on a connection of its own.
///
/// # Errors
/// What connect(2) and send(2) answer.
pub fn asks(server: SocketAddr, path: &str) -> io::Result<TcpStream> {
    let mut client = TcpStream::connect(server)?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n");
    client.write_all(request.as_bytes())?;
    Ok(client)
}

/// The status with which it was answered, or what happened instead.
pub fn status(client: TcpStream, within: Duration) -> String {
    let mut line = String::new();
    let read = client
        .set_read_timeout(Some(within))
        .and_then(|()| BufReader::new(client).read_line(&mut line));
    match (read, line.split(' ').nth(1)) {
        (Ok(_), Some(status)) => status.to_owned(),
        (Ok(_), None) => "the connection ends".to_owned(),
        (Err(_), _) => format!("no answer within {within:?}"),
    }
}
