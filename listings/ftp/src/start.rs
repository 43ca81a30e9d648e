//! What both drivers do before they wait for the first time.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use iterative::listen;
use iterative::start::address_of;
use nix::sys::signal::{SigSet, Signal};
use rustix::net::{self, SendFlags, sockopt};
use select_loop::Stop;
use select_loop::start::room_for_clients;
use uring_loop::start::Failure;

use crate::path::Place;
use crate::root::Root;
use crate::session::Settings;

/// Descriptors of one client: two connections, a listener, a file.
const EACH: usize = 4;

/// What is asked for on the command line.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Where to listen.
    pub listen: SocketAddr,
    /// The folder that is served.
    pub root: PathBuf,
    /// A folder below it in which clients may write.
    pub uploads: Option<String>,
    /// Longest file that they may write, in bytes.
    pub upload_limit: u64,
    /// How many clients may be in.
    pub clients: usize,
    /// How long a client may say nothing.
    pub idle: Duration,
    /// How long a data connection may stand still.
    pub stall: Duration,
    /// How long what was begun may take after SIGTERM.
    pub grace: Duration,
}

/// Everything that a driver needs.
#[derive(Debug)]
pub struct Ready {
    /// Where clients come in. It blocks.
    pub listener: OwnedFd,
    /// Its address.
    pub address: SocketAddr,
    /// For how many there is room.
    pub room: usize,
    /// The folder.
    pub root: Arc<Root>,
    /// How the server is told to stop.
    pub stop: Stop,
    /// What clients are allowed.
    pub settings: Rc<Settings>,
    /// How long what was begun may take after that.
    pub grace: Duration,
}

/// Listens, and opens the root.
///
/// # Errors
/// One line: what failed, why, and what to do.
pub fn get_ready(wanted: &Wanted) -> Result<Ready, Failure> {
    let descriptors = room_for_clients(u64::MAX)
        .map_err(|error| format!("cannot set the limit on open files: {error}"))?;
    // Whoever writes beyond RLIMIT_FSIZE gets EFBIG, and is not to end by a signal as well.
    SigSet::from_iter([Signal::SIGXFSZ])
        .thread_block()
        .map_err(|error| format!("cannot block SIGXFSZ: {error}"))?;
    let stop = Stop::new().map_err(|error| format!("cannot catch signals: {error}"))?;
    let listener = listen(wanted.listen, 4096).map_err(|error| {
        let address = wanted.listen;
        format!("cannot listen on {address}: {error}; choose another with --listen")
    })?;
    let folder = wanted.root.display();
    let root = Root::new(&wanted.root).map_err(|error| match error.kind() {
        io::ErrorKind::Unsupported => Failure::Refused(format!(
            "cannot keep clients inside {folder}: the kernel has no openat2 (Linux 5.6), or a \
             seccomp filter forbids it; run outside the container"
        )),
        _ => Failure::Failed(format!(
            "cannot serve {folder}: {error}; name an existing folder with --root"
        )),
    })?;
    let uploads = wanted.uploads.as_deref().map(|name| uploads(&root, name)).transpose()?;
    let address = address_of(&listener)?;
    let settings = Settings {
        uploads,
        upload_limit: wanted.upload_limit,
        idle: wanted.idle,
        stall: wanted.stall,
    };
    Ok(Ready {
        listener,
        address,
        room: (descriptors / EACH).clamp(1, wanted.clients),
        root: Arc::new(root),
        stop,
        settings: Rc::new(settings),
        grace: wanted.grace,
    })
}

fn uploads(root: &Root, name: &str) -> Result<Place, String> {
    let place = Place::root().join(name);
    let folder = place.filter(|place| {
        root.look(place).is_ok_and(|meta| meta.kind == http1::Kind::Folder)
    });
    folder.ok_or_else(|| {
        format!(
            "{name} is no folder below the root; make it, or name another with --uploads"
        )
    })
}

/// A listener for one data connection, at the address at which the client came in.
///
/// # Errors
/// What socket(2), bind(2) and listen(2) answer.
// ANCHOR: listen-for-data
pub(crate) fn listen_for_data(mut at: SocketAddr) -> io::Result<(OwnedFd, SocketAddr)> {
    at.set_port(0);
    let listener = listen(at, 1)?;
    let address = net::getsockname(&listener)?;
    Ok((listener, SocketAddr::try_from(address)?))
}
// ANCHOR_END: listen-for-data

/// Where a client came in, and where it came from.
///
/// # Errors
/// The client is gone already.
pub(crate) fn ends_of(control: impl AsFd) -> io::Result<(SocketAddr, IpAddr)> {
    let local = SocketAddr::try_from(net::getsockname(&control)?)?;
    let peer = net::getpeername(&control)?.ok_or(io::ErrorKind::NotConnected)?;
    let peer = SocketAddr::try_from(peer)?;
    Ok((local, peer.ip()))
}

/// What is set on a control connection: replies are sent at once, and an urgent byte is a byte
/// like the others. Clients send the end of ABOR that way.
///
/// # Errors
/// What setsockopt(2) answers.
// ANCHOR: control
pub(crate) fn set_up_control(control: impl AsFd) -> io::Result<()> {
    sockopt::set_tcp_nodelay(&control, true)?;
    sockopt::set_socket_oobinline(&control, true)?;
    Ok(())
}
// ANCHOR_END: control

/// How a data connection ends when it is closed, whoever closes it. From its beginning on that
/// is a reset, and only a transfer that is complete changes it: so no other way out, not even
/// the end of the process, looks like the end of the file.
// ANCHOR: reset
pub(crate) fn ends_in_a_reset(data: impl AsFd, yes: bool) {
    let linger = yes.then_some(Duration::ZERO);
    // On a socket that is gone it fails, and then nothing is left to end.
    let _ = sockopt::set_socket_linger(data, linger);
}
// ANCHOR_END: reset

/// For every send: a client that is gone is an error and no signal.
pub(crate) const QUIETLY: SendFlags = SendFlags::NOSIGNAL;
