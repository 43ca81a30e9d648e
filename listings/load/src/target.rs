//! Whom the clients ask, and what they ask for.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use crate::answer::{Answer, Expected, LastHead, Progress, Wrong};

/// A server's address, or several, and a path.
#[derive(Clone, Debug)]
pub struct Target {
    addresses: Vec<SocketAddr>,
    sources: u8,
    request: Vec<u8>,
}

impl Target {
    /// The target `http://HOST:PORT/PATH`; of the others only the addresses are taken. Clients
    /// use so many source addresses, in turn: each of them has some 28,000 ports for each
    /// address of the server (`ip_local_port_range` in ip(7)).
    ///
    /// # Errors
    /// One line, if it is none.
    pub fn new(urls: &[String], sources: u8, close: bool) -> Result<Self, String> {
        let parts: Vec<(&str, &str)> = urls
            .iter()
            .map(|url| {
                let rest = url.strip_prefix("http://").ok_or_else(|| {
                    format!("{url}: only http://HOST:PORT/PATH can be asked")
                })?;
                Ok(rest.split_once('/').unwrap_or((rest, "")))
            })
            .collect::<Result<_, String>>()?;
        let (host, path) = *parts.first().ok_or("no target")?;
        if path.contains(|char: char| char.is_whitespace() || char.is_control()) {
            return Err(format!("/{path}: a blank in a path is written %20"));
        }
        let mut addresses = Vec::new();
        for (host, _) in &parts {
            let with_port = match host.contains(':') {
                true => (*host).to_owned(),
                false => format!("{host}:80"),
            };
            let found = with_port.to_socket_addrs().map(|mut found| found.next());
            match found {
                Ok(Some(address)) => addresses.push(address),
                Ok(None) => return Err(format!("{host} has no address")),
                Err(error) => return Err(format!("{host}: {error}")),
            }
        }
        let end = if close { "Connection: close\r\n" } else { "" };
        let request =
            format!("GET /{path} HTTP/1.1\r\nHost: {host}\r\n{end}\r\n").into_bytes();
        if sources > 1 && !addresses.iter().all(|address| is_here(address.ip())) {
            return Err("several source addresses are there on loopback only".into());
        }
        Ok(Self { addresses, sources, request })
    }

    /// What every client sends.
    #[must_use]
    pub fn request(&self) -> &[u8] {
        &self.request
    }

    /// Where the client with this number connects to.
    #[must_use]
    pub fn address(&self, client: usize) -> SocketAddr {
        self.addresses[client % self.addresses.len()]
    }

    /// Where it connects from. None: the kernel chooses.
    #[must_use]
    pub fn source(&self, client: usize) -> Option<SocketAddr> {
        if self.sources <= 1 {
            return None;
        }
        let which = client / self.addresses.len() % usize::from(self.sources);
        // All of 127.0.0.0/8 is this machine.
        let last = u8::try_from(which).unwrap_or(0).saturating_add(1);
        Some((Ipv4Addr::new(127, 0, 0, last), 0).into())
    }

    /// Asks twice, alone, and says what every response must be: with the body that is known,
    /// if one is; with the same body, if both were the same; and else with any body of the
    /// length that its head states.
    ///
    /// # Errors
    /// One line, if the server cannot be measured, or answers with another body than the known
    /// one.
    pub fn expected(
        &self,
        timeout: Duration,
        known: Option<Vec<u8>>,
    ) -> Result<Expected, String> {
        let address = self.addresses[0];
        let body = || {
            self.ask_once(address, timeout).map_err(|error| format!("{address}: {error}"))
        };
        let (first, second) = (body()?, body()?);
        match known {
            Some(known) if first == known && second == known => {
                Ok(Expected { body: Some(known) })
            }
            Some(known) => Err(format!(
                "{address}: it answers with {} bytes that are not the {} that are expected",
                first.len(),
                known.len()
            )),
            None => Ok(Expected { body: (first == second).then_some(first) }),
        }
    }

    fn ask_once(&self, address: SocketAddr, timeout: Duration) -> io::Result<Vec<u8>> {
        let mut socket = TcpStream::connect_timeout(&address, timeout)?;
        socket.set_read_timeout(Some(timeout))?;
        socket.write_all(&self.request)?;
        let (mut all, mut room) = (Vec::new(), [0; 16 * 1024]);
        let (mut answer, mut last) = (Answer::default(), LastHead::default());
        let any = Expected { body: None };
        loop {
            let n = socket.read(&mut room)?;
            all.extend_from_slice(&room[..n]);
            if n == 0 {
                return Err(io::Error::other("it ends the connection without a response"));
            }
            match answer.received(&room[..n], &mut last, &any) {
                Progress::Part => {}
                Progress::Whole { .. } => return Ok(all.split_off(last.length())),
                Progress::Wrong(Wrong::Status) => {
                    let line = all.split(|byte| *byte == b'\r').next().unwrap_or_default();
                    let line = String::from_utf8_lossy(line).into_owned();
                    return Err(io::Error::other(format!("it answers {line}")));
                }
                Progress::Wrong(_) => {
                    return Err(io::Error::other(
                        "what it answers is no response with a Content-Length",
                    ));
                }
            }
        }
    }
}

fn is_here(address: IpAddr) -> bool {
    matches!(address, IpAddr::V4(address) if address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(urls: &[&str], sources: u8) -> Result<Target, String> {
        let urls: Vec<String> = urls.iter().map(|url| (*url).to_owned()).collect();
        Target::new(&urls, sources, false)
    }

    #[test]
    fn an_address_and_a_path() {
        let target = target(&["http://127.0.0.1:81/a/b?c"], 1).unwrap();
        assert_eq!(target.address(5), "127.0.0.1:81".parse().unwrap());
        assert_eq!(
            target.request(),
            b"GET /a/b?c HTTP/1.1\r\nHost: 127.0.0.1:81\r\n\r\n".as_slice()
        );
        assert_eq!(target.source(5), None);
    }

    #[test]
    fn every_source_meets_every_address() {
        let two = ["http://127.0.0.1:81/", "http://127.0.0.2:81/"];
        let target = target(&two, 3).unwrap();
        let pairs: std::collections::HashSet<_> =
            (0..6).map(|client| (target.address(client), target.source(client))).collect();
        assert_eq!(pairs.len(), 6);
    }

    #[test]
    fn what_is_no_target_is_refused_in_one_line() {
        for (urls, sources) in [
            (&["https://127.0.0.1/"][..], 1),
            (&["127.0.0.1:80"], 1),
            (&["http://127.0.0.1:99999/"], 1),
            (&["http://127.0.0.1/a b"], 1),
            (&["http://192.0.2.1/"], 2),
            (&[], 1),
        ] {
            let refused = target(urls, sources).expect_err("it is taken");
            assert!(!refused.contains('\n'), "{refused}");
        }
    }
}
