//! What the kernel offers, and what a server does without it.
//!
//! A probe tells which operations there are. It does not tell which flags they take: those
//! are tried, and what is refused is done in the way of an older kernel.

use std::fmt::Display;
use std::io;

use io_uring::{IoUring, Probe, opcode};
use rustix::io::Errno;

/// How many threads of the kernel may wait at once for what is no file: a send to somebody who has
/// ended its side, and takes nothing, waits in one.
const WAITING: u32 = 32;

/// How the ring is to be set up.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// Entries of the submission queue.
    pub entries: u32,
    /// Use nothing that is younger than this kernel.
    pub as_of: Option<(u32, u32)>,
    /// When completions are worked off that an interrupt has announced.
    pub work: Work,
}

/// When the kernel does in our thread what an event asks it to do: copying bytes that have
/// arrived, writing the completion.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Work {
    /// At once: our thread is interrupted for it.
    AtOnce,
    /// Whenever our thread enters the kernel anyway (IORING_SETUP_COOP_TASKRUN).
    #[default]
    WhenWeEnter,
    /// Only when it asks for completions, and a few at a time (IORING_SETUP_DEFER_TASKRUN). Only
    /// the thread that has set the ring up may enter it.
    WhenWeAsk,
    /// A thread of the kernel submits for us, and sleeps after so many idle milliseconds
    /// (IORING_SETUP_SQPOLL).
    ByAThread(u32),
}

/// What may be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Features {
    /// One operation accepts many clients (5.19).
    pub multishot_accept: bool,
    /// One operation receives again and again, into shared buffers (6.0).
    pub multishot_receive: bool,
    /// shutdown(2) is an operation (5.11).
    pub shutdown: bool,
}

impl Setup {
    fn allows(&self, major: u32, minor: u32) -> bool {
        self.as_of.is_none_or(|version| version >= (major, minor))
    }

    /// Sets a ring up, and finds out what it can do.
    ///
    /// # Errors
    /// What io_uring_setup(2) answers; `ENOSYS` if operations are missing without which there
    /// is no server.
    // ANCHOR: build
    pub(crate) fn build(&self) -> io::Result<(IoUring, Features)> {
        let uring = self.built()?;
        if self.allows(5, 15) {
            // Older kernels do not know how to; they go on without a limit.
            let _ = uring.submitter().register_iowq_max_workers(&mut [0, WAITING]);
        }
        let mut probe = Probe::new();
        uring.submitter().register_probe(&mut probe)?;
        let needed = [
            opcode::Accept::CODE,
            opcode::Recv::CODE,
            opcode::Send::CODE,
            opcode::Read::CODE,
            opcode::Write::CODE,
            opcode::OpenAt2::CODE,
            opcode::Statx::CODE,
            opcode::Close::CODE,
            opcode::Connect::CODE,
            opcode::PollAdd::CODE,
            opcode::Timeout::CODE,
            opcode::AsyncCancel::CODE,
        ];
        if !needed.iter().all(|code| probe.is_supported(*code)) {
            return Err(Errno::NOSYS.into());
        }
        let features = Features {
            multishot_accept: self.allows(5, 19),
            multishot_receive: self.allows(6, 0),
            shutdown: self.allows(5, 11) && probe.is_supported(opcode::Shutdown::CODE),
        };
        Ok((uring, features))
    }

    /// A ring with the flags of `work`, or with older ones in their place.
    fn built(&self) -> io::Result<IoUring> {
        let mut work = self.work;
        loop {
            let mut asked = IoUring::builder();
            let older = match work {
                Work::WhenWeAsk if self.allows(6, 1) => {
                    asked.setup_single_issuer().setup_defer_taskrun().setup_taskrun_flag();
                    Work::WhenWeEnter
                }
                Work::WhenWeEnter | Work::WhenWeAsk if self.allows(5, 19) => {
                    asked.setup_coop_taskrun().setup_taskrun_flag();
                    Work::AtOnce
                }
                Work::ByAThread(idle) => {
                    let uring = asked.setup_sqpoll(idle).build(self.entries)?;
                    // Before 5.11 its thread can use registered files only.
                    let is_able =
                        uring.params().is_feature_sqpoll_nonfixed() && self.allows(5, 11);
                    return is_able.then_some(uring).ok_or(Errno::NOSYS.into());
                }
                _ => return asked.build(self.entries),
            };
            match asked.build(self.entries) {
                // It does not know a flag, and has done without it until now.
                Err(error) if Errno::from_io_error(&error) == Some(Errno::INVAL) => {
                    work = older;
                }
                built => return built,
            }
        }
    }
    // ANCHOR_END: build
}

/// A ring that was refused, in one line: what, why, and what to do.
pub fn refused(error: &io::Error) -> String {
    let why: &dyn Display = match Errno::from_io_error(error) {
        Some(Errno::PERM | Errno::ACCESS) => {
            &"a seccomp filter (containers have one) or kernel.io_uring_disabled forbids it; \
              ask whoever runs the machine, or run outside the container"
        }
        Some(Errno::NOSYS) => {
            &"the kernel has no io_uring, one older than 5.6, or a filter that hides it; \
              run Linux 6.1 or later, outside a container"
        }
        Some(Errno::NOMEM) => {
            &"rings count as locked memory; raise the limit (ulimit -l), or ask for fewer \
              --entries"
        }
        _ => error,
    };
    format!("cannot set up an io_uring: {error}: {why}")
}
