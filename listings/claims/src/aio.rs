//! Linux AIO, O_DIRECT, and what statx(2) says about it.

use crate::Claim;
use crate::Kernels::{All, Since};
#[cfg(target_os = "linux")]
use crate::{
    kit::*,
    raw_aio::{self, Aio, Iocb, Room},
};

/// The claims of this file.
pub const CLAIMS: &[Claim] = &[
    Claim {
        id: "aio-buffered-read-is-over-at-return",
        sentence: "A read of a file that was opened without O_DIRECT is over when \
            io_submit(2) returns: its event is there.",
        chapter: "aio.md",
        kernels: All,
        source: "the kernel's aio_read, which calls the file's read_iter; \
            filemap_read waits for the page",
        counter: "with O_DIRECT",
        check: linux!(|case| {
            let over = reads_over_at_return(case.pick(false, true))?;
            seen(over == TRIES, were_over(over))
        }),
    },
    Claim {
        id: "aio-direct-read-is-in-flight-at-return",
        sentence: "A read of a file that was opened with O_DIRECT is in flight when \
            io_submit(2) returns.",
        chapter: "aio.md",
        kernels: All,
        source: "the kernel's iomap_dio_rw, -EIOCBQUEUED",
        counter: "without O_DIRECT",
        check: linux!(|case| {
            let over = reads_over_at_return(case.pick(true, false))?;
            seen(over < TRIES, were_over(over))
        }),
    },
    Claim {
        id: "aio-read-of-an-empty-socket-waits-in-submit",
        sentence: "A read of an empty socket keeps its caller in io_submit(2) until the \
            other side writes.",
        chapter: "aio.md",
        kernels: All,
        source: "the kernel's sock_read_iter, which waits unless it is told not to",
        counter: "a poll of the same socket",
        check: linux!(|case| {
            let waited = waits_in_submit(case.pick(false, true))?;
            either(waited, "it returned after the write", "it returned before the write")
        }),
    },
    Claim {
        id: "aio-poll-does-not-wait-in-submit",
        sentence: "IOCB_CMD_POLL of an empty socket does not keep its caller, and its \
            event comes when there is something to read.",
        chapter: "aio.md",
        kernels: All,
        source: "linux/aio_abi.h, IOCB_CMD_POLL, since Linux 4.19; the kernel's aio_poll",
        counter: "a read of the same socket",
        check: linux!(|case| {
            let waited = waits_in_submit(case.pick(true, false))?;
            either(!waited, "it returned before the write", "it returned after the write")
        }),
    },
    Claim {
        id: "aio-nonblocking-socket-is-eagain-in-the-event",
        sentence: "A read of an empty socket with O_NONBLOCK is over at once, and its \
            event says EAGAIN.",
        chapter: "aio.md",
        kernels: All,
        source: "the kernel's sock_read_iter: MSG_DONTWAIT for O_NONBLOCK",
        counter: "the other side has written",
        check: linux!(|case| {
            let (ours, mut theirs) = UnixStream::pair()?;
            ours.set_nonblocking(true)?;
            theirs.write_all(case.pick(b"", b"hello"))?;
            let (taken, event) = one(Iocb::read(&ours, Room::new(64, 0), 0))?;
            let said = taken == Ok(1) && event == Err(Errno::EAGAIN);
            seen(said, format!("io_submit: {}; the event: {}", word(taken), word(event)))
        }),
    },
    Claim {
        id: "aio-misalignment-is-in-the-event",
        sentence: "A misaligned read with O_DIRECT is taken by io_submit(2), and its \
            event says EINVAL.",
        chapter: "aio.md",
        kernels: All,
        source: "open(2), O_DIRECT; the kernel's aio_rw_done, which makes an event of \
            what read_iter returns",
        counter: "aligned",
        check: linux!(|case| {
            let file = direct(&disk_file(&[1; 65_536])?)?;
            let room = Room::beside(65_536, 0, case.pick(1, 0));
            let (taken, event) = one(Iocb::read(&file, room, 0))?;
            if !case.is_counter() && event.is_ok() {
                return cannot("this file system takes a misaligned read");
            }
            let said = taken == Ok(1) && event == Err(Errno::EINVAL);
            seen(said, format!("io_submit: {}; the event: {}", word(taken), word(event)))
        }),
    },
    Claim {
        id: "aio-bad-descriptor-is-in-the-call",
        sentence: "A read of a descriptor that is open for writing only is refused by \
            io_submit(2) itself, with EBADF.",
        chapter: "aio.md",
        kernels: All,
        source: "io_submit(2), EBADF; the kernel's aio_read",
        counter: "open for reading",
        check: linux!(|case| {
            let (reader, writer) = pipe()?;
            write(&writer, b"hello")?;
            let file = case.pick(&writer, &reader);
            let taken = Aio::new(1)?.submit(&[Iocb::read(file, Room::new(8, 0), 0)]);
            seen(taken == Err(Errno::EBADF), format!("io_submit: {}", word(taken)))
        }),
    },
    Claim {
        id: "aio-submit-stops-at-the-refused",
        sentence: "Of several operations io_submit(2) takes those before the first that \
            it refuses, and says how many.",
        chapter: "aio.md",
        kernels: All,
        source: "io_submit(2), Return value",
        counter: "none is refused",
        check: linux!(|case| {
            let (reader, writer) = pipe()?;
            let (good, bad) =
                (Iocb::poll(&reader), Iocb::read(&writer, Room::new(8, 0), 0));
            let all = [good, case.pick(bad, good), good];
            let taken = Aio::new(8)?.submit(&all);
            seen(taken == Ok(1), format!("{} of 3", word(taken)))
        }),
    },
    Claim {
        id: "aio-copies-iocb-pointer-and-event",
        sentence: "For an operation the kernel reads a pointer and an iocb of 64 bytes, \
            and writes an event of 32.",
        chapter: "aio.md",
        kernels: All,
        source: "linux/aio_abi.h; the kernel's io_submit_one and aio_read_events_ring",
        counter: "for two operations",
        check: linux!(|case| {
            let (aio, null) = (Aio::new(8)?, File::open("/dev/null")?);
            let number = case.pick(1, 2);
            let exact = aio.fits(&null, number, 0)?;
            let less = aio.fits(&null, number, 1)?;
            seen(
                exact == [true; 3] && less == [false; 3],
                format!("they suffice: {exact:?}; a byte less each: {less:?}"),
            )
        }),
    },
    Claim {
        id: "aio-submit-writes-the-key-back",
        sentence: "io_submit(2) writes four bytes into the caller's iocb: the key, which \
            is zero.",
        chapter: "aio.md",
        kernels: All,
        source: "io_submit(2), aio_key; the kernel's KIOCB_KEY",
        counter: "it was zero before",
        check: linux!(|case| {
            let (aio, null) = (Aio::new(1)?, File::open("/dev/null")?);
            let read = Iocb::read(&null, Room::new(8, 0), 0).with_key(case.pick(!0, 0));
            aio.submit(&[read])?;
            let changed = aio.changed(&read);
            seen(changed == 4, format!("{changed} bytes have changed"))
        }),
    },
    Claim {
        id: "aio-event-signals-an-eventfd",
        sentence: "An operation with IOCB_FLAG_RESFD adds one to its eventfd when its \
            event is there.",
        chapter: "aio.md",
        kernels: All,
        source: "io_submit(2), IOCB_FLAG_RESFD, since Linux 2.6.22; eventfd(2)",
        counter: "without the flag",
        check: linux!(|case| {
            let (aio, null) = (Aio::new(1)?, File::open("/dev/null")?);
            let eventfd = nix::sys::eventfd::EventFd::new()?;
            let read = Iocb::read(&null, Room::new(8, 0), 0);
            aio.submit(&[case.pick(read.tell(&eventfd), read)])?;
            let told = readable(&eventfd, MOMENT);
            let events = aio.events(1, LONG)?.len();
            if events != 1 {
                return cannot("the event did not come");
            }
            either(told, "the eventfd is readable", "the eventfd is not readable")
        }),
    },
    Claim {
        id: "aio-destroy-waits",
        sentence: "io_destroy(2) returns when nothing is in flight any more: all buffers \
            are written.",
        chapter: "aio.md",
        kernels: All,
        source: "io_destroy(2); the kernel's wait_for_completion in it",
        counter: "it was not called",
        check: linux!(|case| {
            let file = direct(&synced(&vec![1; 32 * MIB])?)?;
            let aio = Aio::new(32)?;
            let rooms: Vec<Room> = (0..32).map(|_| Room::new(MIB, 0)).collect();
            let read = |(n, room): (i64, &Room)| Iocb::read(&file, *room, n * MIB as i64);
            let reads: Vec<Iocb> = (0..).zip(&rooms).map(read).collect();
            let taken = aio.submit(&reads)?;
            if taken != 32 {
                return cannot(format!("{taken} of 32 reads were taken"));
            }
            if case.is_counter() {
                std::mem::forget(aio);
            } else {
                aio.destroy()?;
            }
            let written = rooms.iter().filter(|room| room.last() == 1).count();
            seen(written == 32, format!("{written} of 32 buffers are written"))
        }),
    },
    Claim {
        id: "aio-destroy-sleeps",
        sentence: "io_destroy(2) of a context with nothing in flight puts its caller to \
            sleep.",
        chapter: "aio.md",
        kernels: All,
        source: "the kernel's kill_ioctx: the last reference goes after an RCU grace \
            period",
        counter: "io_setup(2)",
        check: linux!(|case| {
            let made = case.pick(Some(Aio::new(1)?), None);
            let before = counts();
            match made {
                Some(made) => made.destroy()?,
                None => std::mem::forget(Aio::new(1)?),
            }
            let slept = counts().voluntary - before.voluntary;
            seen(slept > 0, format!("{slept} voluntary context switches"))
        }),
    },
    Claim {
        id: "aio-cancel-of-a-file-read-is-einval",
        sentence: "io_cancel(2) cannot give up a read of a file that is in flight: \
            EINVAL.",
        chapter: "aio.md",
        kernels: All,
        source: "the kernel's io_cancel: only what is in active_reqs; nothing of files is",
        counter: "a poll, of which it answers EINPROGRESS",
        check: linux!(|case| {
            disk_takes_time()?;
            let file = direct(&synced(&vec![1; 16 << 20])?)?;
            let (ours, _theirs) = UnixStream::pair()?;
            let aio = Aio::new(1)?;
            aio.submit(&[match case {
                Case::Claimed => Iocb::read(&file, Room::new(16 << 20, 0), 0),
                Case::Counter => Iocb::poll(&ours),
            }])?;
            let answer = aio.cancel();
            if !aio.events(0, 0)?.is_empty() && !case.is_counter() {
                return cannot("the read was over before it could be given up");
            }
            seen(answer == Err(Errno::EINVAL), word(answer))
        }),
    },
    Claim {
        id: "aio-cancelled-poll-has-its-event",
        sentence: "The event of a poll that was given up comes nevertheless, with no \
            event of poll(2) in it.",
        chapter: "aio.md",
        kernels: All,
        source: "the kernel's io_cancel: the event is always delivered via the ring",
        counter: "it was not given up",
        check: linux!(|case| {
            let (ours, _theirs) = UnixStream::pair()?;
            let aio = Aio::new(1)?;
            aio.submit(&[Iocb::poll(&ours)])?;
            if !case.is_counter() && aio.cancel() != Err(Errno::EINPROGRESS) {
                return cannot("io_cancel did not take it");
            }
            let events = aio.events(1, MOMENT)?;
            seen(events == [0], format!("{events:?}"))
        }),
    },
    Claim {
        id: "aio-max-nr-limits-setup",
        sentence: "Contexts for more operations than fs.aio-max-nr, taken together, are \
            refused by io_setup(2) with EAGAIN.",
        chapter: "aio.md",
        kernels: All,
        source: "io_setup(2), EAGAIN; the kernel's ioctx_alloc",
        counter: "for one operation",
        check: linux!(|case| {
            let most = fs::read_to_string("/proc/sys/fs/aio-max-nr")?;
            let most: u32 = most.trim().parse()?;
            if most > 4_000_000 {
                return cannot(format!(
                    "{most} operations are allowed: more than one call takes"
                ));
            }
            let result = Aio::new(case.pick(most + 1, 1)).map(drop);
            seen(result == Err(Errno::EAGAIN), word(result))
        }),
    },
    Claim {
        id: "aio-poll-calls-files-ready",
        sentence: "IOCB_CMD_POLL calls a regular file ready, as poll(2) does.",
        chapter: "aio.md",
        kernels: All,
        source: "the kernel's vfs_poll: DEFAULT_POLLMASK for a file that has no poll",
        counter: "an empty pipe",
        check: linux!(|case| {
            let file = file(b"text")?;
            let (reader, _writer) = pipe()?;
            let aio = Aio::new(1)?;
            aio.submit(&[Iocb::poll(case.pick(file.as_fd(), reader.as_fd()))])?;
            let events = aio.events(1, MOMENT)?;
            seen(events == [1], format!("{events:?}"))
        }),
    },
    Claim {
        id: "aio-nowait-is-eagain-in-the-event",
        sentence: "With RWF_NOWAIT, a buffered read that would have to wait for the disk \
            has EAGAIN in its event.",
        chapter: "aio.md",
        kernels: All,
        source: "io_submit(2), RWF_NOWAIT, since Linux 4.14",
        counter: "the page is in the cache",
        check: linux!(|case| {
            attempt_is_told()?;
            let file = synced(&vec![1; 1 << 20])?;
            forget_pages(&file)?;
            if case.is_counter() {
                file.read_exact_at(&mut [0; 4096], 0)?;
            }
            let read = Iocb::read(&file, Room::new(4096, 0), 0).with(libc::RWF_NOWAIT);
            let (taken, event) = one(read)?;
            if event == Err(Errno::EOPNOTSUPP) {
                return cannot("this file system does not take RWF_NOWAIT");
            }
            let said = taken == Ok(1) && event == Err(Errno::EAGAIN);
            seen(said, format!("io_submit: {}; the event: {}", word(taken), word(event)))
        }),
    },
    Claim {
        id: "aio-extending-write-is-over-at-return",
        sentence: "On ext4, a write with O_DIRECT behind the end of the file is over when \
            io_submit(2) returns.",
        chapter: "aio.md",
        kernels: All,
        source: "the kernel's ext4_dio_write_iter: IOMAP_DIO_FORCE_WAIT where the file \
            is extended",
        counter: "over bytes that are there",
        check: linux!(|case| {
            use nix::sys::statfs::{EXT4_SUPER_MAGIC, fstatfs};
            let buffered = synced(&vec![1; TRIES * MIB])?;
            if fstatfs(&buffered)?.filesystem_type() != EXT4_SUPER_MAGIC {
                return cannot("the file is not on ext4");
            }
            let (file, room) = (direct(&buffered)?, Room::new(MIB, 2));
            let behind = case.pick(TRIES, 0);
            let write = |n| Iocb::write(&file, room, ((behind + n) * MIB) as i64);
            let over = over_at_return(write)?;
            seen(over == TRIES, were_over(over))
        }),
    },
    Claim {
        id: "aio-submit-waits-for-requests",
        sentence: "With more direct reads than the device's queue has requests, \
            io_submit(2) waits.",
        chapter: "aio.md",
        kernels: All,
        source: "the kernel's blk_mq_get_tag; /sys/block/…/queue/nr_requests",
        counter: "four reads",
        check: linux!(|case| {
            disk_takes_time()?;
            let file = direct(&synced(&vec![1; 64 << 20])?)?;
            let number = match queue(&file) {
                Some(queue @ 1..=1000) => case.pick((16 * queue).min(5_000), 4),
                Some(queue) => return cannot(format!("the queue has {queue} requests")),
                None => return cannot("how many requests the queue has is not told here"),
            };
            let room = Room::new(4096, 0);
            let read = |n| Iocb::read(&file, room, n * 3 * 4096);
            let reads: Vec<Iocb> = (0..number).map(read).collect();
            // Four may wait too: for what the file system has to look up, or behind others.
            let mut waits = i64::MAX;
            for _ in 0..5 {
                let aio = Aio::new(number as u32)?;
                let before = counts();
                aio.submit(&reads)?;
                waits = waits.min(counts().voluntary - before.voluntary);
            }
            seen(waits > 0, format!("{number} reads: it has waited {waits} times"))
        }),
    },
    Claim {
        id: "posix-aio-makes-a-thread",
        sentence: "aio_read(3) leaves the waiting to a thread of the C library.",
        chapter: "aio.md",
        kernels: All,
        source: "aio(7), Notes",
        counter: "IOCB_CMD_POLL by io_submit(2)",
        check: linux!(|case| {
            let (reader, _writer) = pipe()?;
            let threads = || fs::read_dir("/proc/self/task").map(Iterator::count);
            let before = threads()?;
            let aio = Aio::new(1)?;
            match case {
                Case::Claimed => raw_aio::posix_read(&reader)?,
                Case::Counter => drop(aio.submit(&[Iocb::poll(&reader)])?),
            }
            let more = until_in_time(|| threads().is_ok_and(|now| now > before));
            either(more, "there is one more", "there are no more than before")
        }),
    },
    Claim {
        id: "o-direct-wants-alignment",
        sentence: "Read with O_DIRECT into memory that begins at an odd address, a file \
            on a disk answers EINVAL.",
        chapter: "aio.md",
        kernels: All,
        source: "open(2), O_DIRECT, Notes",
        counter: "without O_DIRECT",
        check: linux!(|case| {
            use nix::sys::statfs::{EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC, fstatfs};
            let buffered = disk_file(&[1; 65_536])?;
            let kind = fstatfs(&buffered)?.filesystem_type();
            if ![EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC].contains(&kind) {
                return cannot("neither ext4 nor xfs; others may read it buffered");
            }
            let file = case.pick(direct(&buffered)?, buffered);
            let (_, event) = one(Iocb::read(&file, Room::beside(4096, 0, 1), 0))?;
            seen(event == Err(Errno::EINVAL), word(event))
        }),
    },
    Claim {
        id: "o-direct-read-ends-at-the-end",
        sentence: "A direct read that is longer than the file returns the bytes that \
            there are, also an odd number.",
        chapter: "aio.md",
        kernels: All,
        source: "read(2); the kernel's iomap_dio_complete, which cuts at the size",
        counter: "the file is as long as the read",
        check: linux!(|case| {
            let file = direct(&synced(&vec![1; case.pick(4097, 8192)])?)?;
            let (_, event) = one(Iocb::read(&file, Room::new(8192, 0), 0))?;
            seen(event == Ok(4097), word(event))
        }),
    },
    Claim {
        id: "o-direct-reads-leave-no-pages",
        sentence: "A direct read leaves nothing in the page cache: a buffered read after \
            it goes to the disk.",
        chapter: "aio.md",
        kernels: All,
        source: "open(2), O_DIRECT; getrusage(2), ru_inblock",
        counter: "a buffered read before it",
        check: linux!(|case| {
            let buffered = synced(&vec![1; 1 << 20])?;
            forget_pages(&buffered)?;
            let file = case.pick(direct(&buffered)?, buffered.try_clone()?);
            let _ = one(Iocb::read(&file, Room::new(1 << 20, 0), 0))?;
            let before = counts();
            buffered.read_exact_at(&mut vec![0; 1 << 20], 0)?;
            let blocks = counts().blocks_read - before.blocks_read;
            seen(blocks > 0, format!("{blocks} blocks of 512 bytes read from the disk"))
        }),
    },
    Claim {
        id: "tmpfs-takes-o-direct",
        sentence: "tmpfs takes O_DIRECT, and a buffer that begins at an odd address, too.",
        chapter: "aio.md",
        kernels: Since { version: (6, 6), before: "open(2) answers EINVAL" },
        source: "the kernel's shmem_file_open, FMODE_CAN_ODIRECT",
        counter: "a file of /proc, which has no direct reads",
        check: linux!(|case| {
            let flags = nix::sys::memfd::MFdFlags::empty();
            let memory = File::from(nix::sys::memfd::memfd_create(c"claims", flags)?);
            memory.write_all_at(&[1; 4096], 0)?;
            let file = case.pick(memory, File::open("/proc/self/status")?);
            match reopen(&file) {
                Err(errno) => seen(false, word::<()>(Err(errno))),
                Ok(file) => {
                    let (_, event) = one(Iocb::read(&file, Room::beside(100, 0, 1), 0))?;
                    seen(event == Ok(100), word(event))
                }
            }
        }),
    },
    Claim {
        id: "statx-tells-dioalign",
        sentence: "statx(2) tells what direct reads of a file on ext4 or xfs are to be \
            aligned to, and says in its mask that it does.",
        chapter: "aio.md",
        kernels: Since { version: (6, 1), before: "the bit is not set in the mask" },
        source: "statx(2), STATX_DIOALIGN, since Linux 6.1",
        counter: "a pipe",
        check: linux!(|case| {
            use nix::sys::statfs::{EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC, fstatfs};
            use rustix::fs::{AtFlags, StatxFlags, statx};
            let file = disk_file(b"text")?;
            let kind = fstatfs(&file)?.filesystem_type();
            if ![EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC].contains(&kind) {
                return cannot("neither ext4 nor xfs");
            }
            let (reader, _writer) = pipe()?;
            let asked = case.pick(file.as_fd(), reader.as_fd());
            let found = statx(asked, c"", AtFlags::EMPTY_PATH, StatxFlags::DIOALIGN)?;
            let told = found.stx_mask & StatxFlags::DIOALIGN.bits() != 0;
            let (memory, file) = (found.stx_dio_mem_align, found.stx_dio_offset_align);
            seen(
                told,
                format!("in the mask: {told}; {memory} in memory, {file} in the file"),
            )
        }),
    },
];

/// A file on a disk, of which the disk has all.
#[cfg(target_os = "linux")]
fn synced(bytes: &[u8]) -> Result<File, Cannot> {
    let file = disk_file(bytes)?;
    file.sync_all()?;
    Ok(file)
}

/// The same file, opened with O_DIRECT.
#[cfg(target_os = "linux")]
fn direct(file: &File) -> Result<File, Cannot> {
    reopen(file)
        .or_else(|errno| cannot(format!("this file system has no O_DIRECT: {errno}")))
}

#[cfg(target_os = "linux")]
fn reopen(file: &File) -> nix::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    let mut options = File::options();
    options.read(true).custom_flags(libc::O_DIRECT);
    let writable = options.clone().write(true).open(&path);
    writable.or_else(|_| options.open(&path)).map_err(|error| errno(&error))
}

/// Submits one operation: how many io_submit(2) has taken, and what its event says.
#[cfg(target_os = "linux")]
fn one(iocb: Iocb) -> Result<(nix::Result<usize>, nix::Result<i64>), Cannot> {
    let aio = Aio::new(1)?;
    let taken = aio.submit(&[iocb]);
    if taken != Ok(1) {
        return Ok((taken, Err(Errno::UnknownErrno)));
    }
    let Some(&result) = aio.events(1, LONG)?.first() else {
        return cannot("the event did not come");
    };
    let event = if result < 0 { Err(Errno::from_raw(-result as i32)) } else { Ok(result) };
    Ok((taken, event))
}

/// In how many of [`TRIES`] reads from the disk the event is there when io_submit(2) returns.
#[cfg(target_os = "linux")]
fn reads_over_at_return(o_direct: bool) -> Result<usize, Cannot> {
    let buffered = synced(&vec![1; TRIES * MIB])?;
    forget_pages(&buffered)?;
    let file = if o_direct { direct(&buffered)? } else { buffered };
    over_at_return(|n| Iocb::read(&file, Room::new(MIB, 0), (n * MIB) as i64))
}

#[cfg(target_os = "linux")]
const MIB: usize = 1 << 20;
#[cfg(target_os = "linux")]
const TRIES: usize = 8;

/// In how many of [`TRIES`] operations of a MiB, one after another, the event is there when
/// io_submit(2) returns. A disk may be faster than we look, but not each time.
#[cfg(target_os = "linux")]
fn over_at_return(operation: impl Fn(usize) -> Iocb) -> Result<usize, Cannot> {
    disk_takes_time()?;
    let aio = Aio::new(1)?;
    let mut over = 0;
    for n in 0..TRIES {
        aio.submit(&[operation(n)])?;
        let there = aio.events(0, 0)?;
        over += there.len();
        let result = if there.is_empty() { aio.events(1, LONG)? } else { there };
        if result != [MIB as i64] {
            return cannot(format!("an event says {result:?}"));
        }
    }
    Ok(over)
}

/// Its result in words.
#[cfg(target_os = "linux")]
fn were_over(over: usize) -> String {
    format!("{over} of {TRIES} were over when io_submit returned")
}

/// Whether io_submit(2), of a poll or of a read of an empty socket, returns after the other
/// side has written.
#[cfg(target_os = "linux")]
fn waits_in_submit(poll: bool) -> Result<bool, Cannot> {
    use std::sync::atomic::AtomicBool;
    static WRITTEN: AtomicBool = AtomicBool::new(false);
    let (ours, theirs) = UnixStream::pair()?;
    let aio = Aio::new(1)?;
    let peer = thread::spawn(move || {
        thread::sleep(ms(MOMENT));
        WRITTEN.store(true, SeqCst);
        send(&theirs, b"hello");
        theirs
    });
    let read = Iocb::read(&ours, Room::new(64, 0), 0);
    aio.submit(&[if poll { Iocb::poll(&ours) } else { read }])?;
    let after = WRITTEN.load(SeqCst);
    let events = aio.events(1, LONG)?.len();
    if events != 1 || !WRITTEN.load(SeqCst) {
        return cannot("the event did not come with the bytes");
    }
    let _theirs = peer.join();
    Ok(after)
}

/// Waits for a moment until this is so.
#[cfg(target_os = "linux")]
fn until_in_time(mut so: impl FnMut() -> bool) -> bool {
    (0..MOMENT / 2).any(|_| {
        thread::sleep(ms(2));
        so()
    })
}

/// How many requests the queue of the file's device has.
#[cfg(target_os = "linux")]
fn queue(file: &File) -> Option<i64> {
    use std::os::unix::fs::MetadataExt;
    let device = file.metadata().ok()?.dev();
    let (major, minor) = (nix::sys::stat::major(device), nix::sys::stat::minor(device));
    ["queue", "../queue"].iter().find_map(|queue| {
        let path = format!("/sys/dev/block/{major}:{minor}/{queue}/nr_requests");
        fs::read_to_string(path).ok()?.trim().parse().ok()
    })
}

/// Has the kernel drop the pages of a file that the disk has.
#[cfg(target_os = "linux")]
fn forget_pages(file: &File) -> nix::Result<()> {
    use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
    posix_fadvise(file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED)
}
