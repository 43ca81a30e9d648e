//! Linux AIO: a context is made and destroyed.
#![expect(unsafe_code, reason = "no crate wraps io_setup(2)")]

use rustix::io::Errno;

use crate::chapters::*;
use crate::confinement::{Process, errno, error_name};
use crate::finding::Finding;
use crate::numbers::grouped;
use crate::proc;

pub fn look(me: &Process) -> Finding {
    let name = "Linux AIO";
    let chapters = &[AIO];
    let number = |name: &str| {
        proc::value(&format!("/proc/sys/fs/{name}")).map_or("unknown".into(), grouped)
    };
    let room =
        format!("{} of {} requests reserved", number("aio-nr"), number("aio-max-nr"));
    let Err(error) = set_up_and_destroy() else {
        return Finding::yes(name, chapters, format!("a context was made; {room}"));
    };
    let (why, remedy) = match error {
        Errno::AGAIN => (
            room,
            "Raise it: sysctl fs.aio-max-nr=1048576, or end the program that reserved them.",
        ),
        Errno::NOSYS if !me.filtered => (
            me.refuser(error).into(),
            "Run a kernel with CONFIG_AIO, as distributions ship it.",
        ),
        _ => (
            me.refuser(error).into(),
            "Allow io_setup, io_submit, io_getevents and io_destroy in the container's profile.",
        ),
    };
    let remedy =
        format!("{remedy} Its chapter can be read without: the outputs are in the text.");
    Finding::no(
        name,
        chapters,
        format!("io_setup(2): {}: {why}", error_name(error)),
        remedy,
    )
}

/// A context for one request.
fn set_up_and_destroy() -> Result<(), Errno> {
    let mut context: libc::c_ulong = 0;
    let one: libc::c_long = 1;
    // SAFETY: the kernel writes one word, which is ours, before the call returns.
    let made = unsafe { libc::syscall(libc::SYS_io_setup, one, &raw mut context) };
    checked(made)?;
    // SAFETY: the context is the one made above, and no request was submitted to it.
    checked(unsafe { libc::syscall(libc::SYS_io_destroy, context) })
}

fn checked(answer: libc::c_long) -> Result<(), Errno> {
    if answer < 0 { Err(errno(&std::io::Error::last_os_error())) } else { Ok(()) }
}
