//! Accepting, and serving one connection in a thread of its own.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use flags::ServerFlags;
use guestbook::{Finish, Guest, Job, Now, Out, Settings};
use nix::sys::signal::{SigSet, Signal};

use crate::fault::Fault;
use crate::files::Files;
use crate::input::Input;
use crate::shop::Shop;

static STOPPING: AtomicBool = AtomicBool::new(false);
static CONNECTIONS: AtomicUsize = AtomicUsize::new(0);
/// How often a thread looks whether it is to stop.
const TICK: Duration = Duration::from_millis(1);

/// What all connections share.
struct House {
    files: Files,
    shop: Shop,
    settings: Settings,
    fault: Option<Fault>,
}

/// The whole server. Returns when it was told to stop and everybody has been served.
pub fn run(flags: &ServerFlags, fault: Option<Fault>) -> Result<(), String> {
    let house = House {
        files: Files::new(&flags.root, fault)
            .map_err(|error| format!("{}: {error}", flags.root.display()))?,
        shop: Shop::open(flags, fault)?,
        settings: Settings { header_timeout: flags.header_timeout, ..Settings::default() },
        fault,
    };
    stop_on_signals(fault).map_err(|error| format!("signals: {error}"))?;
    let listener = TcpListener::bind(flags.listen)
        .map_err(|error| format!("{}: {error}", flags.listen))?;
    let address = listener
        .local_addr()
        .and_then(|address| listener.set_nonblocking(true).map(|()| address));
    println!(
        "listening on http://{}",
        address.map_err(|error| format!("the listener: {error}"))?
    );
    let house = Arc::new(house);
    accept(listener, &house).map_err(|error| format!("accept: {error}"))?;
    let until = Instant::now() + flags.grace;
    while CONNECTIONS.load(Ordering::SeqCst) > 0 && Instant::now() < until {
        thread::sleep(TICK);
    }
    Ok(())
}

fn stop_on_signals(fault: Option<Fault>) -> nix::Result<()> {
    let signals = SigSet::from_iter([Signal::SIGTERM, Signal::SIGINT]);
    signals.thread_block()?;
    thread::spawn(move || {
        if signals.wait().is_ok() {
            if fault == Some(Fault::EndsAtOnce) {
                std::process::exit(0);
            }
            STOPPING.store(true, Ordering::SeqCst);
        }
    });
    Ok(())
}

fn accept(listener: TcpListener, house: &Arc<House>) -> io::Result<()> {
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                let house = Arc::clone(house);
                CONNECTIONS.fetch_add(1, Ordering::SeqCst);
                thread::spawn(move || {
                    house.serve(stream);
                    CONNECTIONS.fetch_sub(1, Ordering::SeqCst);
                });
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                if STOPPING.load(Ordering::SeqCst) {
                    return Ok(());
                }
                thread::sleep(TICK);
            }
            Err(error) if house.fault == Some(Fault::GivesUp) => return Err(error),
            Err(error) if house.fault == Some(Fault::Spins) => eprintln!("accept: {error}"),
            Err(_) => thread::sleep(100 * TICK),
        }
    }
}

impl House {
    /// Serves one connection to its end.
    fn serve(&self, mut stream: TcpStream) {
        let mut guest = Guest::new(self.settings, self.shop_timeout(), Now::read());
        let mut input = Input::new(self.fault);
        let mut kept = Vec::new();
        let finish = loop {
            if let Some(finish) = guest.finished() {
                break finish;
            } else if let Some(job) = guest.take_job() {
                self.work(job, &mut guest);
            } else if self.fault == Some(Fault::KeepsEverything)
                && keep(&mut guest, &mut kept)
            {
                // Nothing is sent before everything is read.
            } else if let Some(out) = guest.take_output() {
                self.send(&mut stream, out, &mut guest);
            } else {
                self.receive(&mut stream, &mut guest, &mut input, &mut kept);
            }
        };
        // What was kept is sent in the end; who has left by then gets nothing.
        let _ = stream.write_all(&kept);
        self.close(stream, finish);
    }

    fn shop_timeout(&self) -> Duration {
        // The core has a deadline of its own, but nobody asks it while a thread waits for
        // the store.
        self.settings.body_timeout
    }

    fn work(&self, job: Job, guest: &mut Guest<Arc<File>>) {
        match job {
            Job::Open(path) => {
                let opened = self.files.open(path.as_str());
                guest.opened(opened, Now::read());
            }
            Job::Store(call) => {
                let reply = self.shop.call(&call);
                guest.stored(reply, Now::read());
            }
        }
    }

    fn receive(
        &self,
        stream: &mut TcpStream,
        guest: &mut Guest<Arc<File>>,
        input: &mut Input,
        kept: &mut Vec<u8>,
    ) {
        let mut buffer = [0; 16 * 1024];
        let room = guest.room().min(buffer.len());
        let read = stream
            .set_read_timeout(Some(TICK))
            .and_then(|()| stream.read(&mut buffer[..room]));
        match read {
            Ok(0) => guest.eof(Now::read()),
            Ok(n) => {
                guest.received(&input.pass(&buffer[..n]), Now::read());
                if self.fault == Some(Fault::OneRead) {
                    guest.eof(Now::read());
                }
                if self.fault == Some(Fault::EofIsGone) && is_at_end(stream) {
                    guest.fail();
                }
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error)
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
            {
                if !kept.is_empty() && stream.write_all(&std::mem::take(kept)).is_err() {
                    guest.fail();
                }
                guest.expired(Now::read());
                if STOPPING.load(Ordering::SeqCst)
                    && self.fault != Some(Fault::WaitsForIdle)
                {
                    guest.drain();
                }
            }
            Err(_) => guest.fail(),
        }
    }

    fn send(
        &self,
        stream: &mut TcpStream,
        out: Out<Arc<File>>,
        guest: &mut Guest<Arc<File>>,
    ) {
        let left = guest
            .deadline()
            .map(|by| by.saturating_duration_since(Instant::now()).max(TICK));
        let sent = stream.set_write_timeout(left).and_then(|()| match &out {
            Out::Bytes(bytes) => stream.write(bytes),
            Out::File { file, at, len } => {
                let mut piece =
                    vec![0; usize::try_from(*len).map_or(1 << 18, |len| len.min(1 << 18))];
                let n = file.read_at(&mut piece, *at)?;
                stream.write(&piece[..n])
            }
        });
        match sent {
            Ok(0) => guest.fail(),
            Ok(n) => guest.sent(out, n as u64, Now::read()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {
                guest.sent(out, 0, Now::read());
            }
            Err(error) => match (self.fault, error.kind()) {
                (_, ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    guest.sent(out, 0, Now::read());
                    guest.expired(Now::read());
                }
                (Some(Fault::DiesOfReset), _) => std::process::exit(1),
                (Some(Fault::Leaks), _) => {
                    std::mem::forget(stream.try_clone());
                    guest.fail();
                }
                _ => guest.fail(),
            },
        }
    }

    fn close(&self, mut stream: TcpStream, finish: Finish) {
        match finish {
            Finish::Linger if self.fault != Some(Fault::ClosesHastily) => {
                let until = Instant::now() + self.settings.linger;
                let mut open = stream
                    .shutdown(Shutdown::Write)
                    .and(stream.set_read_timeout(Some(TICK)))
                    .is_ok();
                while open && Instant::now() < until {
                    open = match stream.read(&mut [0; 16 * 1024]) {
                        Ok(n) => n > 0,
                        Err(error) => matches!(
                            error.kind(),
                            ErrorKind::WouldBlock | ErrorKind::TimedOut
                        ),
                    };
                }
            }
            Finish::Reset => {
                // As above: when the client is gone, there is nobody to tell.
                let _ =
                    rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO));
            }
            Finish::Linger | Finish::Close => {}
        }
    }
}

/// Moves output, whole files included, to `kept`. `false` when there is none, or 64 MiB of
/// it.
fn keep(guest: &mut Guest<Arc<File>>, kept: &mut Vec<u8>) -> bool {
    if kept.len() > 64 * 1024 * 1024 {
        return false;
    }
    let Some(out) = guest.take_output() else { return false };
    let taken = match &out {
        Out::Bytes(bytes) => {
            kept.extend_from_slice(bytes);
            bytes.len() as u64
        }
        Out::File { file, at, len } => {
            let from = kept.len();
            kept.resize(from + usize::try_from(*len).unwrap_or(0), 0);
            file.read_at(&mut kept[from..], *at).map_or(0, |n| n as u64)
        }
    };
    guest.sent(out, taken, Now::read());
    true
}

/// Whether the client's FIN is the next thing to be read; it has 20 ms to come.
fn is_at_end(stream: &TcpStream) -> bool {
    let waited = stream.set_read_timeout(Some(20 * TICK));
    waited.and_then(|()| stream.peek(&mut [0])).is_ok_and(|n| n == 0)
}
