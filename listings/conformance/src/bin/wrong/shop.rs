//! The way to the store: a connection for each call.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use flags::{ServerFlags, StoreAt};
use guestbook::{Reply, StoreCall, StoreError, StorePipe};
use store::embedded::Embedded;

use crate::fault::Fault;

/// Where the store is, and how to ask it.
#[derive(Debug)]
pub struct Shop {
    pub address: SocketAddr,
    pub timeout: Duration,
    fault: Option<Fault>,
    /// Keeps the embedded store running.
    _embedded: Option<Embedded>,
}

impl Shop {
    /// Starts the embedded store, or finds the one that was named.
    pub fn open(flags: &ServerFlags, fault: Option<Fault>) -> Result<Self, String> {
        let (address, embedded) = match &flags.store {
            StoreAt::Embedded => {
                let embedded =
                    Embedded::start(flags.store_delay, flags.store_file.as_deref())?;
                (embedded.address(), Some(embedded))
            }
            StoreAt::Redis(at) => {
                let address =
                    at.to_socket_addrs().ok().and_then(|mut addresses| addresses.next());
                (
                    address.ok_or_else(|| {
                        format!("no store at {at}; name one with --store")
                    })?,
                    None,
                )
            }
        };
        Ok(Self { address, timeout: flags.store_timeout, fault, _embedded: embedded })
    }

    /// Asks the store.
    pub fn call(&self, call: &StoreCall) -> Result<Reply, StoreError> {
        match self.ask(call) {
            Err(_) if self.fault == Some(Fault::AsksAgain) => self.ask(call),
            result => result,
        }
    }

    fn ask(&self, call: &StoreCall) -> Result<Reply, StoreError> {
        let patient = self.fault == Some(Fault::PatientWithStore);
        let until =
            Instant::now() + if patient { Duration::from_secs(3600) } else { self.timeout };
        let left = || {
            until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1))
        };
        let mut stream = TcpStream::connect_timeout(&self.address, left())
            .map_err(|error| failure(&error))?;
        let mut pipe = StorePipe::new();
        pipe.submit((), call);
        while let Some(out) = pipe.take_output() {
            stream.write_all(&out).map_err(|error| failure(&error))?;
            let all = out.len();
            pipe.sent(out, all);
        }
        let mut buffer = [0; 16 * 1024];
        while Instant::now() < until {
            let read = stream
                .set_read_timeout(Some(left()))
                .and_then(|()| stream.read(&mut buffer));
            match read {
                Ok(0) => return Err(StoreError::Gone),
                Ok(n) => pipe.received(&buffer[..n]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(failure(&error)),
            }
            if let Some(((), reply)) = pipe.next_reply().map_err(|_| StoreError::Garbled)? {
                return Ok(reply);
            }
        }
        Err(StoreError::Late)
    }
}

fn failure(error: &io::Error) -> StoreError {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => StoreError::Late,
        _ => StoreError::Gone,
    }
}
