//! Regular files: the cache in front of the disk, ways out of a folder, positions.

use crate::Claim;
use crate::Kernels::All;
#[cfg(target_os = "linux")]
use crate::kit::*;

/// The claims of this file.
pub const CLAIMS: &[Claim] = &[
    Claim {
        id: "cached-file-needs-no-disk",
        sentence: "A file that was read once is read again without the disk, as long as \
            the kernel keeps its pages.",
        chapter: "a-read-that-blocks.md",
        kernels: All,
        source: "getrusage(2), ru_inblock; posix_fadvise(2), POSIX_FADV_DONTNEED",
        counter: "the kernel was asked to drop them in between",
        check: linux!(|case| {
            let file = disk_file(&[1; 1 << 20])?;
            file.sync_all()?;
            let from_disk = |forget: bool| {
                if forget {
                    forget_pages(&file)?;
                }
                let before = counts();
                file.read_exact_at(&mut vec![0; 1 << 20], 0)?;
                Ok::<_, Cannot>(counts().blocks_read - before.blocks_read)
            };
            if from_disk(true)? == 0 {
                return cannot("this file system counts no blocks that are read");
            }
            let again = from_disk(case.is_counter())?;
            seen(again == 0, format!("{again} blocks of 512 bytes read from the disk"))
        }),
    },
    Claim {
        id: "sequential-reads-are-read-ahead",
        sentence: "A sequential reader of a cold file finds pages in the cache that it \
            has not asked for yet.",
        chapter: "a-read-that-blocks.md",
        kernels: All,
        source: "readahead(2); posix_fadvise(2), POSIX_FADV_RANDOM",
        counter: "POSIX_FADV_RANDOM was said",
        check: linux!(|case| {
            use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
            let file = disk_file(&[1; 1 << 20])?;
            file.sync_all()?;
            forget_pages(&file)?;
            if case.is_counter() {
                posix_fadvise(&file, 0, 0, PosixFadviseAdvice::POSIX_FADV_RANDOM)?;
            }
            let before = counts();
            file.read_exact_at(&mut vec![0; 65_536], 0)?;
            let blocks = counts().blocks_read - before.blocks_read;
            seen(blocks > 128, format!("128 blocks were asked for, {blocks} read"))
        }),
    },
    Claim {
        id: "tmpfs-forgets-nothing",
        sentence: "A file on tmpfs is in memory and nowhere else: it stays there when \
            the kernel is asked to drop it from its cache.",
        chapter: "a-read-that-blocks.md",
        kernels: All,
        source: "tmpfs(5)",
        counter: "a file on a disk",
        check: linux!(|case| {
            let file = if case.is_counter() {
                let file = disk_file(&[1; 1 << 20])?;
                file.sync_all()?;
                file
            } else {
                let flags = nix::sys::memfd::MFdFlags::empty();
                let file = File::from(nix::sys::memfd::memfd_create(c"claims", flags)?);
                file.write_all_at(&[1; 1 << 20], 0)?;
                file
            };
            forget_pages(&file)?;
            let before = counts();
            file.read_exact_at(&mut vec![0; 1 << 20], 0)?;
            let blocks = counts().blocks_read - before.blocks_read;
            seen(blocks == 0, format!("{blocks} blocks of 512 bytes read from a disk"))
        }),
    },
    Claim {
        id: "resolve-beneath-refuses-links-out",
        sentence: "With RESOLVE_BENEATH, openat2(2) refuses with EXDEV a symbolic link \
            that leads out of the folder.",
        chapter: "the-application.md",
        kernels: All,
        source: "openat2(2), since Linux 5.6",
        counter: "openat(2), which follows it",
        check: linux!(|case| {
            use rustix::fs::{Mode, OFlags, ResolveFlags, openat, openat2};
            let folder = Folder::new()?;
            std::os::unix::fs::symlink("/proc/self/status", folder.path.join("link"))?;
            let at = File::open(&folder.path)?;
            let result = match case {
                Case::Claimed => openat2(
                    &at,
                    "link",
                    OFlags::RDONLY,
                    Mode::empty(),
                    ResolveFlags::BENEATH,
                ),
                Case::Counter => openat(&at, "link", OFlags::RDONLY, Mode::empty()),
            };
            let refused =
                result.as_ref().is_err_and(|errno| *errno == rustix::io::Errno::XDEV);
            seen(
                refused,
                result.map_or_else(|errno| errno.to_string(), |_| "opened".to_owned()),
            )
        }),
    },
    Claim {
        id: "read-past-the-end-is-zero",
        sentence: "A read of a file at its end, or beyond it, returns 0: there is \
            nothing to wait for.",
        chapter: "iterative.md",
        kernels: All,
        source: "read(2), return value; pread(2)",
        counter: "before its end",
        check: linux!(|case| {
            let file = file(b"0123456789")?;
            file.set_len(5)?;
            let result = file.read_at(&mut [0; 64], case.pick(7, 3))?;
            seen(result == 0, format!("{result} bytes"))
        }),
    },
    Claim {
        id: "fork-shares-the-position",
        sentence: "Parent and child share the position in a file that was open at the \
            fork(2).",
        chapter: "forking.md",
        kernels: All,
        source: "fork(2); open(2), Open file descriptions",
        counter: "the child has opened the file anew",
        check: linux!(|case| {
            use nix::unistd::{Whence, lseek};
            let file = file(b"0123456789")?;
            child(|| {
                let path = format!("/proc/self/fd/{}", file.as_raw_fd());
                let anew = case.is_counter().then(|| File::open(path));
                let n = match anew {
                    Some(Ok(anew)) => read(&anew, &mut [0; 7]),
                    _ => read(&file, &mut [0; 7]),
                };
                i32::from(n != Ok(7))
            })?
            .code()?;
            let at = lseek(&file, 0, Whence::SeekCur)?;
            seen(at == 7, format!("the child has read 7 bytes, the parent is at byte {at}"))
        }),
    },
    Claim {
        id: "pread-keeps-the-position",
        sentence: "pread(2) leaves the position of a file alone, which threads and \
            processes may share.",
        chapter: "threaded.md",
        kernels: All,
        source: "pread(2)",
        counter: "read(2)",
        check: linux!(|case| {
            use nix::unistd::{Whence, lseek};
            let file = file(b"0123456789")?;
            let n = match case {
                Case::Claimed => file.read_at(&mut [0; 7], 0)?,
                Case::Counter => read(&file, &mut [0; 7])?,
            };
            let at = lseek(&file, 0, Whence::SeekCur)?;
            seen((n, at) == (7, 0), format!("{n} bytes read, the position is {at}"))
        }),
    },
];

/// Asks the kernel to drop a file's pages from its cache. They must have been written.
#[cfg(target_os = "linux")]
fn forget_pages(file: &File) -> nix::Result<()> {
    use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
    posix_fadvise(file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED)
}
