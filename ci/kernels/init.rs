//! The first process of a guest: makes of the bare kernel what the claims take for granted, runs them once, prints what
//! they say between marker lines, and restarts, which ends qemu. It is alone in the initramfs with `/claims`.
//!
//! `rustc` compiles this file by itself (no crate, so that the initramfs needs no more than two programs); the calls that the
//! standard library lacks are declared here.

use std::ffi::{CString, c_char, c_int, c_ulong, c_void};
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};

unsafe extern "C" {
    fn mount(
        source: *const c_char,
        target: *const c_char,
        kind: *const c_char,
        flags: c_ulong,
        data: *const c_void,
    ) -> c_int;
    fn socket(domain: c_int, kind: c_int, protocol: c_int) -> c_int;
    fn ioctl(fd: c_int, request: c_ulong, argument: *mut c_void) -> c_int;
    fn setrlimit(resource: c_int, limit: *const [c_ulong; 2]) -> c_int;
    fn setsid() -> c_int;
    fn waitpid(pid: c_int, status: *mut c_int, options: c_int) -> c_int;
    fn klogctl(action: c_int, buffer: *mut c_char, length: c_int) -> c_int;
    fn tcdrain(fd: c_int) -> c_int;
    fn reboot(how: c_int) -> c_int;
}

fn main() {
    if let Err(error) = run() {
        println!("who-waits: init: {error}");
    }
    // SAFETY: no memory is passed. What lies in the serial port's buffer would be lost in the restart.
    unsafe {
        tcdrain(1);
        reboot(0x0123_4567);
    }
}

fn run() -> io::Result<()> {
    for (kind, source, target) in [
        ("proc", "proc", "/proc"),
        ("sysfs", "sysfs", "/sys"),
        ("devtmpfs", "devtmpfs", "/dev"),
        ("devpts", "devpts", "/dev/pts"),
        ("tmpfs", "tmpfs", "/dev/shm"),
        ("tmpfs", "tmpfs", "/tmp"),
        ("ext4", "/dev/nvme0n1", "/disk"),
    ] {
        attach(kind, source, target)
            .map_err(|error| why(&format!("cannot mount {target}"), error))?;
    }
    bring_up_loopback().map_err(|error| why("cannot bring up lo", error))?;
    // SAFETY: a pair of longs that outlives the call. The limits that a login on Debian has; the kernel's own are lower.
    let limited = unsafe { setrlimit(7, &[1024, 524_288]) };
    succeeded(limited).map_err(|error| why("cannot set the limit of open files", error))?;
    // SAFETY: no memory is passed. A process group of its own, so that the claims' signals to theirs do not mean "all".
    succeeded(unsafe { setsid() }).map_err(|error| why("cannot begin a session", error))?;

    println!("who-waits: begin");
    let said = "/verdicts";
    let child = Command::new("/claims")
        .arg("--json")
        .env_clear()
        .envs([("CLAIMS_DISK", "/disk"), ("CLAIMS_OWN_MACHINE", "1"), ("TMPDIR", "/tmp")])
        .envs([("CLAIMS_SECONDS", "60"), ("CLAIMS_JOBS", "1")])
        .stdin(Stdio::null())
        // A file, not a pipe: a process that the claims leave behind cannot hold up the end.
        .stdout(File::create(said)?)
        .spawn()
        .map_err(|error| why("cannot start /claims", error))?;
    let ended = reap_until(child.id() as c_int)?;

    // SAFETY: no buffer is passed. From here on the kernel prints nothing between our lines, short of a panic.
    succeeded(unsafe { klogctl(6, std::ptr::null_mut(), 0) })
        .map_err(|error| why("cannot silence the kernel", error))?;
    let mut console = io::stdout().lock();
    writeln!(console, "\nwho-waits: verdicts")?;
    console.write_all(&fs::read(said)?)?;
    match ended.code() {
        Some(code) => writeln!(console, "\nwho-waits: exit {code}"),
        None => {
            writeln!(console, "\nwho-waits: signal {}", ended.signal().unwrap_or_default())
        }
    }
}

fn attach(kind: &str, source: &str, target: &str) -> io::Result<()> {
    fs::create_dir_all(target)?;
    let text = |text: &str| CString::new(text).expect("the table above has no zero byte");
    let (kind, source, target) = (text(kind), text(source), text(target));
    // SAFETY: three strings that end in a zero byte and outlive the call; no data.
    succeeded(unsafe {
        mount(source.as_ptr(), target.as_ptr(), kind.as_ptr(), 0, std::ptr::null())
    })
}

fn bring_up_loopback() -> io::Result<()> {
    // struct ifreq: 16 bytes of name, then a union of 24, of which the flags take the first two.
    let mut request = [0_u8; 40];
    request[..2].copy_from_slice(b"lo");
    request[16..18].copy_from_slice(&1_u16.to_ne_bytes()); // IFF_UP
    // SAFETY: no memory is passed.
    let socket = unsafe { socket(2, 2, 0) }; // AF_INET, SOCK_DGRAM
    succeeded(socket)?;
    // SAFETY: the request is as long as the kernel's struct ifreq and outlives the call.
    succeeded(unsafe { ioctl(socket, 0x8914, request.as_mut_ptr().cast()) }) // SIOCSIFFLAGS
}

/// Waits for one child, and takes in the orphans that come to the first process, too: a claim that watches a process vanish
/// would otherwise see a zombie for ever.
fn reap_until(child: c_int) -> io::Result<ExitStatus> {
    loop {
        let mut status = 0;
        // SAFETY: the status outlives the call.
        let pid = unsafe { waitpid(-1, &mut status, 0) };
        succeeded(pid).map_err(|error| why("cannot wait for the claims", error))?;
        if pid == child {
            return Ok(ExitStatus::from_raw(status));
        }
    }
}

fn succeeded(returned: c_int) -> io::Result<()> {
    if returned < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn why(what: &str, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{what}: {error}"))
}
