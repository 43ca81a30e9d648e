//! The listening socket, and starting and stopping it all.
//!
//! One thread accepts, and each connection has one of its own, or two when replies are
//! delayed. It is the model of the chapter "A thread for each connection", with the
//! standard library alone.

use std::collections::HashMap;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle, Scope};
use std::time::Duration;

use nix::sys::signal::{SigSet, Signal};
use nix::sys::socket;

use crate::client;
use crate::ledger::Ledger;

/// Bytes of stack for a connection's thread. Nothing there is deep; what is large is on the
/// heap.
pub const STACK: usize = 256 << 10;
/// Pause after a failed accept(2), which would otherwise fail again at once: out of
/// descriptors, out of memory.
const PAUSE: Duration = Duration::from_millis(100);

/// How a store is started.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where it listens; port 0 lets the kernel choose.
    pub listen: SocketAddr,
    /// How long every reply waits.
    pub delay: Duration,
    /// What it appends to; without a file it forgets everything when it ends.
    pub file: Option<PathBuf>,
    /// Connections beyond this many are told so and closed.
    pub max_clients: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            delay: Duration::ZERO,
            file: None,
            max_clients: 2000,
        }
    }
}

/// What the threads of a store share.
#[derive(Debug)]
pub struct Shared {
    pub(crate) ledger: Ledger,
    pub(crate) delay: Duration,
    pub(crate) stopping: AtomicBool,
    max_clients: usize,
    clients: Mutex<HashMap<u64, Arc<TcpStream>>>,
}

/// A running store. Dropping it ends its connections and threads, and gives its file free.
#[derive(Debug)]
pub struct Store {
    address: SocketAddr,
    listener: Arc<TcpListener>,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Store {
    /// Starts a store in threads of this process. The error is one line.
    pub fn start(options: &Options) -> Result<Self, String> {
        // Beyond RLIMIT_FSIZE write(2) fails with EFBIG, and SIGXFSZ kills the process
        // unless it is blocked. Threads inherit this.
        block(&[Signal::SIGXFSZ]);
        let ledger = Ledger::open(options.file.as_deref())?;
        let listen = options.listen;
        let cannot = |why: io::Error| {
            format!(
                "cannot listen on {listen}: {why}; give --listen another address or port"
            )
        };
        let listener = Arc::new(TcpListener::bind(listen).map_err(cannot)?);
        // The standard library asks for a queue of 128. A second listen(2) changes that.
        socket::listen(&*listener, socket::Backlog::MAXALLOWABLE)
            .map_err(|why| cannot(why.into()))?;
        let address = listener.local_addr().map_err(cannot)?;
        let shared = Arc::new(Shared {
            ledger,
            delay: options.delay,
            stopping: AtomicBool::new(false),
            max_clients: options.max_clients,
            clients: Mutex::default(),
        });
        let (theirs, of_all) = (Arc::clone(&listener), Arc::clone(&shared));
        let thread = thread::Builder::new()
            .name("store accept".into())
            .spawn(move || accept(&theirs, &of_all));
        let thread = thread.map_err(|why| {
            format!("cannot start a thread: {why}; raise the limit on processes")
        })?;
        Ok(Self { address, listener, shared, thread: Some(thread) })
    }

    /// A store for a test: on a free port of this machine, in threads of this process. The
    /// error is one line.
    pub fn spawn_in_process(delay: Duration, file: Option<&Path>) -> Result<Self, String> {
        Self::start(&Options {
            delay,
            file: file.map(Path::to_path_buf),
            ..Options::default()
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until the process ends.
    pub fn wait(mut self) {
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // It panicked, and said so.
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::Release);
        // This wakes the accept(2) of the other thread.
        let _ = socket::shutdown(self.listener.as_raw_fd(), socket::Shutdown::Both);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // It panicked, and said so.
        }
    }
}

// ANCHOR: accept
/// Accepts until the store is stopped. The scope waits for the connections' threads.
fn accept(listener: &TcpListener, shared: &Shared) {
    thread::scope(|scope| {
        for (id, stream) in (0..).zip(listener.incoming()) {
            if shared.stopping.load(Ordering::Acquire) {
                break;
            }
            let started = stream.and_then(|stream| admit(scope, shared, id, stream));
            if let Err(why) = started.or_else(forgive) {
                eprintln!("store: a connection could not be served: {why}");
                thread::sleep(PAUSE);
            }
        }
        for client in shared.clients().values() {
            let _ = client.shutdown(std::net::Shutdown::Both); // It may be gone already.
        }
    });
}
// ANCHOR_END: accept

/// accept(2) also reports what went wrong with one client that is gone already.
fn forgive(why: io::Error) -> io::Result<()> {
    if why.kind() == io::ErrorKind::ConnectionAborted { Ok(()) } else { Err(why) }
}

fn admit<'s>(
    scope: &'s Scope<'s, '_>,
    shared: &'s Shared,
    id: u64,
    stream: TcpStream,
) -> io::Result<()> {
    let stream = Arc::new(stream);
    let mut clients = shared.clients();
    if clients.len() >= shared.max_clients {
        let _ = (&*stream).write_all(b"-ERR max number of clients reached\r\n"); // It is closed either way.
        return Ok(());
    }
    clients.insert(id, Arc::clone(&stream));
    drop(clients);
    let thread = thread::Builder::new().stack_size(STACK).spawn_scoped(scope, move || {
        client::serve(&stream, shared);
        shared.clients().remove(&id);
    });
    thread.map(drop).inspect_err(|_| drop(shared.clients().remove(&id)))
}

impl Shared {
    fn clients(&self) -> MutexGuard<'_, HashMap<u64, Arc<TcpStream>>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Blocks signals in this thread and in those that it starts.
pub fn block(signals: &[Signal]) {
    let set: SigSet = signals.iter().copied().collect();
    set.thread_block().expect("SIG_BLOCK with a set is always valid");
}
