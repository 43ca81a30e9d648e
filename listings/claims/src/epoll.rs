//! epoll(7).

use crate::Claim;
use crate::Kernels::All;
#[cfg(target_os = "linux")]
use {
    crate::kit::*,
    nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags},
};

/// The claims of this file.
pub const CLAIMS: &[Claim] = &[
    Claim {
        id: "epoll-refuses-regular-files",
        sentence: "epoll_ctl(2) refuses a regular file, with EPERM.",
        chapter: "epoll.md",
        kernels: All,
        source: "epoll_ctl(2), EPERM",
        counter: "a pipe in place of the file",
        check: linux!(|case| {
            let file = file(b"text")?;
            let (reader, _writer) = pipe()?;
            let descriptor = case.pick(file.as_fd(), reader.as_fd());
            let result = Set::new()?.add(descriptor, EpollFlags::EPOLLIN);
            seen(result == Err(Errno::EPERM), word(result))
        }),
    },
    Claim {
        id: "epoll-refuses-folders-and-null",
        sentence: "epoll_ctl(2) refuses a folder and /dev/null as well.",
        chapter: "epoll.md",
        kernels: All,
        source: "epoll_ctl(2), EPERM; the kernel's file_can_poll",
        counter: "an eventfd in their place",
        check: linux!(|case| {
            let set = Set::new()?;
            let (first, second) = match case {
                Case::Claimed => (
                    set.add(File::open("/")?, EpollFlags::EPOLLIN),
                    set.add(File::open("/dev/null")?, EpollFlags::EPOLLIN),
                ),
                Case::Counter => {
                    let event = nix::sys::eventfd::EventFd::new()?;
                    (set.add(&event, EpollFlags::EPOLLIN), Ok(()))
                }
            };
            seen(
                [first, second] == [Err(Errno::EPERM); 2],
                format!("{}, {}", word(first), word(second)),
            )
        }),
    },
    Claim {
        id: "epoll-refuses-itself",
        sentence: "epoll_ctl(2) refuses to add an epoll descriptor to itself, with \
            EINVAL, and to close a circle, with ELOOP.",
        chapter: "epoll.md",
        kernels: All,
        source: "epoll_ctl(2), EINVAL and ELOOP",
        counter: "another epoll descriptor, and no circle",
        check: linux!(|case| {
            let (a, b, c) = (Set::new()?, Set::new()?, Set::new()?);
            b.add(&a.0.0, EpollFlags::EPOLLIN)?;
            let itself = a.add(&case.pick(&a, &c).0.0, EpollFlags::EPOLLIN);
            let circle = match case {
                Case::Claimed => a.add(&b.0.0, EpollFlags::EPOLLIN),
                Case::Counter => c.add(&b.0.0, EpollFlags::EPOLLIN),
            };
            seen(
                itself == Err(Errno::EINVAL) && circle == Err(Errno::ELOOP),
                format!("{}, {}", word(itself), word(circle)),
            )
        }),
    },
    Claim {
        id: "level-triggered-reports-again",
        sentence: "Level-triggered, epoll_wait(2) reports bytes again that were left \
            unread.",
        chapter: "epoll.md",
        kernels: All,
        source: "epoll(7), Level-triggered and edge-triggered",
        counter: "edge-triggered",
        check: linux!(|case| {
            let (reader, writer) = pipe()?;
            let set = Set::new()?;
            set.add(&reader, EpollFlags::EPOLLIN | case.pick(LEVEL, EpollFlags::EPOLLET))?;
            write(&writer, b"hello")?;
            let first = set.reports(LONG)?;
            read(&reader, &mut [0; 2])?;
            let second = set.reports(50)?;
            seen((first, second) == (1, 1), format!("{first} event, then {second}"))
        }),
    },
    Claim {
        id: "edge-triggered-stays-silent",
        sentence: "Edge-triggered, epoll_wait(2) stays silent about bytes that were left \
            unread.",
        chapter: "epoll.md",
        kernels: All,
        source: "epoll(7), Level-triggered and edge-triggered",
        counter: "level-triggered",
        check: linux!(|case| {
            let (reader, writer) = pipe()?;
            let set = Set::new()?;
            set.add(&reader, EpollFlags::EPOLLIN | case.pick(EpollFlags::EPOLLET, LEVEL))?;
            write(&writer, b"hello")?;
            let first = set.reports(LONG)?;
            read(&reader, &mut [0; 2])?;
            let second = set.reports(MOMENT)?;
            seen((first, second) == (1, 0), format!("{first} event, then {second}"))
        }),
    },
    Claim {
        id: "edge-triggered-reports-new-bytes",
        sentence: "Edge-triggered, new bytes are reported, though older ones are unread.",
        chapter: "epoll.md",
        kernels: All,
        source: "epoll(7), Questions and answers 9",
        counter: "no new bytes",
        check: linux!(|case| {
            let (ours, mut theirs) = UnixStream::pair()?;
            let set = Set::new()?;
            set.add(&ours, EpollFlags::EPOLLIN | EpollFlags::EPOLLET)?;
            theirs.write_all(b"hello")?;
            let first = set.reports(LONG)?;
            theirs.write_all(case.pick(b"more", b""))?;
            let second = set.reports(MOMENT)?;
            seen((first, second) == (1, 1), format!("{first} event, then {second}"))
        }),
    },
    Claim {
        id: "edge-triggered-pipe-reports-each-write",
        sentence: "Edge-triggered, a write to a pipe that is not empty is reported. Linux \
            5.5 to 5.13 did not, before the fix of July 2021, which 5.10 has from 5.10.56 on.",
        chapter: "epoll.md",
        kernels: All,
        source: "the kernel's commits 1b6b26ae7053 and 3a34b13a88ca, in pipe_write",
        counter: "nothing is written",
        check: linux!(|case| {
            let (reader, writer) = pipe()?;
            let set = Set::new()?;
            set.add(&reader, EpollFlags::EPOLLIN | EpollFlags::EPOLLET)?;
            write(&writer, b"hello")?;
            let first = set.reports(LONG)?;
            write(&writer, case.pick(b"more", b""))?;
            let second = set.reports(MOMENT)?;
            seen((first, second) == (1, 1), format!("{first} event, then {second}"))
        }),
    },
    Claim {
        id: "edge-triggered-reports-what-was-there",
        sentence: "Edge-triggered, what was there before the descriptor was added is \
            reported.",
        chapter: "epoll.md",
        kernels: All,
        source: "the kernel's ep_insert, which asks at once",
        counter: "nothing was there",
        check: linux!(|case| {
            let (reader, writer) = pipe()?;
            write(&writer, case.pick(b"hello", b""))?;
            let set = Set::new()?;
            set.add(&reader, EpollFlags::EPOLLIN | EpollFlags::EPOLLET)?;
            let first = set.reports(50)?;
            seen(first == 1, events_in_words(first))
        }),
    },
    Claim {
        id: "add-twice-is-eexist",
        sentence: "EPOLL_CTL_ADD of a descriptor that is in the set fails with EEXIST.",
        chapter: "epoll.md",
        kernels: All,
        source: "epoll_ctl(2), EEXIST",
        counter: "a duplicate, which is another entry",
        check: linux!(|case| {
            let (reader, _writer) = pipe()?;
            let other = dup(&reader)?;
            let set = Set::new()?;
            set.add(&reader, EpollFlags::EPOLLIN)?;
            let result = set.add(case.pick(&reader, &other), EpollFlags::EPOLLIN);
            seen(result == Err(Errno::EEXIST), word(result))
        }),
    },
    Claim {
        id: "delete-missing-is-enoent",
        sentence: "EPOLL_CTL_DEL of an open descriptor that is not in the set fails with \
            ENOENT.",
        chapter: "epoll.md",
        kernels: All,
        source: "epoll_ctl(2), ENOENT",
        counter: "it is in the set",
        check: linux!(|case| {
            let (reader, _writer) = pipe()?;
            let set = Set::new()?;
            if case.is_counter() {
                set.add(&reader, EpollFlags::EPOLLIN)?;
            }
            let result = set.0.delete(&reader);
            seen(result == Err(Errno::ENOENT), word(result))
        }),
    },
    Claim {
        id: "closed-descriptor-reports-through-its-dup",
        sentence: "A descriptor that was closed goes on reporting while a duplicate of \
            it is open.",
        chapter: "epoll.md",
        kernels: All,
        source: "epoll(7), Questions and answers 6",
        counter: "there is no duplicate",
        check: linux!(|case| {
            let (reader, writer) = pipe()?;
            let _other = (!case.is_counter()).then(|| dup(&reader)).transpose()?;
            let set = Set::new()?;
            set.add(&reader, EpollFlags::EPOLLIN)?;
            write(&writer, b"hello")?;
            drop(reader);
            let events = set.reports(50)?;
            seen(events == 1, events_in_words(events))
        }),
    },
    Claim {
        id: "closed-descriptor-cannot-be-deleted",
        sentence: "Such a descriptor cannot be taken out of the set by its number: EBADF.",
        chapter: "epoll.md",
        kernels: All,
        source: "epoll_ctl(2), EBADF; epoll(7), Questions and answers 6",
        counter: "it is open",
        check: linux!(|case| {
            let (reader, _writer) = pipe()?;
            let _other = dup(&reader)?;
            let set = Set::new()?;
            set.add(&reader, EpollFlags::EPOLLIN)?;
            let number = reader.as_raw_fd();
            let _reader = case.is_counter().then_some(reader);
            let result = set.delete_number(number);
            seen(result == Err(Errno::EBADF), word(result))
        }),
    },
    Claim {
        id: "reused-number-cannot-delete-the-old",
        sentence: "When its number was given to another file, deleting that number fails \
            with ENOENT, and the old entry stays.",
        chapter: "epoll.md",
        kernels: All,
        source: "epoll(7): an entry is a number together with an open file description",
        counter: "the number is that of the old file again",
        check: linux!(|case| {
            let (reader, writer) = pipe()?;
            let other = dup(&reader)?;
            let set = Set::new()?;
            set.add(&reader, EpollFlags::EPOLLIN)?;
            write(&writer, b"hello")?;
            let event = nix::sys::eventfd::EventFd::new()?;
            let mut number = reader; // which another file is given now
            nix::unistd::dup2(case.pick(event.as_fd(), other.as_fd()), &mut number)?;
            let result = set.delete_number(number.as_raw_fd());
            let events = set.reports(50)?;
            seen(
                result == Err(Errno::ENOENT) && events == 1,
                format!("{}, then {}", word(result), events_in_words(events)),
            )
        }),
    },
    Claim {
        id: "last-close-leaves-the-set",
        sentence: "Closing the last descriptor of an open file takes it out of every set.",
        chapter: "epoll.md",
        kernels: All,
        source: "epoll(7), Questions and answers 6",
        counter: "a duplicate is open",
        check: linux!(|case| {
            let (reader, writer) = pipe()?;
            let _other = case.is_counter().then(|| dup(&reader)).transpose()?;
            let set = Set::new()?;
            set.add(&reader, EpollFlags::EPOLLIN)?;
            write(&writer, b"hello")?;
            drop(reader);
            let events = set.reports(50)?;
            seen(events == 0, events_in_words(events))
        }),
    },
    Claim {
        id: "oneshot-is-silent-until-mod",
        sentence: "After one event an EPOLLONESHOT descriptor is silent, until \
            EPOLL_CTL_MOD.",
        chapter: "epoll.md",
        kernels: All,
        source: "epoll_ctl(2), EPOLLONESHOT",
        counter: "without EPOLLONESHOT",
        check: linux!(|case| {
            let (reader, writer) = pipe()?;
            let set = Set::new()?;
            let flags = EpollFlags::EPOLLIN | case.pick(EpollFlags::EPOLLONESHOT, LEVEL);
            set.add(&reader, flags)?;
            write(&writer, b"hello")?;
            let first = set.reports(LONG)?;
            write(&writer, b"more")?;
            let second = set.reports(MOMENT)?;
            set.modify(&reader, flags)?;
            let third = set.reports(50)?;
            seen(
                (first, second, third) == (1, 0, 1),
                format!("{first} event, then {second}, after MOD {third}"),
            )
        }),
    },
    Claim {
        id: "epoll-wakes-everybody",
        sentence: "One connection wakes everybody who waits for the listener, each in an \
            epoll set of its own.",
        chapter: "epoll.md",
        kernels: All,
        source: "the kernel's ep_ptable_queue_proc; epoll_ctl(2), EPOLLEXCLUSIVE",
        counter: "with EPOLLEXCLUSIVE",
        check: linux!(|case| {
            let woken = woken_of_four(case.pick(LEVEL, EpollFlags::EPOLLEXCLUSIVE))?;
            seen(woken == 4, format!("{woken} of 4 are woken"))
        }),
    },
    Claim {
        id: "exclusive-wakes-fewer",
        sentence: "With EPOLLEXCLUSIVE one connection wakes fewer than all: one or more, \
            says the manual.",
        chapter: "epoll.md",
        kernels: All,
        source: "epoll_ctl(2), EPOLLEXCLUSIVE, since Linux 4.5",
        counter: "without EPOLLEXCLUSIVE",
        check: linux!(|case| {
            let woken = woken_of_four(case.pick(EpollFlags::EPOLLEXCLUSIVE, LEVEL))?;
            seen((1..4).contains(&woken), format!("{woken} of 4 are woken"))
        }),
    },
    Claim {
        id: "exclusive-refuses-oneshot",
        sentence: "EPOLLEXCLUSIVE together with EPOLLONESHOT is refused, with EINVAL.",
        chapter: "epoll.md",
        kernels: All,
        source: "epoll_ctl(2), EPOLLEXCLUSIVE; the kernel's EPOLLEXCLUSIVE_OK_BITS",
        counter: "together with EPOLLET",
        check: linux!(|case| {
            let (reader, _writer) = pipe()?;
            let other = case.pick(EpollFlags::EPOLLONESHOT, EpollFlags::EPOLLET);
            let flags = EpollFlags::EPOLLIN | EpollFlags::EPOLLEXCLUSIVE | other;
            let result = Set::new()?.add(&reader, flags);
            seen(result == Err(Errno::EINVAL), word(result))
        }),
    },
    Claim {
        id: "exclusive-refuses-mod",
        sentence: "EPOLL_CTL_MOD of a descriptor that was added with EPOLLEXCLUSIVE is \
            refused, with EINVAL.",
        chapter: "epoll.md",
        kernels: All,
        source: "epoll_ctl(2), EINVAL",
        counter: "it was added without",
        check: linux!(|case| {
            let (reader, _writer) = pipe()?;
            let set = Set::new()?;
            let also = case.pick(EpollFlags::EPOLLEXCLUSIVE, LEVEL);
            set.add(&reader, EpollFlags::EPOLLIN | also)?;
            let result = set.modify(&reader, EpollFlags::EPOLLIN);
            seen(result == Err(Errno::EINVAL), word(result))
        }),
    },
    Claim {
        id: "epoll-set-is-shared-through-fork",
        sentence: "The child of a fork(2) shares its parent's interest list: what it \
            adds, the parent is told of.",
        chapter: "epoll.md",
        kernels: All,
        source: "epoll_create(2): a descriptor of an open file description; fork(2)",
        counter: "the child makes a set of its own",
        check: linux!(|case| {
            let (reader, writer) = pipe()?;
            write(&writer, b"hello")?;
            let ours = Set::new()?;
            let child = child(|| {
                let own = Set::new();
                let set = if case.is_counter() { own.as_ref() } else { Ok(&ours) };
                let added =
                    set.is_ok_and(|set| set.add(&reader, EpollFlags::EPOLLIN).is_ok());
                i32::from(!added)
            })?;
            if child.code()? != 0 {
                return cannot("the child could not add it");
            }
            let events = ours.reports(50)?;
            seen(
                events == 1,
                format!("the child has added one, the parent is told of {events}"),
            )
        }),
    },
    Claim {
        id: "epoll-descriptor-is-pollable",
        sentence: "An epoll descriptor is itself readable when something in its set is \
            ready.",
        chapter: "epoll.md",
        kernels: All,
        source: "epoll(7), Questions and answers 3 and 4",
        counter: "nothing in it is ready",
        check: linux!(|case| {
            let (reader, writer) = pipe()?;
            write(&writer, case.pick(b"hello", b""))?;
            let set = Set::new()?;
            set.add(&reader, EpollFlags::EPOLLIN)?;
            let readable = readable(&set.0.0, 50);
            either(readable, "readable", "not readable")
        }),
    },
    Claim {
        id: "epoll-wait-goes-round",
        sentence: "With room for one event, epoll_wait(2) reports each of several ready \
            descriptors in its turn.",
        chapter: "epoll.md",
        kernels: All,
        source: "epoll_wait(2), Notes",
        counter: "poll(2), and the first that is ready",
        check: linux!(|case| {
            let pipes = [pipe()?, pipe()?, pipe()?];
            let set = Set::new()?;
            let mut asked = Vec::new();
            for (n, (reader, writer)) in pipes.iter().enumerate() {
                write(writer, b"hello")?;
                set.0.add(reader, EpollEvent::new(EpollFlags::EPOLLIN, n as u64))?;
                asked.push(PollFd::new(reader.as_fd(), PollFlags::POLLIN));
            }
            let mut told = BTreeSet::new();
            for _ in 0..3 {
                let mut events = [EpollEvent::empty()];
                match case {
                    Case::Claimed => {
                        set.0.wait(&mut events, 50_u16)?;
                        told.insert(events[0].data());
                    }
                    Case::Counter => {
                        poll(&mut asked, PollTimeout::ZERO)?;
                        let first =
                            asked.iter().position(|asked| asked.any() == Some(true));
                        told.insert(first.unwrap_or(99) as u64);
                    }
                }
            }
            let number = told.len();
            seen(number == 3, format!("three calls tell of {number} descriptors"))
        }),
    },
    Claim {
        id: "a-stop-ends-epoll-wait",
        sentence: "epoll_wait(2) fails with EINTR when its process was stopped by a signal \
            and goes on, although no handler has run.",
        chapter: "epoll.md",
        kernels: All,
        source: "signal(7), Interruption of system calls and library functions by stop \
            signals",
        counter: "poll(2), which goes on waiting",
        check: linux!(|case| {
            let (reader, _writer) = pipe()?;
            let set = Set::new()?;
            set.add(&reader, EpollFlags::EPOLLIN)?;
            let mut asked = [PollFd::new(reader.as_fd(), PollFlags::POLLIN)];
            let child = child(|| {
                let result = match case {
                    Case::Claimed => set.reports(2 * LONG).map(drop),
                    Case::Counter => poll(&mut asked, 1_000_u16).map(drop),
                };
                i32::from(result == Err(Errno::EINTR))
            })?;
            if !until_in('S', child.0) {
                return cannot("the child did not go to sleep");
            }
            kill(child.0, Signal::SIGSTOP)?;
            let stopped = until_in('T', child.0);
            kill(child.0, Signal::SIGCONT)?;
            if !stopped {
                return cannot("the child did not stop");
            }
            either(child.code()? == 1, "EINTR", "it waits until its time is over")
        }),
    },
    Claim {
        id: "watches-are-limited",
        sentence: "Entries beyond /proc/sys/fs/epoll/max_user_watches are refused, with \
            ENOSPC.",
        chapter: "epoll.md",
        kernels: All,
        source: "epoll(7), /proc interfaces; epoll_ctl(2), ENOSPC",
        counter: "the limit is as it was",
        check: linux!(|case| {
            let (reader, _writer) = pipe()?;
            let path = "/proc/sys/fs/epoll/max_user_watches";
            if !own_machine() {
                return cannot(
                    "only in a guest: the test lowers a limit of the whole machine",
                );
            }
            let before = fs::read_to_string(path)?;
            if !case.is_counter() {
                set(path, "0")?;
            }
            let result = Set::new()?.add(&reader, EpollFlags::EPOLLIN);
            set(path, before.trim())?;
            seen(result == Err(Errno::ENOSPC), word(result))
        }),
    },
    Claim {
        id: "full-table-listener-reports-for-ever",
        sentence: "When accept(2) fails with EMFILE, a level-triggered listener is \
            reported at each call: the loop spins.",
        chapter: "epoll.md",
        kernels: All,
        source: "accept(2), EMFILE; epoll(7)",
        counter: "edge-triggered",
        check: linux!(|case| {
            let listener = listener(4)?;
            nonblocking(&listener, true)?;
            let set = Set::new()?;
            set.add(
                &listener,
                EpollFlags::EPOLLIN | case.pick(LEVEL, EpollFlags::EPOLLET),
            )?;
            let _client = TcpStream::connect(listener.local_addr()?)?;
            let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
            setrlimit(Resource::RLIMIT_NOFILE, 0, hard)?;
            let mut reports = 0;
            for _ in 0..100 {
                if set.reports(0)? == 0 {
                    break;
                }
                reports += 1;
                let result = socket::accept(listener.as_raw_fd());
                if result != Err(Errno::EMFILE) {
                    return cannot(format!("accept: {}", word(result)));
                }
            }
            seen(reports == 100, format!("reported {reports} times in 100 calls"))
        }),
    },
];

/// No flag: an event is reported as long as it is so.
#[cfg(target_os = "linux")]
const LEVEL: EpollFlags = EpollFlags::empty();

/// An epoll set.
#[cfg(target_os = "linux")]
struct Set(Epoll);

#[cfg(target_os = "linux")]
impl Set {
    fn new() -> nix::Result<Self> {
        Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map(Self)
    }

    fn add(&self, descriptor: impl AsFd, flags: EpollFlags) -> nix::Result<()> {
        self.0.add(descriptor, EpollEvent::new(flags, 0))
    }

    fn modify(&self, descriptor: impl AsFd, flags: EpollFlags) -> nix::Result<()> {
        self.0.modify(descriptor, &mut EpollEvent::new(flags, 0))
    }

    /// EPOLL_CTL_DEL of a number that may be closed.
    fn delete_number(&self, number: i32) -> nix::Result<()> {
        raw::epoll_delete(&self.0.0, number)
    }

    /// How many events epoll_wait(2) reports within so many milliseconds.
    fn reports(&self, milliseconds: u64) -> nix::Result<usize> {
        let time = u16::try_from(milliseconds).unwrap_or(u16::MAX);
        self.0.wait(&mut [EpollEvent::empty(); 8], time)
    }
}

#[cfg(target_os = "linux")]
fn events_in_words(number: usize) -> String {
    format!("{number} event{}", if number == 1 { "" } else { "s" })
}

/// How many of four threads, each with a set of its own, one connection wakes.
#[cfg(target_os = "linux")]
fn woken_of_four(also: EpollFlags) -> Result<usize, Cannot> {
    let listener = listener(4)?;
    let wait = || {
        let set = Set::new()?;
        set.add(&listener, EpollFlags::EPOLLIN | also)?;
        asleep(move || set.reports(LONG))
    };
    let sleepers = [wait()?, wait()?, wait()?, wait()?];
    let _client = knock(&listener)?;
    Ok(woken(&sleepers))
}
