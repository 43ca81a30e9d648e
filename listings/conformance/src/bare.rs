//! A loop without an application: no [`Server`](crate::Server), since it has neither flags nor
//! a folder, and answers whatever it is sent.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use crate::patience::patience;
use crate::server::first_line;

struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill().and_then(|()| self.0.wait());
    }
}

/// Asks such a program from two connections, in turn and several times, and expects its one
/// response of 612 bytes each time. Then one of them goes, and the other is still answered.
///
/// # Errors
/// In words, whatever was different.
pub fn bare_answers(program: &str) -> Result<(), String> {
    let bare = Command::new(program).stdout(Stdio::piped()).spawn();
    let mut bare = Ended(bare.map_err(|error| format!("{program}: {error}"))?);
    let line = first_line(&mut bare.0)?;
    let address = line.strip_prefix("listening on http://").ok_or(line.as_str())?;
    let connect = || {
        let client = TcpStream::connect(address).map_err(|error| error.to_string())?;
        client.set_read_timeout(Some(patience())).map_err(|error| error.to_string())?;
        Ok::<_, String>(client)
    };
    let (mut leaver, mut stayer) = (connect()?, connect()?);
    for _ in 0..3 {
        ask(&mut leaver)?;
        ask(&mut stayer)?;
    }
    drop(leaver);
    ask(&mut stayer)?;
    ask(&mut connect()?)
}

fn ask(client: &mut TcpStream) -> Result<(), String> {
    const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 612\r\n\r\n";
    let mut response = [0; HEAD.len() + 612];
    client
        .write_all(b"GET / HTTP/1.1\r\n\r\n")
        .and_then(|()| client.read_exact(&mut response))
        .map_err(|error| format!("no response: {error}"))?;
    match response.strip_prefix(HEAD) {
        Some(body) if body.iter().all(|byte| *byte == b'x') => Ok(()),
        _ => Err(format!("another response: {}", String::from_utf8_lossy(&response))),
    }
}
