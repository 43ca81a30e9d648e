//! The calls that no crate of ours makes safe: the only unsafe code of the ledger.
#![allow(unsafe_code)]

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::sync::atomic::{AtomicI32, AtomicU8, AtomicU32, Ordering};

use nix::errno::Errno;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::unistd::{ForkResult, Pid};

/// Makes a child that runs `then` and ends with the code that it returns (fork(2)).
///
/// # Errors
/// What fork(2) answers.
pub fn fork(then: impl FnOnce() -> i32) -> nix::Result<Pid> {
    // SAFETY: the child has the calling thread only. A lock that another thread held stays
    // locked in it; the checks that have threads do nothing in the child that takes a lock of
    // ours, and the C library sees to those of malloc.
    match unsafe { nix::unistd::fork() }? {
        ForkResult::Parent { child } => Ok(child),
        ForkResult::Child => {
            let code = then();
            // SAFETY: ends the child. What it shares with its parent is not flushed, closed
            // or dropped a second time.
            unsafe { libc::_exit(code) }
        }
    }
}

/// As [`fork`], but the parent sleeps until the child has ended (clone(2), CLONE_VFORK).
///
/// # Errors
/// What clone(2) answers.
pub fn fork_and_wait(then: impl FnOnce() -> i32) -> nix::Result<Pid> {
    let flags = libc::CLONE_VFORK | libc::SIGCHLD;
    // SAFETY: without CLONE_VM this is fork(2): the child has a copy of the stack that the
    // call returns on, and of everything else.
    let child =
        unsafe { libc::syscall(libc::SYS_clone, libc::c_long::from(flags), 0, 0, 0, 0) };
    match Errno::result(child)? {
        0 => {
            let code = then();
            // SAFETY: as above.
            unsafe { libc::_exit(code) }
        }
        child => Ok(Pid::from_raw(i32::try_from(child).expect("a process id"))),
    }
}

/// The field of TCP_INFO that counts what is unacknowledged, and at a listener who waits.
///
/// # Errors
/// What getsockopt(2) answers.
pub fn unacknowledged(socket: impl AsFd) -> io::Result<u32> {
    let mut info = [0_u32; size_of::<libc::tcp_info>() / 4];
    let mut length = size_of_val(&info) as libc::socklen_t;
    // SAFETY: the kernel writes up to `length` bytes into `info`, and their number into
    // `length`; both outlive the call.
    let result = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            (&raw mut info).cast(),
            &raw mut length,
        )
    };
    Errno::result(result)?;
    Ok(info[std::mem::offset_of!(libc::tcp_info, tcpi_unacked) / 4])
}

/// How many signals were handled, and the thread that handled the last.
pub static HANDLED: AtomicU32 = AtomicU32::new(0);
/// The thread that handled the last signal.
pub static HANDLED_BY: AtomicI32 = AtomicI32::new(0);

extern "C" fn note(_: libc::c_int) {
    HANDLED_BY.store(nix::unistd::gettid().as_raw(), Ordering::SeqCst);
    HANDLED.fetch_add(1, Ordering::SeqCst);
}

/// Has this signal counted in [`HANDLED`] (sigaction(2)).
pub fn count(signal: Signal, flags: SaFlags) {
    set(signal, SigHandler::Handler(note), flags);
}

/// Gives a signal back what it does by itself.
pub fn by_default(signal: Signal) {
    set(signal, SigHandler::SigDfl, SaFlags::empty());
}

/// Has a signal ignored.
pub fn ignore(signal: Signal) {
    set(signal, SigHandler::SigIgn, SaFlags::empty());
}

fn set(signal: Signal, handler: SigHandler, flags: SaFlags) {
    let action = SigAction::new(handler, flags, SigSet::empty());
    // SAFETY: the only handler, `note`, does nothing but store numbers and ask for its
    // thread's, which a handler may.
    unsafe { sigaction(signal, &action) }.expect("a signal that can be handled");
}

/// Has the first real-time signal counted in [`HANDLED`], blocks it, queues it `times` and
/// lets it come.
pub fn queue_real_time(times: u32) {
    let number = libc::SIGRTMIN();
    let mut action = libc::sigaction {
        sa_sigaction: note as extern "C" fn(libc::c_int) as libc::sighandler_t,
        sa_mask: SigSet::empty().as_ref().to_owned(),
        sa_flags: 0,
        sa_restorer: None,
    };
    // SAFETY: the kernel copies `action`, which is whole; for the handler see `set`.
    unsafe { libc::sigaction(number, &raw mut action, ptr::null_mut()) };
    let mut mask = SigSet::empty().as_ref().to_owned();
    // SAFETY: `mask` is an initialized set, and ours.
    unsafe { libc::sigaddset(&raw mut mask, number) };
    let change = |how| {
        // SAFETY: the kernel reads `mask` and writes nothing.
        unsafe { libc::pthread_sigmask(how, &raw const mask, ptr::null_mut()) }
    };
    change(libc::SIG_BLOCK);
    let us = nix::unistd::getpid().as_raw();
    for _ in 0..times {
        // SAFETY: sends a signal to this process, which has a handler for it.
        unsafe { libc::kill(us, number) };
    }
    change(libc::SIG_UNBLOCK);
}

/// Sends SIGALRM to this process after so many milliseconds (setitimer(2)).
pub fn alarm_after(ms: i64) {
    let at = libc::timeval { tv_sec: ms / 1000, tv_usec: ms % 1000 * 1000 };
    let timer = libc::itimerval {
        it_interval: libc::timeval { tv_sec: 0, tv_usec: 0 },
        it_value: at,
    };
    // SAFETY: the kernel reads `timer`, and is given no place for the old one.
    unsafe { libc::setitimer(libc::ITIMER_REAL, &raw const timer, ptr::null_mut()) };
}

/// An option that is an int (getsockopt(2)).
///
/// # Errors
/// What getsockopt(2) answers.
pub fn option(socket: impl AsFd, level: i32, name: i32) -> nix::Result<i32> {
    let (mut value, mut length) = (0_i32, size_of::<i32>() as libc::socklen_t);
    // SAFETY: the kernel writes no more than `length` bytes to `value`, during the call.
    let result = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            level,
            name,
            (&raw mut value).cast(),
            &raw mut length,
        )
    };
    Errno::result(result).map(|_| value)
}

/// Sets an option that is an int (setsockopt(2)).
///
/// # Errors
/// What setsockopt(2) answers.
pub fn set_option(socket: impl AsFd, level: i32, name: i32, value: i32) -> nix::Result<()> {
    // SAFETY: the kernel reads the four bytes of `value` during the call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            level,
            name,
            (&raw const value).cast(),
            size_of::<i32>() as libc::socklen_t,
        )
    };
    Errno::result(result).map(drop)
}

/// The backlog that a listener has got, which `ss -ltn` shows as Send-Q (tcp(7), TCP_INFO).
///
/// # Errors
/// What getsockopt(2) answers.
pub fn backlog(listener: impl AsFd) -> nix::Result<u32> {
    // SAFETY: a tcp_info is made of numbers; all of them may be 0.
    let mut info: libc::tcp_info = unsafe { std::mem::zeroed() };
    let mut length = size_of_val(&info) as libc::socklen_t;
    // SAFETY: the kernel writes no more than `length` bytes to `info`, during the call.
    let result = unsafe {
        libc::getsockopt(
            listener.as_fd().as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            (&raw mut info).cast(),
            &raw mut length,
        )
    };
    Errno::result(result).map(|_| info.tcpi_sacked)
}

/// listen(2) with any backlog; nix knows those up to 4096 only.
///
/// # Errors
/// What listen(2) answers.
pub fn listen(socket: impl AsFd, backlog: i32) -> nix::Result<()> {
    // SAFETY: takes two numbers.
    Errno::result(unsafe { libc::listen(socket.as_fd().as_raw_fd(), backlog) }).map(drop)
}

/// A descriptor that a call has returned to us.
pub fn owned(descriptor: RawFd) -> OwnedFd {
    // SAFETY: the kernel has made it for this caller, which has it nowhere else.
    unsafe { OwnedFd::from_raw_fd(descriptor) }
}

/// Sends a signal to one thread of this process (tgkill(2)).
///
/// # Errors
/// What tgkill(2) answers.
pub fn signal_thread(thread: Pid, signal: Signal) -> nix::Result<()> {
    let (process, number) = (nix::unistd::getpid().as_raw(), signal as i32);
    // SAFETY: takes three numbers.
    let sent = unsafe { libc::syscall(libc::SYS_tgkill, process, thread.as_raw(), number) };
    Errno::result(sent).map(drop)
}

/// Reads from an address where nothing is.
pub fn crash() {
    let nowhere = ptr::without_provenance::<u8>(8);
    // SAFETY: none; the process is to be killed here, and is one that was made for it. The
    // first page is never mapped, so nothing is read.
    unsafe { ptr::read_volatile(nowhere) };
}

/// Ends the calling thread and no other (_exit(2), Notes: the raw system call).
pub fn end_this_thread() {
    // SAFETY: the thread's stack stays, and everything on it; nobody waits for the thread.
    unsafe { libc::syscall(libc::SYS_exit, 0) };
}

/// What poll(2) reports at once for one descriptor, which may be closed or negative.
///
/// # Errors
/// What poll(2) answers.
pub fn poll_one(descriptor: RawFd, events: i16) -> nix::Result<i16> {
    let mut asked = libc::pollfd { fd: descriptor, events, revents: 0 };
    // SAFETY: the kernel reads and writes the one entry during the call.
    let result = unsafe { libc::poll(&raw mut asked, 1, 0) };
    Errno::result(result).map(|_| asked.revents)
}

/// EPOLL_CTL_DEL of a number that may be closed (epoll_ctl(2)).
///
/// # Errors
/// What epoll_ctl(2) answers.
pub fn epoll_delete(set: impl AsFd, descriptor: RawFd) -> nix::Result<()> {
    let set = set.as_fd().as_raw_fd();
    // SAFETY: takes numbers; since Linux 2.6.9 the last argument is not looked at here.
    let result =
        unsafe { libc::epoll_ctl(set, libc::EPOLL_CTL_DEL, descriptor, ptr::null_mut()) };
    Errno::result(result).map(drop)
}

/// Closes every descriptor from this one (close_range(2), since Linux 5.9).
///
/// # Errors
/// What close_range(2) answers.
pub fn close_above(first: u32) -> nix::Result<()> {
    // SAFETY: takes numbers. Whoever owns one of the descriptors must not close it again.
    Errno::result(unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) })
        .map(drop)
}

/// Switches a network interface on (netdevice(7), SIOCSIFFLAGS).
///
/// # Errors
/// `EPERM`: the network belongs to somebody else.
pub fn bring_up(interface: &CStr) -> nix::Result<()> {
    // SAFETY: an ifreq is a name and a union of plain numbers and pointers that may be null.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(interface.to_bytes()) {
        *to = from.cast_signed() as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = libc::IFF_UP as libc::c_short;
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").map_err(|_| Errno::ENETDOWN)?;
    // SAFETY: the kernel reads `request` during the call.
    let result = unsafe {
        libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS as _, &raw const request)
    };
    Errno::result(result).map(drop)
}

/// The kernel's own select, without the C library's: bits for the descriptors that are to be
/// readable, of which only those stay that are (select(2)). It does not wait.
///
/// # Errors
/// What select(2) answers.
pub fn kernel_select(descriptors: RawFd, readable: &mut [u64]) -> nix::Result<i32> {
    assert!(descriptors.cast_unsigned() as usize <= 64 * readable.len());
    let none = ptr::null_mut::<u64>();
    // struct timeval, or what stands for it where a long is short.
    let mut now = [0 as libc::c_long; 2];
    // x86-64 and others have select; aarch64 has pselect6 only, whose sixth argument is a mask.
    // SAFETY: the kernel reads and writes the bits below `descriptors`, all inside `readable`,
    // and the time, during the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_pselect6,
            libc::c_long::from(descriptors),
            readable.as_mut_ptr(),
            none,
            none,
            now.as_mut_ptr(),
            none,
        )
    };
    Errno::result(result)
        .map(|ready| i32::try_from(ready).expect("a number of descriptors"))
}

/// Whether memory is for one process, or for all that have inherited it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// MAP_PRIVATE.
    Private,
    /// MAP_PRIVATE, in pages of 2 MiB where the kernel has them.
    Huge,
    /// MAP_SHARED.
    Shared,
}

/// Memory of our own, in pages of 4 KiB if nothing else is said (mmap(2)).
#[derive(Debug)]
pub struct Memory {
    cells: &'static [AtomicU8],
    page: usize,
}

/// What huge pages begin at multiples of.
const HUGE: usize = 2 << 20;

impl Memory {
    /// So many bytes, of which none is resident yet. They are given back when the process
    /// ends.
    ///
    /// # Errors
    /// What mmap(2) answers.
    pub fn new(bytes: usize, kind: Kind) -> io::Result<Self> {
        let flags = if kind == Kind::Shared { libc::MAP_SHARED } else { libc::MAP_PRIVATE };
        let room = if kind == Kind::Huge { bytes + HUGE } else { bytes };
        // SAFETY: asks for new memory, at an address that the kernel chooses.
        let start = unsafe {
            libc::mmap(
                ptr::null_mut(),
                room,
                libc::PROT_READ | libc::PROT_WRITE,
                flags | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let skip = if kind == Kind::Huge { start.align_offset(HUGE) } else { 0 };
        let start = start.cast::<AtomicU8>().wrapping_add(skip);
        let advice =
            if kind == Kind::Huge { libc::MADV_HUGEPAGE } else { libc::MADV_NOHUGEPAGE };
        // A kernel without huge pages refuses both, and does what the second asks for.
        // SAFETY: the bytes are ours, and the advice changes none of them.
        unsafe { libc::madvise(start.cast(), bytes, advice) };
        // SAFETY: `bytes` bytes from here are mapped, zero, never unmapped, and used through
        // atomics only, by every process that shares them.
        let cells = unsafe { std::slice::from_raw_parts(start, bytes) };
        let page = rustix::param::page_size();
        Ok(Self { cells, page })
    }

    /// How many pages it has.
    pub fn pages(&self) -> usize {
        self.cells.len() / self.page
    }

    /// Writes to each of the first `pages` pages.
    pub fn write(&self, pages: usize, value: u8) {
        self.first_bytes(pages).for_each(|cell| cell.store(value, Ordering::Relaxed));
    }

    /// Reads each of the first `pages` pages and adds up what it finds.
    pub fn read(&self, pages: usize) -> u64 {
        self.first_bytes(pages).map(|cell| u64::from(cell.load(Ordering::Relaxed))).sum()
    }

    fn first_bytes(&self, pages: usize) -> impl Iterator<Item = &AtomicU8> {
        self.cells.iter().step_by(self.page).take(pages)
    }
}

/// Whether a traced process stands at the entry of the call with this number, or at the end of
/// one that has returned this.
///
/// # Errors
/// What ptrace(2) answers.
pub fn is_about(id: Pid, number: libc::c_long, result: i64) -> nix::Result<bool> {
    let info = nix::sys::ptrace::syscall_info(id)?;
    Ok(match info.op {
        libc::PTRACE_SYSCALL_INFO_ENTRY => {
            // SAFETY: the kernel says that it has filled in this part of the union.
            let entry = unsafe { info.u.entry };
            entry.nr == number as u64
        }
        libc::PTRACE_SYSCALL_INFO_EXIT => {
            // SAFETY: as above.
            let exit = unsafe { info.u.exit };
            exit.sval == result
        }
        _ => false,
    })
}
