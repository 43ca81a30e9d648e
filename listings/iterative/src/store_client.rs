//! Asking the store and waiting for its answer: one connection, one call at a time.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use guestbook::{Reply, StoreCall, StoreError, StorePipe};

/// Until when to wait, asked before each wait: a signal may have come that shortens it.
pub type Until<'a> = &'a dyn Fn() -> Option<Instant>;

/// A worker's connection to the store. It is kept between calls and made again when it is
/// gone.
#[derive(Debug)]
pub struct StoreClient {
    address: SocketAddr,
    timeout: Duration,
    connection: Option<(TcpStream, StorePipe<()>)>,
}

impl StoreClient {
    /// A client of the store at `address`, which gives each reply `timeout`. Connects at
    /// the first call.
    pub fn new(address: SocketAddr, timeout: Duration) -> Self {
        Self { address, timeout, connection: None }
    }

    /// Another client of the same store, with a connection of its own.
    pub fn another(&self) -> Self {
        Self::new(self.address, self.timeout)
    }

    /// Finds the address behind `HOST:PORT` and checks that somebody listens there.
    pub fn find(host_and_port: &str, timeout: Duration) -> io::Result<SocketAddr> {
        let mut last = io::Error::other("the name has no address");
        for address in host_and_port.to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, timeout) {
                Ok(_) => return Ok(address),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// How long a reply may take.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Sends the call and waits for its reply, no longer than `until` says.
    ///
    /// A connection that was kept may have ended meanwhile. If the first try fails on such
    /// a one, a call that does no harm when it is done twice is tried once more; a remark
    /// never is.
    // ANCHOR: call
    pub fn call(&mut self, call: &StoreCall, until: Until) -> Result<Reply, StoreError> {
        self.drop_if_ended();
        let was_kept = self.connection.is_some();
        match self.try_call(call, until) {
            Err(StoreError::Gone) if was_kept && call.repeatable => {
                self.try_call(call, until)
            }
            result => result,
        }
    }

    fn try_call(&mut self, call: &StoreCall, until: Until) -> Result<Reply, StoreError> {
        let result = self.exchange(call, until);
        if result.is_err() {
            // Its reply may still come; on this connection it would be taken for the next
            // one's.
            self.connection = None;
        }
        result
    }

    fn exchange(&mut self, call: &StoreCall, until: Until) -> Result<Reply, StoreError> {
        let (stream, pipe) = self.connect(until)?;
        pipe.submit((), call);
        while let Some(out) = pipe.take_output() {
            stream.set_write_timeout(Some(time_left(until)?)).map_err(failure)?;
            let sent = interrupted_is_nothing(stream.write(&out))?;
            pipe.sent(out, sent.unwrap_or(0));
        }
        let mut buffer = [0; 16 * 1024];
        loop {
            stream.set_read_timeout(Some(time_left(until)?)).map_err(failure)?;
            match interrupted_is_nothing(stream.read(&mut buffer))? {
                Some(0) => return Err(StoreError::Gone),
                Some(n) => pipe.received(&buffer[..n]),
                None => {}
            }
            if let Some(((), reply)) = pipe.next_reply().map_err(|_| StoreError::Garbled)? {
                return Ok(reply);
            }
        }
    }
    // ANCHOR_END: call

    /// In tries of a second, since a signal does not end one (the standard library goes on
    /// waiting), and may bring the end of `until` nearer.
    fn connect(
        &mut self,
        until: Until,
    ) -> Result<&mut (TcpStream, StorePipe<()>), StoreError> {
        while self.connection.is_none() {
            let time = time_left(until)?.min(Duration::from_secs(1));
            let stream = match TcpStream::connect_timeout(&self.address, time) {
                Err(error) if error.kind() == io::ErrorKind::TimedOut => continue,
                connected => connected.map_err(failure)?,
            };
            stream.set_nodelay(true).map_err(failure)?;
            self.connection = Some((stream, StorePipe::new()));
        }
        self.connection.as_mut().ok_or(StoreError::Gone)
    }

    /// A store that was restarted has closed its end, and a remark that is sent to it is
    /// lost: look before.
    fn drop_if_ended(&mut self) {
        if let Some((stream, _)) = &self.connection {
            let silent = stream.set_nonblocking(true).and_then(|()| stream.peek(&mut [0]));
            let is_open =
                matches!(&silent, Err(error) if error.kind() == io::ErrorKind::WouldBlock);
            if !is_open || stream.set_nonblocking(false).is_err() {
                self.connection = None;
            }
        }
    }
}

/// `None` for a call that a signal has interrupted: the deadline is looked at, and it is made
/// again.
fn interrupted_is_nothing(result: io::Result<usize>) -> Result<Option<usize>, StoreError> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(None),
        result => result.map(Some).map_err(failure),
    }
}

fn time_left(until: Until) -> Result<Duration, StoreError> {
    let left =
        until().map_or(Duration::MAX, |end| end.saturating_duration_since(Instant::now()));
    if left.is_zero() {
        Err(StoreError::Late)
    } else {
        Ok(left.min(Duration::from_secs(3600)))
    }
}

fn failure(error: io::Error) -> StoreError {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => StoreError::Late,
        _ => StoreError::Gone,
    }
}
