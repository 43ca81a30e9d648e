//! What registered files and buffers and sends without a copy come to, in processor time.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    use uring_loop::refused;

    match options::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(options::Trouble::Ring(error)) => flags::fail(flags::REFUSED, refused(&error)),
        Err(options::Trouble::Other(error)) => flags::fail(flags::FAILED, error),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    flags::needs_linux("options")
}

#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "entries that name memory of ours")]
mod options {
    use std::fs::File;
    use std::io::{self, Read};
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsRawFd;
    use std::thread;
    use std::time::Duration;

    use io_uring::types::{Fd, Fixed};
    use io_uring::{IoUring, cqueue, opcode, squeue};
    use rustix::time::{ClockId, clock_gettime};

    /// What was in the way.
    pub enum Trouble {
        /// There is no ring, or nothing can be registered with it.
        Ring(io::Error),
        Other(io::Error),
    }

    impl From<io::Error> for Trouble {
        fn from(error: io::Error) -> Self {
            Self::Other(error)
        }
    }

    const SIZES: [usize; 2] = [1 << 10, 1 << 16];
    const TIMES: u32 = 2000;
    /// The numbers of the registered file and of the registered socket.
    const FILE: Fixed = Fixed(0);
    const SOCKET: Fixed = Fixed(1);
    /// IORING_SEND_ZC_REPORT_USAGE and IORING_NOTIF_USAGE_ZC_COPIED.
    const REPORT: u16 = 8;
    const COPIED: u32 = 1 << 31;

    /// A ring, and the buffer from which is sent and into which is read: never freed.
    struct Trial {
        ring: IoUring,
        buffer: *mut u8,
        /// A notification said that it was copied.
        is_copied: bool,
    }

    pub fn run() -> Result<(), Trouble> {
        let ring = IoUring::new(8).map_err(Trouble::Ring)?;
        let (sender, mut receiver) = connection()?;
        thread::spawn(move || io::copy(&mut receiver, &mut io::sink()));
        let file = File::open("/proc/self/exe")?; // long enough, and cached
        file.try_clone()?.take(SIZES[1] as u64).read_to_end(&mut Vec::new())?;
        let memory = vec![1_u8; SIZES[1]].leak();
        let whole = libc::iovec { iov_base: memory.as_mut_ptr().cast(), iov_len: SIZES[1] };
        let submitter = ring.submitter();
        let numbers = [file.as_raw_fd(), sender.as_raw_fd()];
        submitter.register_files(&numbers).map_err(Trouble::Ring)?;
        // SAFETY: it was leaked, so it is valid for ever.
        unsafe { submitter.register_buffers(&[whole]) }.map_err(Trouble::Ring)?;
        let mut trial = Trial { ring, buffer: memory.as_mut_ptr(), is_copied: false };
        trial.rows(Fd(numbers[0]), Fd(numbers[1])).map_err(Trouble::Other)
    }

    fn connection() -> io::Result<(TcpStream, TcpStream)> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let one = TcpStream::connect(listener.local_addr()?)?;
        Ok((one, listener.accept()?.0))
    }

    impl Trial {
        // ANCHOR: rows
        fn rows(&mut self, file: Fd, socket: Fd) -> io::Result<()> {
            let at = self.buffer;
            println!("{:26}{:>8}{:>10}", "", "1 KiB", "64 KiB");
            self.row("read", |n| opcode::Read::new(file, at, n).build())?;
            self.row("  registered file", |n| opcode::Read::new(FILE, at, n).build())?;
            self.row("  and buffer", |n| opcode::ReadFixed::new(FILE, at, n, 0).build())?;
            self.row("send", |n| opcode::Send::new(socket, at, n).build())?;
            self.row("  registered socket", |n| opcode::Send::new(SOCKET, at, n).build())?;
            let zero_copy = |n| opcode::SendZc::new(SOCKET, at, n).zc_flags(REPORT);
            self.row("  zero-copy", |n| zero_copy(n).build())?;
            self.row("  and buffer", |n| zero_copy(n).buf_index(Some(0)).build())?;
            println!(
                "\nzero-copy: {}",
                if self.is_copied { "copied" } else { "not copied" }
            );
            Ok(())
        }
        // ANCHOR_END: rows

        fn row(
            &mut self,
            what: &str,
            entry: impl Fn(u32) -> squeue::Entry,
        ) -> io::Result<()> {
            let mut cells = String::new();
            for size in SIZES {
                let entry = entry(size as u32);
                cells += &match self.cost(&entry) {
                    Ok(time) => format!("{:7.2} µs", time.as_secs_f64() * 1e6),
                    // An operation that this kernel does not have.
                    Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
                        format!("{:>10}", "not here")
                    }
                    Err(error) => return Err(error),
                };
            }
            println!("{what:24}{cells}");
            Ok(())
        }

        /// Our processor time for one, of many that were made one after the other; of five
        /// trials the best.
        fn cost(&mut self, entry: &squeue::Entry) -> io::Result<Duration> {
            let mut best = Duration::MAX;
            for _ in 0..5 {
                let before = clock_gettime(ClockId::ThreadCPUTime);
                for _ in 0..TIMES / 5 {
                    self.once(entry)?;
                }
                let used = clock_gettime(ClockId::ThreadCPUTime) - before;
                let used = Duration::try_from(used).map_err(io::Error::other)?;
                best = best.min(used / (TIMES / 5));
            }
            Ok(best)
        }

        /// One operation, and its notification if there will be one.
        fn once(&mut self, entry: &squeue::Entry) -> io::Result<()> {
            // SAFETY: it names the buffer, which is valid for ever.
            unsafe { self.ring.submission().push(entry) }.map_err(io::Error::other)?;
            loop {
                self.ring.submit_and_wait(1)?;
                while let Some(done) = self.ring.completion().next() {
                    if cqueue::notif(done.flags()) {
                        self.is_copied |= done.result() as u32 == COPIED;
                    } else if done.result() < 0 {
                        return Err(io::Error::from_raw_os_error(-done.result()));
                    }
                    if !cqueue::more(done.flags()) {
                        return Ok(());
                    }
                }
            }
        }
    }
}
