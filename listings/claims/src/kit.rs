//! What many checks need: something to wait for, somebody who waits, and the kernel's
//! counts.

pub(crate) use std::collections::BTreeSet;
pub(crate) use std::fs::{self, File};
pub(crate) use std::io::{self, Read, Write};
pub(crate) use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
pub(crate) use std::os::fd::{AsFd, AsRawFd, OwnedFd};
pub(crate) use std::os::unix::fs::FileExt;
pub(crate) use std::os::unix::net::UnixStream;
pub(crate) use std::sync::atomic::Ordering::SeqCst;
pub(crate) use std::thread;
pub(crate) use std::time::{Duration, Instant};

pub(crate) use nix::errno::Errno;
pub(crate) use nix::fcntl::{FcntlArg, OFlag, fcntl};
pub(crate) use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
pub(crate) use nix::sys::resource::{Resource, UsageWho, getrlimit, setrlimit};
pub(crate) use nix::sys::signal::{SaFlags, SigSet, Signal, kill, raise};
pub(crate) use nix::sys::socket::{
    self, AddressFamily, MsgFlags, SockFlag, SockType, SockaddrIn,
};
pub(crate) use nix::sys::socket::{setsockopt, sockopt};
pub(crate) use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
pub(crate) use nix::unistd::{Pid, dup, getpid, getppid, pipe, read, write};

pub(crate) use crate::raw;
pub(crate) use crate::raw::{Kind, Memory};
pub(crate) use crate::{Cannot, Case, Outcome, Seen};

use std::path::PathBuf;
use std::sync::atomic::AtomicU32;
use std::sync::mpsc::{self, Receiver};
use std::{env, process};

/// Long enough to see that nothing happens, in milliseconds.
pub const MOMENT: u64 = 200;
/// Longer than anything takes that does happen, in milliseconds.
pub const LONG: u64 = 5_000;

/// What a check saw, and whether the sentence says so.
pub fn seen(holds: bool, what: impl Into<String>) -> Outcome {
    Ok(Seen { holds, what: what.into() })
}

/// The same, where what was seen is one of two things: the first if the sentence holds.
pub fn either(holds: bool, first: &str, second: &str) -> Outcome {
    seen(holds, if holds { first } else { second })
}

/// This machine cannot tell, for this reason.
pub fn cannot<T>(why: impl Into<String>) -> Result<T, Cannot> {
    Err(Cannot(why.into()))
}

/// So many milliseconds.
pub fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// A call's result in a word: `5`, `EAGAIN`.
pub fn word<T: std::fmt::Debug>(result: Result<T, Errno>) -> String {
    let word =
        result.map_or_else(|errno| format!("{errno:?}"), |value| format!("{value:?}"));
    if word == "()" { "no error".to_owned() } else { word }
}

/// `once`, `3 times`.
pub fn times(number: u32) -> String {
    if number == 1 { "once".to_owned() } else { format!("{number} times") }
}

/// What poll(2) reported, as its manual writes it.
pub fn names(flags: PollFlags) -> String {
    let names: Vec<&str> = flags.iter_names().map(|(name, _)| name).collect();
    if names.is_empty() { "nothing".to_owned() } else { names.join(" and ") }
}

/// An error of the standard library as the system's own.
pub fn errno(error: &io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or(0))
}

/// Waits until one of these events is there, and says which are; none if the time runs out.
pub fn ready(descriptor: impl AsFd, events: PollFlags, milliseconds: u64) -> PollFlags {
    let time = PollTimeout::try_from(milliseconds).expect("a short time");
    let mut asked = [PollFd::new(descriptor.as_fd(), events)];
    loop {
        match poll(&mut asked, time) {
            Err(Errno::EINTR) => {}
            _ => return asked[0].revents().unwrap_or(PollFlags::empty()),
        }
    }
}

/// Whether there is something to read within so many milliseconds.
pub fn readable(descriptor: impl AsFd, milliseconds: u64) -> bool {
    !ready(descriptor, PollFlags::POLLIN, milliseconds).is_empty()
}

/// Sets or clears O_NONBLOCK.
pub fn nonblocking(descriptor: impl AsFd, on: bool) -> nix::Result<()> {
    let mut flags = OFlag::from_bits_retain(fcntl(&descriptor, FcntlArg::F_GETFL)?);
    flags.set(OFlag::O_NONBLOCK, on);
    fcntl(&descriptor, FcntlArg::F_SETFL(flags)).map(drop)
}

/// Whether O_NONBLOCK is set.
pub fn is_nonblocking(descriptor: impl AsFd) -> nix::Result<bool> {
    let flags = OFlag::from_bits_retain(fcntl(&descriptor, FcntlArg::F_GETFL)?);
    Ok(flags.contains(OFlag::O_NONBLOCK))
}

/// A file in memory or wherever temporary files lie, without a name, with these bytes.
pub fn file(bytes: &[u8]) -> io::Result<File> {
    file_in(&env::temp_dir(), bytes)
}

/// A file on a file system that has a disk behind it.
pub fn disk_file(bytes: &[u8]) -> Result<File, Cannot> {
    use nix::sys::statfs::{OVERLAYFS_SUPER_MAGIC, TMPFS_MAGIC, statfs};
    let folders = match env::var_os("CLAIMS_DISK") {
        Some(folder) => vec![PathBuf::from(folder)],
        None => vec![".".into(), "/var/tmp".into(), env::temp_dir()],
    };
    for folder in folders {
        let kind = statfs(&folder).map(|stat| stat.filesystem_type());
        if kind.is_ok_and(|kind| ![TMPFS_MAGIC, OVERLAYFS_SUPER_MAGIC].contains(&kind))
            && let Ok(file) = file_in(&folder, bytes)
        {
            return Ok(file);
        }
    }
    cannot("no folder on a disk to write to; CLAIMS_DISK names one")
}

fn file_in(folder: &std::path::Path, bytes: &[u8]) -> io::Result<File> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!("claims-{}-{}", process::id(), NEXT.fetch_add(1, SeqCst));
    let path = folder.join(name);
    let file = File::options().read(true).write(true).create_new(true).open(&path)?;
    fs::remove_file(&path)?;
    file.write_all_at(bytes, 0)?;
    Ok(file)
}

/// A file that only this machine's owner may write, such as a setting.
pub fn set(path: &str, value: &str) -> Result<(), Cannot> {
    fs::write(path, value).map_err(|error| Cannot(format!("{path}: {error}")))
}

/// A listener on a free port of the loopback interface, with this backlog.
pub fn listener(backlog: i32) -> Result<TcpListener, Cannot> {
    let listener = unbound()?;
    socket::bind(listener.as_raw_fd(), &any_port())?;
    socket::listen(&listener, socket::Backlog::new(backlog)?)?;
    Ok(listener.into())
}

/// A TCP socket.
pub fn unbound() -> nix::Result<OwnedFd> {
    socket::socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)
}

/// Port 0 of the loopback interface.
pub fn any_port() -> SockaddrIn {
    SockaddrIn::new(127, 0, 0, 1, 0)
}

/// Begins to connect to a listener, and does not wait for it.
pub fn knock(listener: &TcpListener) -> Result<TcpStream, Cannot> {
    let client = unbound()?;
    nonblocking(&client, true)?;
    match connect(&client, listener.local_addr()?) {
        Ok(()) | Err(Errno::EINPROGRESS) => Ok(client.into()),
        Err(errno) => cannot(format!("connect: {errno}")),
    }
}

/// connect(2).
pub fn connect(client: impl AsFd, to: SocketAddr) -> nix::Result<()> {
    let SocketAddr::V4(to) = to else { return Err(Errno::EAFNOSUPPORT) };
    socket::connect(client.as_fd().as_raw_fd(), &SockaddrIn::from(to))
}

/// Whether a client that has knocked is connected within so many milliseconds.
pub fn connected(client: &TcpStream, milliseconds: u64) -> bool {
    ready(client, PollFlags::POLLOUT, milliseconds) == PollFlags::POLLOUT
}

/// Both ends of a TCP connection: the client's and the server's.
pub fn connection() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let client = TcpStream::connect(listener.local_addr()?)?;
    Ok((client, listener.accept()?.0))
}

/// From now on to close it is to reset the connection: its linger time is 0 (socket(7)).
pub fn reset_at_close(socket: &TcpStream) -> nix::Result<()> {
    setsockopt(socket, sockopt::Linger, &libc::linger { l_onoff: 1, l_linger: 0 })
}

/// Sends until the socket takes no more.
pub fn fill(socket: &TcpStream) -> nix::Result<()> {
    let bytes = [0; 65_536];
    loop {
        match socket::send(socket.as_raw_fd(), &bytes, MsgFlags::MSG_DONTWAIT) {
            Ok(_) => {}
            Err(Errno::EAGAIN) => return Ok(()),
            Err(errno) => return Err(errno),
        }
    }
}

/// Gives this process a network of its own, with a loopback interface that is up
/// (unshare(2)). To be called before there is a second thread.
pub fn own_network() -> Result<(), Cannot> {
    use nix::sched::{CloneFlags, unshare};
    if unshare(CloneFlags::CLONE_NEWNET).is_err()
        && let Err(errno) = unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET)
    {
        return cannot(format!("no network of its own for the check: {errno}"));
    }
    raw::bring_up(c"lo")?;
    Ok(())
}

/// A child process, killed and waited for when it is dropped.
#[derive(Debug)]
pub struct Child(pub Pid);

/// Makes a child that runs this and ends with the code that it returns. It does not outlive
/// its parent.
pub fn child(then: impl FnOnce() -> i32) -> nix::Result<Child> {
    raw::fork(|| {
        if nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).is_err() {
            return 99;
        }
        then()
    })
    .map(Child)
}

impl Child {
    /// Waits until it has ended, and says how.
    pub fn end(self) -> nix::Result<WaitStatus> {
        let status = waitpid(self.0, None);
        std::mem::forget(self);
        status
    }

    /// Waits until it has ended, and gives its exit code.
    pub fn code(self) -> Result<i32, Cannot> {
        match self.end()? {
            WaitStatus::Exited(_, code) => Ok(code),
            other => cannot(format!("the child ended otherwise: {other:?}")),
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = kill(self.0, Signal::SIGKILL);
        let _ = waitpid(self.0, None);
    }
}

/// The state of a process or of a thread, as in `ps`: R, S, D, Z.
pub fn state(id: Pid) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

/// Whether a signal waits to be delivered to a process.
pub fn is_pending(signal: Signal, process: Pid) -> bool {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("ShdPnd:"));
    let mask = u64::from_str_radix(line.unwrap_or_default().trim(), 16).unwrap_or(0);
    mask & 1 << (signal as i32 - 1) != 0
}

/// Gives up root's rights, if this process has them: limits do not hold for root.
pub fn no_longer_root() -> Result<(), Cannot> {
    use nix::unistd::{Gid, Uid, geteuid, setgid, setuid};
    if geteuid().is_root() {
        setgid(Gid::from_raw(65_534))?;
        setuid(Uid::from_raw(65_534))?;
    }
    Ok(())
}

/// The function of the kernel in which a process sleeps, if the kernel tells us.
pub fn sleeps_in(process: Pid) -> Option<String> {
    let file = |name| fs::read_to_string(format!("/proc/{process}/{name}")).ok();
    if let Some(place) = file("wchan").filter(|place| !["", "0"].contains(&place.as_str()))
    {
        return Some(place);
    }
    // Before Linux 5.16 it is empty on x86. Root has the whole stack: `[<0>] pipe_read+0x1d…`.
    let stack = file("stack")?;
    let (_, place) = stack.lines().next()?.split_once("] ")?;
    Some(place.split('+').next()?.to_owned())
}

/// Waits until this is so; false if it takes too long.
pub fn until(mut so: impl FnMut() -> bool) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < ms(LONG) {
        if so() {
            return true;
        }
        thread::sleep(ms(2));
    }
    false
}

/// Waits until a process or thread is in this state, and stays there for a moment; false if
/// it takes too long.
pub fn until_in(wanted: char, id: Pid) -> bool {
    let is = || state(id) == Some(wanted);
    until(|| {
        is() && {
            thread::sleep(ms(20));
            is()
        }
    })
}

/// A thread that is asleep in a call.
#[derive(Debug)]
pub struct Sleeper<T> {
    /// Its id.
    pub id: Pid,
    result: Receiver<T>,
}

/// Starts a thread that makes this call, and waits until it sleeps in it.
pub fn asleep<T: Send + 'static>(
    call: impl FnOnce() -> T + Send + 'static,
) -> Result<Sleeper<T>, Cannot> {
    let (say, said) = mpsc::channel();
    let (tell, result) = mpsc::channel();
    thread::spawn(move || {
        let _ = say.send(nix::unistd::gettid());
        // Whoever asked may have gone.
        let _ = tell.send(call());
    });
    let id = said.recv()?;
    if !until_in('S', id) {
        return cannot("a thread that should wait did not go to sleep");
    }
    Ok(Sleeper { id, result })
}

impl<T> Sleeper<T> {
    /// The call's result, if it comes back within so many milliseconds.
    pub fn wakes(&self, milliseconds: u64) -> Option<T> {
        self.result.recv_timeout(ms(milliseconds)).ok()
    }
}

/// Writes a few bytes, where nobody can be told if that fails.
pub fn send(descriptor: impl AsFd, bytes: &[u8]) {
    let _ = write(descriptor, bytes);
}

/// How many of these wake. They are given time, since one who is woken is not yet running.
pub fn woken<T>(sleepers: &[Sleeper<T>]) -> usize {
    let mut awake = vec![false; sleepers.len()];
    let mut look = || {
        for (awake, sleeper) in awake.iter_mut().zip(sleepers) {
            *awake = *awake || sleeper.wakes(0).is_some();
        }
        awake.iter().filter(|awake| **awake).count()
    };
    until(|| look() > 0);
    thread::sleep(ms(MOMENT));
    look()
}

/// Does something after so many milliseconds, in a thread of its own.
pub fn after(milliseconds: u64, then: impl FnOnce() + Send + 'static) {
    thread::spawn(move || {
        thread::sleep(ms(milliseconds));
        then();
    });
}

/// What the kernel has counted for this thread so far (getrusage(2)).
#[derive(Clone, Copy, Debug)]
pub struct Counts {
    /// Processor time.
    pub cpu: Duration,
    /// Switches because it waited.
    pub voluntary: i64,
    /// Switches because another was to run.
    pub involuntary: i64,
    /// Page faults that needed no disk.
    pub faults: i64,
    /// Blocks of 512 bytes that were read from a disk.
    pub blocks_read: i64,
}

/// The counts of this thread.
pub fn counts() -> Counts {
    counts_of(UsageWho::RUSAGE_THREAD)
}

/// The counts of this thread, or of the process.
pub fn counts_of(who: UsageWho) -> Counts {
    use nix::sys::time::TimeValLike;
    let usage = nix::sys::resource::getrusage(who).expect("it cannot fail");
    let micros = (usage.user_time() + usage.system_time()).num_microseconds();
    Counts {
        cpu: Duration::from_micros(micros.unsigned_abs()),
        voluntary: usage.voluntary_context_switches(),
        involuntary: usage.involuntary_context_switches(),
        faults: usage.minor_page_faults(),
        blocks_read: usage.block_reads(),
    }
}

/// Raises the soft limit of open descriptors to the hard one, and gives it.
pub fn many_descriptors(needed: u64) -> Result<u64, Cannot> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let wanted = hard.min(needed);
    setrlimit(Resource::RLIMIT_NOFILE, wanted, hard)?;
    if wanted < needed {
        return cannot(format!(
            "{needed} descriptors are needed, and ulimit -Hn is {hard}"
        ));
    }
    Ok(wanted)
}

/// Whether this machine is a guest that was made for the claims: its settings may be
/// changed, and its times mean nothing.
pub fn own_machine() -> bool {
    env::var_os("CLAIMS_OWN_MACHINE").is_some()
}

/// Whether a disk can be seen at work here. Not in the guest: its disk is a file that the
/// host has in memory, and a read from it may be over before anybody looks.
pub fn disk_takes_time() -> Result<(), Cannot> {
    if own_machine() {
        return cannot("not in the guest: its disk may be done before anybody looks");
    }
    Ok(())
}

/// Whether an attempt that must not wait finds the page missing that it asks for. Up to Linux
/// 6.11 it does not begin to read it; later, it may find what it has begun.
pub fn attempt_is_told() -> Result<(), Cannot> {
    if crate::release().1 < (6, 12) { Ok(()) } else { disk_takes_time() }
}

/// The shortest of several times that this takes.
pub fn shortest(
    times: usize,
    mut what: impl FnMut() -> Result<Duration, Cannot>,
) -> Result<Duration, Cannot> {
    if own_machine() {
        return cannot("not in the guest: its times mean nothing");
    }
    let mut all = Vec::new();
    for _ in 0..times {
        all.push(what()?);
    }
    all.into_iter().min().ok_or_else(|| Cannot("not measured".to_owned()))
}

/// A folder of our own, removed when it is dropped.
#[derive(Debug)]
pub struct Folder {
    /// Where it is.
    pub path: PathBuf,
}

impl Folder {
    /// An empty one.
    pub fn new() -> io::Result<Self> {
        let path = env::temp_dir().join(format!("claims-{}", process::id()));
        fs::create_dir(&path)?;
        Ok(Self { path })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}
