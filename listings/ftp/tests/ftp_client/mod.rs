//! As much of an FTP client as the tests need.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use rustix::net::{self, AddressFamily, SendFlags, SocketType, sockopt};

const LONG: Duration = Duration::from_secs(30);

pub struct Client {
    control: BufReader<TcpStream>,
    server: IpAddr,
}

impl Client {
    pub fn connect(server: SocketAddr) -> Self {
        let control = TcpStream::connect(server).expect("to connect");
        control.set_read_timeout(Some(LONG)).expect("a timeout");
        control.set_nodelay(true).expect("an option");
        Self { control: BufReader::new(control), server: server.ip() }
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.control.get_mut().write_all(bytes).expect("to send");
    }

    pub fn send_urgent(&mut self, bytes: &[u8]) {
        let sent =
            net::send(self.control.get_ref(), bytes, SendFlags::OOB).expect("to send");
        assert_eq!(sent, bytes.len());
    }

    /// A byte, if the server still listens.
    pub fn drip(&mut self, byte: u8) -> bool {
        self.control.get_mut().write_all(&[byte]).is_ok()
    }

    /// One reply: its code, and all its lines.
    pub fn reply(&mut self) -> (u16, String) {
        let mut text = String::new();
        loop {
            let start = text.len();
            let n = self.control.read_line(&mut text).expect("a reply");
            assert!(n > 0, "the connection has ended, after {text:?}");
            let line = &text[start..];
            if line.as_bytes().get(3) == Some(&b' ')
                && let Ok(code) = line[..3].parse()
            {
                return (code, text);
            }
        }
    }

    pub fn say(&mut self, line: &str) -> (u16, String) {
        self.send(format!("{line}\r\n").as_bytes());
        self.reply()
    }

    pub fn expect(&mut self, line: &str, code: u16) -> String {
        let (got, text) = self.say(line);
        assert_eq!(got, code, "{line}: {text}");
        text
    }

    pub fn passive_address(&mut self) -> SocketAddr {
        let text = self.expect("EPSV", 229);
        let port = text.split("|||").nth(1).and_then(|rest| rest.split('|').next());
        let port = port.and_then(|port| port.parse().ok()).expect("a port");
        SocketAddr::new(self.server, port)
    }

    pub fn passive(&mut self) -> TcpStream {
        let address = self.passive_address();
        let data = TcpStream::connect(address).expect("to connect");
        data.set_read_timeout(Some(LONG)).expect("a timeout");
        data
    }

    /// Receives a file or a listing from some byte on: the last reply, and the bytes.
    pub fn get(&mut self, command: &str, from: usize) -> (u16, Vec<u8>) {
        let mut data = self.passive();
        if from > 0 {
            self.expect(&format!("REST {from}"), 350);
        }
        let (code, _) = self.say(command);
        let mut bytes = Vec::new();
        if code != 150 {
            return (code, bytes);
        }
        data.read_to_end(&mut bytes).expect("to read");
        (self.reply().0, bytes)
    }

    /// Stores a file from some byte on: the last reply.
    pub fn put(&mut self, command: &str, from: usize, bytes: &[u8]) -> u16 {
        let mut data = self.passive();
        if from > 0 {
            self.expect(&format!("REST {from}"), 350);
        }
        let (code, _) = self.say(command);
        if code != 150 {
            return code;
        }
        // A server that has had enough may close before all is sent.
        if data.write_all(bytes).is_ok() {
            let _ = data.shutdown(Shutdown::Write);
        }
        self.reply().0
    }

    pub fn is_at_its_end(&mut self) -> bool {
        matches!(self.control.read(&mut [0]), Ok(0))
    }

    /// Its end will be a reset.
    pub fn will_reset(&mut self) {
        sockopt::set_socket_linger(self.control.get_ref(), Some(Duration::ZERO))
            .expect("an option");
    }
}

/// A connection from another address of this machine.
pub fn connect_from(from: [u8; 4], to: SocketAddr) -> TcpStream {
    let socket =
        net::socket(AddressFamily::INET, SocketType::STREAM, None).expect("a socket");
    net::bind(&socket, &SocketAddr::from((from, 0))).expect("an address");
    net::connect(&socket, &to).expect("to connect");
    socket.into()
}
