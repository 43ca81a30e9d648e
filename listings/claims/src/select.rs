//! select(2).

use crate::Claim;
use crate::Kernels::All;
#[cfg(target_os = "linux")]
use {
    crate::kit::*,
    nix::sys::select::{FdSet, select},
    nix::sys::time::{TimeVal, TimeValLike},
};

/// The claims of this file.
pub const CLAIMS: &[Claim] = &[
    Claim {
        id: "select-calls-files-ready",
        sentence: "select(2) calls a regular file readable and writable, at its end as \
            well.",
        chapter: "select.md",
        kernels: All,
        source: "select(2); POSIX, pselect: regular files shall always select true",
        counter: "an empty pipe in place of the file",
        check: linux!(|case| {
            let file = file(b"")?;
            let (empty, _writer) = pipe()?;
            let descriptor = case.pick(file.as_fd(), empty.as_fd());
            let mut set = FdSet::new();
            set.insert(descriptor);
            let mut writable = set;
            let ready = select(None, &mut set, &mut writable, None, &mut TimeVal::zero())?;
            seen(ready == 2, format!("{ready} of 2: to read and to write"))
        }),
    },
    Claim {
        id: "select-changes-its-sets",
        sentence: "select(2) leaves in its sets only what is ready: they must be filled \
            again for each call.",
        chapter: "select.md",
        kernels: All,
        source: "select(2)",
        counter: "all of it is ready",
        check: linux!(|case| {
            let ((quiet, to_quiet), (ready, to_ready)) = (pipe()?, pipe()?);
            write(&to_ready, b"x")?;
            if case.is_counter() {
                write(&to_quiet, b"x")?;
            }
            let mut set = FdSet::new();
            set.insert(quiet.as_fd());
            set.insert(ready.as_fd());
            let before = set.fds(None).count();
            select(None, &mut set, None, None, &mut TimeVal::zero())?;
            let after = set.fds(None).count();
            seen(after < before, format!("{before} in the set before, {after} after"))
        }),
    },
    Claim {
        id: "select-changes-its-timeout",
        sentence: "On Linux, select(2) leaves in its timeout the time that was left.",
        chapter: "select.md",
        kernels: All,
        source: "select(2), Notes: most other systems do not",
        counter: "pselect(2), by way of the C library",
        check: linux!(|case| {
            use nix::sys::time::TimeSpec;
            let (reader, writer) = pipe()?;
            let mut set = FdSet::new();
            set.insert(reader.as_fd());
            after(100, move || {
                let _ = write(&writer, b"x");
                thread::sleep(ms(LONG));
            });
            let left = match case {
                Case::Claimed => {
                    let mut time = TimeVal::seconds(3);
                    select(None, &mut set, None, None, &mut time)?;
                    time.num_milliseconds()
                }
                Case::Counter => {
                    let time = TimeSpec::from_duration(ms(3_000));
                    nix::sys::select::pselect(None, &mut set, None, None, &time, None)?;
                    time.num_milliseconds()
                }
            };
            either(left < 3_000, "of 3 s, less is left", "of 3 s, 3 s are left")
        }),
    },
    Claim {
        id: "kernels-select-takes-more-than-1024",
        sentence: "The kernel's select takes descriptors above 1023: FD_SETSIZE is a \
            limit of the C library.",
        chapter: "select.md",
        kernels: All,
        source: "select(2), Bugs; the kernel's core_sys_select",
        counter: "its first argument, the number of bits, ends at 1024",
        check: linux!(|case| {
            many_descriptors(1_600)?;
            let (reader, writer) = pipe()?;
            write(&writer, b"x")?;
            let high = raw::owned(fcntl(&reader, FcntlArg::F_DUPFD_CLOEXEC(1_500))?);
            let number = high.as_raw_fd().cast_unsigned() as usize;
            let mut bits = [0; 32];
            bits[number / 64] |= 1 << (number % 64);
            let ready = raw::kernel_select(case.pick(2_048, 1_024), &mut bits);
            let still = bits[number / 64] & 1 << (number % 64) != 0;
            let library = 8 * size_of::<libc::fd_set>();
            seen(
                ready == Ok(1) && still && library == 1024,
                format!(
                    "descriptor {number}: {}; the C library's set has {library} bits",
                    word(ready)
                ),
            )
        }),
    },
    Claim {
        id: "select-fails-for-a-closed-descriptor",
        sentence: "One closed descriptor in a set makes the whole select(2) fail, with \
            EBADF.",
        chapter: "poll.md",
        kernels: All,
        source: "select(2), EBADF",
        counter: "it is open",
        check: linux!(|case| {
            let (reader, writer) = pipe()?;
            write(&writer, b"x")?;
            let other = dup(&reader)?;
            let mut bits = [1_u64 << reader.as_raw_fd() | 1 << other.as_raw_fd()];
            let _other = case.is_counter().then_some(other);
            let result = raw::kernel_select(64, &mut bits);
            seen(result == Err(Errno::EBADF), word(result))
        }),
    },
    Claim {
        id: "ready-is-no-promise",
        sentence: "What select(2) called readable may have been taken by somebody else \
            when it is read.",
        chapter: "select.md",
        kernels: All,
        source: "select(2), Bugs",
        counter: "nobody else reads",
        check: linux!(|case| {
            let (reader, writer) = pipe()?;
            nonblocking(&reader, true)?;
            write(&writer, b"x")?;
            let mut set = FdSet::new();
            set.insert(reader.as_fd());
            let ready = select(None, &mut set, None, None, &mut TimeVal::seconds(1))?;
            let child = child(|| {
                let n = if case.is_counter() { Ok(1) } else { read(&reader, &mut [0; 1]) };
                i32::from(n != Ok(1))
            })?;
            child.code()?;
            let result = read(&reader, &mut [0; 64]);
            seen(
                ready == 1 && result == Err(Errno::EAGAIN),
                format!("{ready} ready; then read: {}", word(result)),
            )
        }),
    },
    Claim {
        id: "the-end-is-readable",
        sentence: "A pipe or a socket whose other end was closed is readable: read(2) \
            will not wait.",
        chapter: "select.md",
        kernels: All,
        source: "select(2), readfds",
        counter: "the other end is open",
        check: linux!(|case| {
            let (reader, writer) = pipe()?;
            let _writer = case.is_counter().then_some(writer);
            let mut set = FdSet::new();
            set.insert(reader.as_fd());
            let ready = select(None, &mut set, None, None, &mut TimeVal::milliseconds(50))?;
            seen(ready == 1, format!("{ready} ready"))
        }),
    },
];
