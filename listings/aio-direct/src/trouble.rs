//! The one line that is left behind where the machine refuses: what, why, what to do.

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use crate::Context;

/// A context for so many operations, or the line that says why there is none.
///
/// # Errors
/// What io_setup(2) answers.
pub fn context<T>(depth: u32) -> Result<Context<T>, Trouble> {
    Context::new(depth).map_err(|error| Trouble::Refused(Refusal::setup(depth, &error)))
}

/// Why an experiment or the program ended early.
#[derive(Debug)]
pub enum Trouble {
    /// The machine does not allow it: exit code 2.
    Refused(Refusal),
    /// Something went wrong: exit code 1.
    Failed(io::Error),
}

/// What this machine does not allow, and what to do about it.
#[derive(Debug)]
pub struct Refusal(String);

impl Refusal {
    /// io_setup(2) has answered this to a wish for so many.
    pub fn setup(depth: u32, error: &io::Error) -> Self {
        let advice = match error.raw_os_error() {
            Some(libc::ENOSYS) => {
                "run it on a kernel with CONFIG_AIO, or allow the io_* calls in the container's profile".into()
            }
            Some(libc::EPERM) => "allow the io_* calls in the container's profile".into(),
            Some(libc::EAGAIN) => format!(
                "{} of {} operations are reserved: lower --depth, end who has them, or raise fs.aio-max-nr with sysctl",
                number("aio-nr"),
                number("aio-max-nr")
            ),
            Some(libc::EINVAL) => "choose a smaller --depth".into(),
            _ => "try again when there is more memory".into(),
        };
        Self(format!("cannot set up AIO for {depth} operations: {error}; {advice}"))
    }

    /// open(2) with O_DIRECT has answered this.
    pub fn open(path: &Path, error: io::Error) -> Trouble {
        let path = path.display();
        match error.raw_os_error() {
            Some(libc::EINVAL | libc::EOPNOTSUPP) => Trouble::Refused(Self(format!(
                "cannot read {path} with O_DIRECT: {error}; its file system has no direct reads, so choose one on a disk, or read with --buffered"
            ))),
            _ => Trouble::Failed(io::Error::new(
                error.kind(),
                format!("cannot open {path}: {error}; name a file that may be read"),
            )),
        }
    }

    /// io_submit(2) or io_getevents(2) itself is forbidden.
    pub fn call(error: &io::Error) -> Option<Self> {
        matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM)).then(|| {
            Self(format!(
                "io_submit or io_getevents is refused: {error}; allow the io_* calls in the container's profile"
            ))
        })
    }
}

/// A setting of the kernel for AIO, in words.
fn number(name: &str) -> String {
    let text = fs::read_to_string(format!("/proc/sys/fs/{name}"));
    text.map_or("an unknown number".into(), |text| text.trim().to_owned())
}

impl Trouble {
    /// Prints the line, and gives the exit code.
    pub fn exit(&self, program: &str) -> ExitCode {
        let code = match self {
            Self::Refused(_) => flags::REFUSED,
            Self::Failed(_) => flags::FAILED,
        };
        flags::fail(code, format_args!("{program}: {self}"))
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        match Refusal::call(&error) {
            Some(refusal) => Self::Refused(refusal),
            None => Self::Failed(error),
        }
    }
}

impl From<nix::errno::Errno> for Trouble {
    fn from(errno: nix::errno::Errno) -> Self {
        io::Error::from(errno).into()
    }
}

impl<T> From<crate::Refused<'_, T>> for Trouble {
    fn from(refused: crate::Refused<'_, T>) -> Self {
        refused.error.into()
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(Refusal(line)) => f.write_str(line),
            Self::Failed(error) => error.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_says_what_why_and_what_to_do() {
        for (errno, advice) in [
            (libc::ENOSYS, "CONFIG_AIO"),
            (libc::EPERM, "profile"),
            (libc::EAGAIN, "fs.aio-max-nr"),
            (libc::EINVAL, "--depth"),
            (libc::ENOMEM, "memory"),
        ] {
            let error = io::Error::from_raw_os_error(errno);
            let Refusal(line) = Refusal::setup(8, &error);
            assert!(line.contains(advice) && line.contains("8 operations"), "{line}");
            assert_eq!(line.lines().count(), 1, "{line}");
        }
    }
}
