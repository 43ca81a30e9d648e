//! A descriptor above 1023: the C library's set has no place for it. The kernel does not mind.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    match beyond::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => flags::fail(
            flags::REFUSED,
            format_args!(
                "cannot open descriptor 1500: {error}; ulimit -Hn must be above 1500"
            ),
        ),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    flags::needs_linux("beyond")
}

#[cfg(target_os = "linux")]
mod beyond {
    use std::io::{self, Write};
    use std::os::fd::AsRawFd;

    use rustix::event::{
        FdSetElement, FdSetIter, fd_set_insert, fd_set_num_elements, select,
    };
    use rustix::io::fcntl_dupfd_cloexec;
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    use select_loop::FD_SETSIZE;

    #[expect(unsafe_code, reason = "a set of numbers keeps no descriptor open")]
    pub fn run() -> io::Result<()> {
        let limit = getrlimit(Resource::Nofile);
        setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })?;
        let (reader, mut writer) = io::pipe()?;
        // ANCHOR: beyond
        let high = fcntl_dupfd_cloexec(&reader, 1500)?;
        let number = high.as_raw_fd();
        println!("descriptor {number}");
        println!("the C library's set ends at {}", FD_SETSIZE - 1);
        let mut set = vec![FdSetElement::default(); fd_set_num_elements(1, number + 1)];
        fd_set_insert(&mut set, number);
        writer.write_all(b"x")?;
        // SAFETY: the set has room for `number + 1` descriptors, and the one that is in it is
        // open until the end of this function.
        let ready = unsafe { select(number + 1, Some(&mut set), None, None, None) }?;
        let found: Vec<i32> = FdSetIter::new(&set).collect();
        println!("the kernel says {ready} is ready: {found:?}");
        // ANCHOR_END: beyond
        Ok(())
    }
}
