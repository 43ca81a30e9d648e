//! The ring: what of io_uring works, found by doing it once.
//!
//! Memory that the kernel is lent here is never given back: a few pages for a program that
//! ends soon. So nothing in flight can outlive its buffer, on whichever path we leave.
#![expect(unsafe_code, reason = "the kernel writes into memory that it was lent")]

use std::io::{self, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::process;

use io_uring::{IoUring, Probe, cqueue, opcode, squeue, types};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

/// The largest page of any processor that Linux runs on; a buffer ring begins on a page.
#[repr(C, align(65536))]
struct Lent([u8; 65536]);

/// What the completions of each request are marked with.
const ACCEPT: u64 = 1;
const PROVIDE: u64 = 2;
const RECEIVE: u64 = 3;

fn lend() -> &'static mut Lent {
    Box::leak(Box::new(Lent([0; 65536])))
}

/// Sets a ring up.
pub fn set_up() -> io::Result<IoUring> {
    IoUring::new(8)
}

/// How many operations the kernel knows.
pub fn operations(ring: &IoUring) -> io::Result<usize> {
    let mut probe = Probe::new();
    ring.submitter().register_probe(&mut probe)?;
    Ok((0..=u8::MAX).filter(|&code| probe.is_supported(code)).count())
}

/// Accepts one connection and asks whether more would come of the same request.
pub fn multishot_accept(ring: &mut IoUring) -> io::Result<bool> {
    // An address without a file, which also is there where there is no network.
    let address = SocketAddr::from_abstract_name(format!("doctor-{}", process::id()))?;
    let listener = UnixListener::bind_addr(&address)?;
    let _client = UnixStream::connect_addr(&address)?;
    let entry =
        opcode::AcceptMulti::new(types::Fd(listener.as_raw_fd())).build().user_data(ACCEPT);
    // SAFETY: the request names no memory. The kernel holds the listener itself from here
    // on, whatever becomes of our descriptor, until the ring is closed.
    unsafe { submit(ring, &entry) }?;
    let done = completed(ring, ACCEPT)?;
    if done.result() >= 0 {
        // SAFETY: a completed accept: the kernel made this descriptor for us, and nobody else
        // has its number.
        drop(unsafe { OwnedFd::from_raw_fd(done.result()) });
    }
    answered(&done)
}

/// Receives into one of two buffers and asks whether more would come of the same request.
pub fn multishot_receive(ring: &mut IoUring) -> io::Result<bool> {
    const GROUP: u16 = 1;
    let (receiver, mut sender) = UnixStream::pair()?;
    sender.write_all(b"hello")?;

    let buffers = lend().0.as_mut_ptr();
    let entry =
        opcode::ProvideBuffers::new(buffers, 64, 2, GROUP, 0).build().user_data(PROVIDE);
    // SAFETY: 2 * 64 of 65,536 bytes that nobody else has a reference to. They are the
    // kernel's from here until the process ends.
    unsafe { submit(ring, &entry) }?;
    succeeded(&completed(ring, PROVIDE)?)?;

    let entry = opcode::RecvMulti::new(types::Fd(receiver.as_raw_fd()), GROUP)
        .build()
        .user_data(RECEIVE);
    // SAFETY: the request names no memory but the group's, which the kernel owns; it holds
    // the socket itself.
    unsafe { submit(ring, &entry) }?;
    answered(&completed(ring, RECEIVE)?)
}

/// Registers a ring of four provided buffers, and takes it back.
pub fn buffer_ring(ring: &IoUring) -> io::Result<bool> {
    const GROUP: u16 = 2;
    let entries = lend().0.as_mut_ptr();
    // SAFETY: room for 4,096 entries where 4 are announced, on a page's boundary, that nobody
    // else has a reference to. They are the kernel's until the process ends.
    let registered = unsafe {
        ring.submitter().register_buf_ring_with_flags(entries as u64, 4, GROUP, 0)
    };
    known(registered.and_then(|()| ring.submitter().unregister_buf_ring(GROUP)))
}

/// Whether a ring may leave its work to the thread that waits.
pub fn deferred_work() -> io::Result<bool> {
    let mut builder = IoUring::builder();
    let built: io::Result<IoUring> =
        builder.setup_single_issuer().setup_defer_taskrun().build(8);
    known(built.map(drop))
}

/// Registers a buffer of 64 KiB, which pins its pages, and takes it back.
pub fn registered_buffer(ring: &IoUring) -> io::Result<()> {
    let buffer = lend();
    let (base, length) = (buffer.0.as_mut_ptr(), buffer.0.len());
    let buffer = libc::iovec { iov_base: base.cast(), iov_len: length };
    // SAFETY: memory that nobody else has a reference to. No request uses it; the kernel may
    // hold it until the process ends.
    unsafe { ring.submitter().register_buffers(&[buffer]) }?;
    ring.submitter().unregister_buffers()
}

/// Hands one request to the kernel.
///
/// # Safety
/// Whatever memory the request names is valid until it has completed.
unsafe fn submit(ring: &mut IoUring, entry: &squeue::Entry) -> io::Result<()> {
    // SAFETY: the caller's promise.
    unsafe { ring.submission().push(entry) }.map_err(io::Error::other)?;
    ring.submit().map(drop)
}

/// The next completion of the request `of`. All that is asked for here is there already: a
/// second is plenty.
fn completed(ring: &mut IoUring, of: u64) -> io::Result<cqueue::Entry> {
    let second = Timespec { tv_sec: 1, tv_nsec: 0 };
    loop {
        if let Some(entry) = ring.completion().find(|entry| entry.user_data() == of) {
            return Ok(entry);
        }
        match poll(&mut [PollFd::new(ring, PollFlags::IN)], Some(&second)) {
            Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn succeeded(done: &cqueue::Entry) -> io::Result<()> {
    match done.result() {
        0.. => Ok(()),
        error => Err(io::Error::from_raw_os_error(-error)),
    }
}

/// Whether the request goes on. A kernel that does not know multishot requests refuses the
/// flag, or ignores it and answers once.
fn answered(done: &cqueue::Entry) -> io::Result<bool> {
    Ok(known(succeeded(done))? && cqueue::more(done.flags()))
}

/// `EINVAL` is how a kernel says that it does not know something.
fn known(result: io::Result<()>) -> io::Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(error) if error.raw_os_error() == Some(Errno::INVAL.raw_os_error()) => {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}
