//! poll(2).

use crate::Claim;
use crate::Kernels::All;
#[cfg(target_os = "linux")]
use crate::kit::*;

/// The claims of this file.
pub const CLAIMS: &[Claim] = &[
    Claim {
        id: "poll-calls-files-ready",
        sentence: "poll(2) calls a regular file readable and writable, at its end as well.",
        chapter: "poll.md",
        kernels: All,
        source: "POSIX, poll; the kernel's DEFAULT_POLLMASK",
        counter: "an empty pipe in place of the file",
        check: linux!(|case| {
            let file = file(b"")?;
            let (empty, _writer) = pipe()?;
            let descriptor = case.pick(file.as_fd(), empty.as_fd());
            let both = PollFlags::POLLIN | PollFlags::POLLOUT;
            let reported = ready(descriptor, both, 0);
            seen(reported == both, names(reported))
        }),
    },
    Claim {
        id: "poll-calls-folders-and-null-ready",
        sentence: "poll(2) calls a folder and /dev/null ready.",
        chapter: "poll.md",
        kernels: All,
        source: "the kernel's DEFAULT_POLLMASK, for what has no poll of its own",
        counter: "an eventfd that is 0",
        check: linux!(|case| {
            let reported = match case {
                Case::Claimed => {
                    let null = File::open("/dev/null")?;
                    ready(File::open("/")?, PollFlags::POLLIN, 0)
                        & ready(null, PollFlags::POLLIN, 0)
                }
                Case::Counter => {
                    ready(nix::sys::eventfd::EventFd::new()?, PollFlags::POLLIN, 0)
                }
            };
            seen(reported == PollFlags::POLLIN, names(reported))
        }),
    },
    Claim {
        id: "poll-keeps-its-request",
        sentence: "poll(2) writes what is ready to revents, and leaves events as they \
            were asked for.",
        chapter: "poll.md",
        kernels: All,
        source: "poll(2)",
        counter: "select(2), which has one set for both",
        check: linux!(|case| {
            let (reader, _writer) = pipe()?;
            let number = reader.as_raw_fd();
            let same = match case {
                Case::Claimed => {
                    let mut asked = [PollFd::new(reader.as_fd(), PollFlags::POLLIN)];
                    poll(&mut asked, PollTimeout::ZERO)?;
                    asked[0].events() == PollFlags::POLLIN
                }
                Case::Counter => {
                    let mut bits = [1 << number];
                    raw::kernel_select(64, &mut bits)?;
                    bits == [1 << number]
                }
            };
            either(same, "as it was", "changed")
        }),
    },
    Claim {
        id: "poll-ignores-negative-descriptors",
        sentence: "poll(2) passes over an entry whose descriptor is negative.",
        chapter: "poll.md",
        kernels: All,
        source: "poll(2)",
        counter: "it is positive, and closed",
        check: linux!(|case| {
            let result = raw::poll_one(case.pick(-1, 1_000), libc::POLLIN);
            seen(result == Ok(0), result.map_or_else(|errno| errno.to_string(), bits))
        }),
    },
    Claim {
        id: "poll-says-nval-for-a-closed-descriptor",
        sentence: "poll(2) reports a closed descriptor as POLLNVAL, in its own entry.",
        chapter: "poll.md",
        kernels: All,
        source: "poll(2), POLLNVAL",
        counter: "it is open",
        check: linux!(|case| {
            let (reader, _writer) = pipe()?;
            let number = reader.as_raw_fd();
            let _reader = case.is_counter().then_some(reader);
            let result = raw::poll_one(number, libc::POLLIN);
            seen(
                result == Ok(libc::POLLNVAL),
                result.map_or_else(|errno| errno.to_string(), bits),
            )
        }),
    },
    Claim {
        id: "poll-reports-hup-unasked",
        sentence: "POLLHUP is reported whether it was asked for or not.",
        chapter: "poll.md",
        kernels: All,
        source: "poll(2), POLLHUP",
        counter: "the other end is open",
        check: linux!(|case| {
            let (reader, writer) = pipe()?;
            let _writer = case.is_counter().then_some(writer);
            let reported = ready(&reader, PollFlags::empty(), 50);
            seen(reported == PollFlags::POLLHUP, names(reported))
        }),
    },
    Claim {
        id: "poll-reports-err-unasked",
        sentence: "POLLERR is reported whether it was asked for or not.",
        chapter: "poll.md",
        kernels: All,
        source: "poll(2), POLLERR",
        counter: "the pipe has a reader",
        check: linux!(|case| {
            let (reader, writer) = pipe()?;
            let _reader = case.is_counter().then_some(reader);
            let reported = ready(&writer, PollFlags::empty(), 50);
            seen(reported == PollFlags::POLLERR, names(reported))
        }),
    },
    Claim {
        id: "poll-reports-rdhup-only-if-asked",
        sentence: "POLLRDHUP, the peer has stopped sending, is reported only to who \
            asked for it.",
        chapter: "poll.md",
        kernels: All,
        source: "poll(2), POLLRDHUP",
        counter: "it was asked for",
        check: linux!(|case| {
            let (client, server) = connection()?;
            client.shutdown(Shutdown::Write)?;
            readable(&server, LONG);
            let asked = libc::POLLIN | case.pick(0, libc::POLLRDHUP);
            let told = raw::poll_one(server.as_raw_fd(), asked)? & libc::POLLRDHUP != 0;
            either(!told, "not reported", "reported")
        }),
    },
    Claim {
        id: "poll-refuses-more-than-the-limit",
        sentence: "poll(2) with more entries than RLIMIT_NOFILE fails with EINVAL.",
        chapter: "poll.md",
        kernels: All,
        source: "poll(2), EINVAL",
        counter: "as many as the limit",
        check: linux!(|case| {
            let (reader, _writer) = pipe()?;
            let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
            setrlimit(Resource::RLIMIT_NOFILE, 64, hard)?;
            let number = case.pick(65, 64);
            let mut asked = vec![PollFd::new(reader.as_fd(), PollFlags::POLLIN); number];
            let result = poll(&mut asked, PollTimeout::ZERO);
            seen(
                result == Err(Errno::EINVAL),
                format!("{number} entries: {}", word(result)),
            )
        }),
    },
    Claim {
        id: "poll-grows-with-idle-descriptors",
        sentence: "A call of poll(2) takes longer the more idle descriptors it is given.",
        chapter: "poll.md",
        kernels: All,
        source: "the kernel's do_poll, which asks each",
        counter: "they are in an epoll set",
        check: linux!(|case| {
            let few = wait_time(case, 10)?;
            let many = wait_time(case, 1_000)?;
            seen(many > few * 5, format!("10: {few:.1?}, 1000: {many:.1?}"))
        }),
    },
    Claim {
        id: "epoll-wait-does-not-grow-with-idle",
        sentence: "A call of epoll_wait(2) takes no longer with more idle descriptors in \
            the set.",
        chapter: "epoll.md",
        kernels: All,
        source: "epoll(7); the kernel's ep_send_events, which looks at the ready list",
        counter: "poll(2) in its place",
        check: linux!(|case| {
            let case = case.pick(Case::Counter, Case::Claimed);
            let few = wait_time(case, 10)?;
            let many = wait_time(case, 1_000)?;
            seen(many < few * 5, format!("10: {few:.1?}, 1000: {many:.1?}"))
        }),
    },
    Claim {
        id: "poll-is-never-restarted",
        sentence: "poll(2) and epoll_wait(2) fail with EINTR after a signal that was \
            handled, with SA_RESTART as well.",
        chapter: "poll.md",
        kernels: All,
        source: "signal(7), Interruption of system calls by signal handlers",
        counter: "read(2), which is restarted",
        check: linux!(|case| {
            use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent};
            raw::count(Signal::SIGALRM, SaFlags::SA_RESTART);
            let (reader, writer) = pipe()?;
            let _end = child(|| {
                thread::sleep(ms(600));
                write(&writer, b"late").map_or(1, |_| 0)
            })?;
            raw::alarm_after(100);
            let first = match case {
                Case::Claimed => poll(
                    &mut [PollFd::new(reader.as_fd(), PollFlags::POLLIN)],
                    PollTimeout::NONE,
                )
                .map(|n| usize::try_from(n).unwrap_or(0)),
                Case::Counter => read(&reader, &mut [0; 64]),
            };
            raw::alarm_after(100);
            let second = Epoll::new(EpollCreateFlags::empty())?
                .wait(&mut [EpollEvent::empty()], 1_000_u16);
            seen(
                first == Err(Errno::EINTR) && second == Err(Errno::EINTR),
                format!("{}, {}", word(first), word(second)),
            )
        }),
    },
];

#[cfg(target_os = "linux")]
fn bits(reported: i16) -> String {
    names(PollFlags::from_bits_retain(reported))
}

/// How long a call takes that waits for so many idle descriptors and one that is ready, with
/// poll(2), or in the counter-situation with epoll_wait(2).
#[cfg(target_os = "linux")]
fn wait_time(case: Case, idle: usize) -> Result<Duration, Cannot> {
    use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};
    use nix::sys::eventfd::EventFd;
    many_descriptors(1_100)?;
    let ready = EventFd::from_value(1)?;
    let quiet = (0..idle).map(|_| EventFd::new()).collect::<nix::Result<Vec<_>>>()?;
    let all = || quiet.iter().chain([&ready]);
    let set = Epoll::new(EpollCreateFlags::empty())?;
    for descriptor in all() {
        set.add(descriptor, EpollEvent::new(EpollFlags::EPOLLIN, 0))?;
    }
    let asked = |descriptor| PollFd::new(AsFd::as_fd(descriptor), PollFlags::POLLIN);
    let mut asked: Vec<PollFd> = all().map(asked).collect();
    shortest(20, || {
        let begun = Instant::now();
        match case {
            Case::Claimed => drop(poll(&mut asked, PollTimeout::NONE)?),
            Case::Counter => drop(set.wait(&mut [EpollEvent::empty()], 1_000_u16)?),
        }
        Ok(begun.elapsed())
    })
}
