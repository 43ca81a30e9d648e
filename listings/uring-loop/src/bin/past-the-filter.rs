//! A filter that refuses system calls, and a ring that makes none: then a ring that refuses.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    use uring_loop::refused;

    match filter::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(filter::Trouble::Ring(error)) => flags::fail(flags::REFUSED, refused(&error)),
        Err(filter::Trouble::Other(error)) => flags::fail(flags::FAILED, error),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    flags::needs_linux("past-the-filter")
}

#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "prctl(2), and entries that name memory of ours")]
mod filter {
    use std::io;
    use std::net::{SocketAddr, TcpListener};
    use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

    use io_uring::register::Restriction;
    use io_uring::types::{Fd, OpenHow};
    use io_uring::{IoUring, opcode, squeue};
    use libc::{BPF_ABS, BPF_JEQ, BPF_JMP, BPF_K, BPF_LD, BPF_RET, BPF_W, sock_filter};
    use nix::sys::socket::{SockaddrLike, SockaddrStorage};
    use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
    use rustix::net::{AddressFamily, SocketType, connect, socket};

    /// What was in the way.
    pub enum Trouble {
        /// There is no ring.
        Ring(io::Error),
        Other(io::Error),
    }

    impl<E: Into<io::Error>> From<E> for Trouble {
        fn from(error: E) -> Self {
            Self::Other(error.into())
        }
    }

    const FILE: &std::ffi::CStr = c"/etc/passwd";

    // ANCHOR: run
    pub fn run() -> Result<(), Trouble> {
        let mut ring = IoUring::new(4).map_err(Trouble::Ring)?;
        let mut restricted = restricted_ring().map_err(Trouble::Ring)?;
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let to = listener.local_addr()?;
        refuse(&[libc::SYS_openat, libc::SYS_openat2, libc::SYS_connect])?;

        println!("         by a call  in a ring  restricted");
        let how = (OFlags::RDONLY, Mode::empty(), ResolveFlags::empty());
        let called = openat2(CWD, FILE, how.0, how.1, how.2).map(drop);
        show("openat2", called, open(&mut ring)?, open(&mut restricted)?);
        let client = socket(AddressFamily::INET, SocketType::STREAM, None)?;
        let called = connect(&client, &to);
        let in_a_ring = connect_in(&mut ring, &client, to)?;
        show("connect", called, in_a_ring, connect_in(&mut restricted, &client, to)?);
        Ok(())
    }
    // ANCHOR_END: run

    fn show(what: &str, call: rustix::io::Result<()>, ring: i32, restricted: i32) {
        let by_call = call.map_or_else(|error| -error.raw_os_error(), |()| 0);
        let [call, ring, restricted] = [by_call, ring, restricted].map(word);
        println!("{what:8} {call:9}  {ring:9}  {restricted}");
    }

    fn word(result: i32) -> &'static str {
        match -result {
            libc::EPERM => "EPERM",
            libc::EACCES => "EACCES",
            error if error > 0 => "another error",
            _ => "done",
        }
    }

    // ANCHOR: restricted
    /// A ring that sends and receives, and does nothing else.
    fn restricted_ring() -> io::Result<IoUring> {
        let ring = IoUring::builder().setup_r_disabled().build(4)?;
        let mut list = [opcode::Send::CODE, opcode::Recv::CODE].map(Restriction::sqe_op);
        ring.submitter().register_restrictions(&mut list)?;
        ring.submitter().register_enable_rings()?;
        Ok(ring)
    }
    // ANCHOR_END: restricted

    fn open(ring: &mut IoUring) -> io::Result<i32> {
        let how: *const OpenHow = Box::leak(Box::new(OpenHow::new()));
        let entry = opcode::OpenAt2::new(Fd(libc::AT_FDCWD), FILE.as_ptr(), how).build();
        let result = result_of(ring, &entry)?;
        if result >= 0 {
            // SAFETY: it was opened for us a moment ago, and nobody else knows its number.
            drop(unsafe { OwnedFd::from_raw_fd(result) });
        }
        Ok(result)
    }

    fn connect_in(ring: &mut IoUring, client: &OwnedFd, to: SocketAddr) -> io::Result<i32> {
        let to: &SockaddrStorage = Box::leak(Box::new(to.into()));
        let client = Fd(client.as_raw_fd());
        result_of(ring, &opcode::Connect::new(client, to.as_ptr(), to.len()).build())
    }

    /// Submits one entry and takes its completion.
    fn result_of(ring: &mut IoUring, entry: &squeue::Entry) -> io::Result<i32> {
        // SAFETY: what it names was leaked or is a constant: it is valid for ever.
        unsafe { ring.submission().push(entry) }.map_err(io::Error::other)?;
        loop {
            if let Some(done) = ring.completion().next() {
                return Ok(done.result());
            }
            ring.submit_and_wait(1)?;
        }
    }

    // ANCHOR: refuse
    /// From here on the kernel answers EPERM to these calls.
    fn refuse(calls: &[libc::c_long]) -> io::Result<()> {
        let step = |code: u32, k: u32| sock_filter { code: code as u16, jt: 0, jf: 0, k };
        let mut filter = vec![step(BPF_LD | BPF_W | BPF_ABS, 0)]; // the call's number
        for call in calls {
            let is_it = step(BPF_JMP | BPF_JEQ | BPF_K, *call as u32);
            filter.push(sock_filter { jf: 1, ..is_it }); // otherwise one step further
            let eperm = libc::SECCOMP_RET_ERRNO | libc::EPERM as u32;
            filter.push(step(BPF_RET | BPF_K, eperm));
        }
        filter.push(step(BPF_RET | BPF_K, libc::SECCOMP_RET_ALLOW));
        install(&mut filter)
    }
    // ANCHOR_END: refuse

    fn install(filter: &mut [sock_filter]) -> io::Result<()> {
        let program =
            libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
        rustix::thread::set_no_new_privs(true)?;
        let mode = libc::SECCOMP_MODE_FILTER as libc::c_ulong;
        // SAFETY: the kernel copies the filter during the call.
        match unsafe { libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const program) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}
