//! Regular files and who waits for them: readiness that says nothing, reads that must not
//! wait, and what waits all the same.

use crate::Claim;
use crate::Kernels::{All, Since};
#[cfg(target_os = "linux")]
use {
    crate::kit::*,
    nix::fcntl::{PosixFadviseAdvice, posix_fadvise},
    rustix::fs::{Mode, OFlags, ResolveFlags, openat, openat2},
    rustix::io::ReadWriteFlags,
    std::io::IoSliceMut,
};

/// The claims of this file.
pub const CLAIMS: &[Claim] = &[
    Claim {
        id: "cold-read-sleeps-though-ready",
        sentence: "poll(2) calls a file readable of which nothing is in memory, and the \
            read(2) that follows goes to sleep.",
        chapter: "file-stall.md",
        kernels: All,
        source: "poll(2), regular files; getrusage(2), ru_nvcsw",
        counter: "the file is in memory",
        check: linux!(|case| {
            disk_takes_time()?;
            let file = cold(1 << 20)?;
            if case.is_counter() {
                file.read_exact_at(&mut vec![0; 1 << 20], 0)?;
            }
            let said = ready(&file, PollFlags::POLLIN, 0);
            let slept = sleeps(|| file.read_exact_at(&mut [0; 4096], 0))?;
            seen(
                said == PollFlags::POLLIN && slept > 0,
                format!("{}, then slept {}", names(said), times(slept)),
            )
        }),
    },
    Claim {
        id: "nonblock-means-nothing-to-files",
        sentence: "O_NONBLOCK changes nothing for a regular file: a read(2) of what is not in \
            memory waits, and there is no EAGAIN.",
        chapter: "file-stall.md",
        kernels: All,
        source: "open(2), O_NONBLOCK",
        counter: "an empty pipe in place of the file",
        check: linux!(|case| {
            disk_takes_time()?;
            let (reader, _writer) = pipe()?;
            let file = cold(1 << 20)?;
            let descriptor = case.pick(file.as_fd(), reader.as_fd());
            nonblocking(descriptor, true)?;
            let mut result = Ok(0);
            let slept = sleeps(|| {
                result = read(descriptor, &mut [0; 4096]);
                Ok(())
            })?;
            seen(
                result == Ok(4096) && slept > 0,
                format!("{}, slept {}", word(result), times(slept)),
            )
        }),
    },
    Claim {
        id: "sendfile-waits-for-the-disk",
        sentence: "sendfile(2) to a non-blocking socket that has room waits for the disk, if \
            the file is not in memory.",
        chapter: "file-stall.md",
        kernels: All,
        source: "sendfile(2); the kernel's filemap_splice_read",
        counter: "the file is in memory",
        check: linux!(|case| {
            disk_takes_time()?;
            let (_client, server) = connection()?;
            nonblocking(&server, true)?;
            let file = cold(1 << 20)?;
            if case.is_counter() {
                file.read_exact_at(&mut vec![0; 1 << 20], 0)?;
            }
            let mut sent = Ok(0);
            let slept = sleeps(|| {
                sent = nix::sys::sendfile::sendfile(&server, &file, Some(&mut 0), 16_384);
                Ok(())
            })?;
            seen(
                sent.is_ok_and(|n| n > 0) && slept > 0,
                format!("{} bytes sent, slept {}", word(sent), times(slept)),
            )
        }),
    },
    Claim {
        id: "fsync-waits-for-the-disk",
        sentence: "write(2) comes back when the bytes are in memory, and fsync(2) sleeps until \
            the disk has them.",
        chapter: "file-stall.md",
        kernels: All,
        source: "fsync(2); write(2), Notes",
        counter: "a second write in place of the fsync",
        check: linux!(|case| {
            let file = cold(1 << 20)?;
            let bytes = vec![2; 4 << 20];
            let writes = sleeps(|| file.write_all_at(&bytes, 0))?;
            let then = sleeps(|| match case {
                Case::Claimed => file.sync_all(),
                Case::Counter => file.write_all_at(&bytes, 0),
            })?;
            seen(
                then > writes,
                format!("the write slept {}, what followed {}", times(writes), times(then)),
            )
        }),
    },
    Claim {
        id: "nowait-refuses-what-is-not-cached",
        sentence: "preadv2(2) with RWF_NOWAIT fails with EAGAIN if the first page that was \
            asked for is not in memory.",
        chapter: "file-pool.md",
        kernels: All,
        source: "preadv2(2), RWF_NOWAIT, since Linux 4.14",
        counter: "the page is in memory",
        check: linux!(|case| {
            attempt_is_told()?;
            let file = cold(1 << 20)?;
            if case.is_counter() {
                file.read_exact_at(&mut [0; 4096], 0)?;
            }
            let mut result = Ok(0);
            let slept = sleeps(|| {
                result = nowait(&file, 4096, 0);
                Ok(())
            })?;
            known(result)?;
            seen(
                result == Err(Errno::EAGAIN),
                format!("{}, slept {}", word(result), times(slept)),
            )
        }),
    },
    Claim {
        id: "nowait-takes-what-is-cached",
        sentence: "preadv2(2) with RWF_NOWAIT returns the bytes that are in memory, up to the \
            first page that is not.",
        chapter: "file-pool.md",
        kernels: All,
        source: "preadv2(2), RWF_NOWAIT",
        counter: "all that is asked for is in memory",
        check: linux!(|case| {
            attempt_is_told()?;
            let file = cold(1 << 20)?;
            posix_fadvise(&file, 0, 0, PosixFadviseAdvice::POSIX_FADV_RANDOM)?;
            let there = case.pick(65_536, 1 << 20);
            file.read_exact_at(&mut vec![0; there], 0)?;
            let result = nowait(&file, 1 << 20, 0);
            known(result)?;
            seen(
                result.is_ok_and(|n| (1..1 << 20).contains(&n)),
                format!("{there} bytes in memory, {} read of 1048576", word(result)),
            )
        }),
    },
    Claim {
        id: "nowait-starts-the-reading",
        sentence: "A read with RWF_NOWAIT that fails with EAGAIN has the pages read all the \
            same: a moment later they are there.",
        chapter: "file-pool.md",
        kernels: Since { version: (6, 12), before: "the pages are still not there" },
        source: "the kernel's filemap_get_pages, which starts a read-ahead; before, \
            kiocb_set_rw_flags added IOCB_NOIO, which forbade it",
        counter: "nobody has asked before",
        check: linux!(|case| {
            attempt_is_told()?;
            let mut fetched = Vec::new();
            // A file may be in memory although the kernel was asked to forget it.
            for _ in 0..5 {
                let file = cold(1 << 20)?;
                if case == Case::Claimed {
                    let first = nowait(&file, 4096, 0);
                    known(first)?;
                    if first != Err(Errno::EAGAIN) {
                        continue;
                    }
                }
                thread::sleep(ms(MOMENT));
                // On a busy disk the page may be on its way still: this waits for it.
                let before = counts().blocks_read;
                file.read_exact_at(&mut [0; 4096], 0)?;
                fetched.push(counts().blocks_read - before);
            }
            if fetched.is_empty() {
                return cannot("no file was cold");
            }
            let all = fetched.iter().all(|blocks| *blocks == 0);
            seen(all, format!("blocks that the next read had fetched: {fetched:?}"))
        }),
    },
    Claim {
        id: "nowait-is-unknown-on-tmpfs",
        sentence: "On tmpfs preadv2(2) with RWF_NOWAIT fails with EOPNOTSUPP, though every byte \
            is in memory.",
        chapter: "file-pool.md",
        kernels: All,
        source: "preadv2(2), EOPNOTSUPP; the kernel's kiocb_set_rw_flags and FMODE_NOWAIT",
        counter: "a file on a disk, in memory as well",
        check: linux!(|case| {
            let file = if case.is_counter() {
                disk_file(&[1; 4096])?
            } else {
                let flags = nix::sys::memfd::MFdFlags::empty();
                let file = File::from(nix::sys::memfd::memfd_create(c"claims", flags)?);
                file.write_all_at(&[1; 4096], 0)?;
                file
            };
            let result = nowait(&file, 4096, 0);
            if case.is_counter() {
                known(result)?;
            }
            seen(result == Err(Errno::EOPNOTSUPP), word(result))
        }),
    },
    Claim {
        id: "nowait-at-the-end-is-zero",
        sentence: "At the end of a file, RWF_NOWAIT or not, a read returns 0.",
        chapter: "file-pool.md",
        kernels: Since {
            version: (5, 16),
            before: "EAGAIN, if the end is the end of a page: the next one is missing",
        },
        source: "the kernel's filemap_read, which compares with the size before it looks for \
            a page since commit 8c8387ee3f55",
        counter: "before the end",
        check: linux!(|case| {
            let file = disk_file(&[1; 8192])?;
            file.read_exact_at(&mut [0; 8192], 0)?;
            let result = nowait(&file, 4096, case.pick(8192, 4096));
            known(result)?;
            seen(result == Ok(0), word(result))
        }),
    },
    Claim {
        id: "resolve-cached-does-not-look-on-the-disk",
        sentence: "With RESOLVE_CACHED, openat2(2) fails with EAGAIN for a name that the kernel \
            has not looked up yet.",
        chapter: "file-pool.md",
        kernels: All,
        source: "openat2(2), RESOLVE_CACHED, since Linux 5.12, and in the stable 5.10 since \
            io_uring was taken over from 5.15",
        counter: "it was looked up a moment before, and is not there: ENOENT",
        check: linux!(|case| {
            let folder = Folder::new()?;
            let at = File::open(&folder.path)?;
            if case.is_counter() {
                let _ = openat(&at, "none", OFlags::RDONLY, Mode::empty()); // ENOENT
            }
            let cached = ResolveFlags::CACHED;
            let result = openat2(&at, "none", OFlags::RDONLY, Mode::empty(), cached);
            let errno = result.map_err(|errno| Errno::from_raw(errno.raw_os_error()));
            if matches!(errno, Err(Errno::EINVAL)) {
                return cannot("this kernel does not know RESOLVE_CACHED");
            }
            seen(matches!(errno, Err(Errno::EAGAIN)), word(errno.map(|_| "opened")))
        }),
    },
];

/// A file on a disk of which nothing is in memory.
#[cfg(target_os = "linux")]
fn cold(bytes: usize) -> Result<File, Cannot> {
    let file = disk_file(&vec![1; bytes])?;
    file.sync_all()?;
    // A page that somebody is busy with at that moment stays.
    for _ in 0..3 {
        posix_fadvise(&file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED)?;
        thread::sleep(ms(1));
    }
    Ok(file)
}

/// How often this thread went to sleep meanwhile.
#[cfg(target_os = "linux")]
fn sleeps(mut call: impl FnMut() -> io::Result<()>) -> Result<u32, Cannot> {
    let before = counts();
    call()?;
    Ok(u32::try_from(counts().voluntary - before.voluntary).unwrap_or(0))
}

/// preadv2(2) with RWF_NOWAIT.
#[cfg(target_os = "linux")]
fn nowait(file: &File, len: usize, at: u64) -> nix::Result<usize> {
    let mut buffer = vec![0; len];
    let mut parts = [IoSliceMut::new(&mut buffer)];
    rustix::io::preadv2(file, &mut parts, at, ReadWriteFlags::NOWAIT)
        .map_err(|errno| Errno::from_raw(errno.raw_os_error()))
}

/// Whether this file system knows RWF_NOWAIT.
#[cfg(target_os = "linux")]
fn known(result: nix::Result<usize>) -> Result<(), Cannot> {
    match result {
        Err(Errno::EOPNOTSUPP) => cannot("the file system knows no RWF_NOWAIT"),
        _ => Ok(()),
    }
}
