//! What every blocking server does before its first accept, and what it says when it cannot.

use std::fmt::Display;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use flags::{OfferFlags, ServerFlags, StoreAt};
use guestbook::Settings;
use rustix::net::{getsockname, sockopt};
use store::embedded::Embedded;

use crate::{Files, StoreClient, Worker, listen};

/// A worker that can serve, and the store that it needs.
#[derive(Debug)]
pub struct Ready {
    /// Serves connections. A process that is forked off has its own copy.
    pub worker: Worker,
    /// The embedded store, running until this is dropped; none when another was named.
    pub store: Option<Embedded>,
}

/// What a server offers beyond the least.
#[derive(Clone, Copy, Debug)]
pub struct Offer {
    /// Files stay open for a second after they were served.
    pub file_cache: bool,
    /// Connections stay open after a response.
    pub keep_alive: bool,
}

impl From<OfferFlags> for Offer {
    fn from(not: OfferFlags) -> Self {
        Self { file_cache: !not.no_file_cache, keep_alive: !not.no_keep_alive }
    }
}

/// Opens the root and starts the store, or finds the one that was named.
///
/// # Errors
/// One line: what failed, why, and what to do.
pub fn get_ready(flags: &ServerFlags, offer: Offer) -> Result<Ready, String> {
    let files = open_files(flags, offer)?;
    let (store, address) = start_store(flags)?;
    let client = StoreClient::new(address, flags.store_timeout);
    let settings = settings(flags, offer);
    Ok(Ready { worker: Worker::new(files, client, settings, flags.grace), store })
}

/// Opens the root.
///
/// # Errors
/// One line: what failed, why, and what to do.
pub fn open_files(flags: &ServerFlags, offer: Offer) -> Result<Files, String> {
    Files::new(&flags.root, offer.file_cache).map_err(|error| {
        let root = flags.root.display();
        format!("cannot serve {root}: {error}; name an existing folder with --root")
    })
}

/// The limits and deadlines of a connection.
pub fn settings(flags: &ServerFlags, offer: Offer) -> Settings {
    Settings {
        keep_alive: offer.keep_alive,
        header_timeout: flags.header_timeout,
        body_timeout: flags.body_timeout,
        send_timeout: flags.send_timeout,
        ..Settings::default()
    }
}

/// Starts the embedded store, or finds the one that was named.
///
/// # Errors
/// One line: what failed, why, and what to do.
pub fn start_store(flags: &ServerFlags) -> Result<(Option<Embedded>, SocketAddr), String> {
    match &flags.store {
        StoreAt::Embedded => {
            let store = Embedded::start(flags.store_delay, flags.store_file.as_deref())?;
            let address = store.address();
            Ok((Some(store), address))
        }
        StoreAt::Redis(at) => match StoreClient::find(at, flags.store_timeout) {
            Ok(address) => Ok((None, address)),
            Err(error) => Err(format!(
                "cannot reach the store at {at}: {error}; start it, or use --store embedded"
            )),
        },
    }
}

/// Listens where the flags say. What is sent to a client leaves at once: without TCP_NODELAY,
/// which a connection has from its listener (tcp(7)), the second of two small responses would
/// wait until the client has acknowledged the first, and clients take up to 40 ms for that.
///
/// # Errors
/// One line: what failed, why, and what to do.
pub fn open_listener(flags: &ServerFlags) -> Result<OwnedFd, String> {
    let listener = listen(flags.listen, flags.backlog);
    listener
        .and_then(|listener| {
            sockopt::set_tcp_nodelay(&listener, true)?;
            Ok(listener)
        })
        .map_err(|error| cannot_listen(flags, error))
}

/// The line for a listener that cannot be opened.
pub fn cannot_listen(flags: &ServerFlags, error: impl Display) -> String {
    format!("cannot listen on {}: {error}; choose another with --listen", flags.listen)
}

/// The address that the kernel gave a listener: with port 0 it chooses one.
///
/// # Errors
/// One line: what failed, and why.
pub fn address_of(listener: &OwnedFd) -> Result<SocketAddr, String> {
    getsockname(listener)
        .map_err(io::Error::from)
        .and_then(|name| Ok(SocketAddr::try_from(name)?))
        .map_err(|error| format!("cannot tell the address that the kernel chose: {error}"))
}

/// Says, as the first line of output, where the server listens.
///
/// # Errors
/// One line: what failed, and why.
pub fn announce(listener: &OwnedFd) -> Result<(), String> {
    let address = address_of(listener)?;
    writeln!(io::stdout(), "listening on http://{address}")
        .map_err(|error| format!("cannot print the address: {error}"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        server: ServerFlags,
    }

    #[test]
    fn each_deadline_has_a_flag() {
        let line = "server --header-timeout 1 --body-timeout 2 --send-timeout 3";
        let flags = Line::parse_from(line.split(' ')).server;
        let settings = settings(&flags, Offer { keep_alive: true, file_cache: true });
        let deadlines =
            [settings.header_timeout, settings.body_timeout, settings.send_timeout];
        assert_eq!(deadlines, [1, 2, 3].map(Duration::from_millis));
    }
}
