//! What an FTP server meets: urgent bytes, and folders.

use crate::Claim;
use crate::Kernels::All;
#[cfg(target_os = "linux")]
use {
    crate::kit::*,
    crate::raw_ring::{Flags, Ring},
    nix::fcntl::{OpenHow, openat, openat2},
    nix::sys::stat::Mode,
    nix::sys::statfs::{EXT4_SUPER_MAGIC, fstatfs},
    rustix::io::{ReadWriteFlags, preadv2, pwritev2},
};

/// The claims of this file.
pub const CLAIMS: &[Claim] = &[
    Claim {
        id: "urgent-byte-is-left-out",
        sentence: "The last byte that is sent with MSG_OOB is not among those that a read \
            returns.",
        chapter: "ftp.md",
        kernels: All,
        source: "tcp(7); socket(7), SO_OOBINLINE",
        counter: "SO_OOBINLINE is set",
        check: linux!(|case| {
            let (client, mut server) = connection()?;
            setsockopt(&server, sockopt::OobInline, &case.is_counter())?;
            socket::send(client.as_raw_fd(), b"ABOR\r\n", MsgFlags::MSG_OOB)?;
            drop(client);
            let mut got = Vec::new();
            server.read_to_end(&mut got)?;
            seen(got == b"ABOR\r", format!("{} of 6 bytes", got.len()))
        }),
    },
    Claim {
        id: "openat2-refuses-what-means-nothing",
        sentence: "openat2(2) refuses a flag that has no meaning beside the others, such as \
            O_NONBLOCK beside O_PATH, with EINVAL.",
        chapter: "ftp.md",
        kernels: All,
        source: "openat2(2)",
        counter: "openat(2) is called, which ignores it",
        check: linux!(|case| {
            let flags = OFlag::O_PATH | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
            let folder = File::open("/")?;
            let opened = match case.is_counter() {
                false => openat2(&folder, ".", OpenHow::new().flags(flags)),
                true => openat(&folder, ".", flags, Mode::empty()),
            };
            let refused = opened.as_ref().err() == Some(&Errno::EINVAL);
            if opened.as_ref().err() == Some(&Errno::ENOSYS) {
                return cannot("openat2: ENOSYS, perhaps by a seccomp filter");
            }
            seen(refused, word(opened.map(drop)))
        }),
    },
    Claim {
        id: "ring-reads-no-folder",
        sentence: "A read of a folder completes with EISDIR: a ring has no operation in place \
            of getdents64(2).",
        chapter: "ftp.md",
        kernels: All,
        source: "read(2); io_uring_enter(2), which lists the operations",
        counter: "it is a file",
        check: linux!(|case| {
            let place = if case.is_counter() { file(b"hello")? } else { File::open("/")? };
            let mut ring = Ring::new(4)?;
            ring.read(&place, 64, Flags::empty(), 1);
            let done = ring.take_all(1)?;
            seen(done == [(1, Err(Errno::EISDIR))], format!("{done:?}"))
        }),
    },
    Claim {
        id: "nowait-write-is-refused-on-ext4",
        sentence: "On ext4, pwritev2(2) with RWF_NOWAIT to a file that was opened without \
            O_DIRECT fails with EOPNOTSUPP, though the page is in memory.",
        chapter: "ftp.md",
        kernels: All,
        source: "pwritev2(2), EOPNOTSUPP; the kernel's ext4_buffered_write_iter",
        counter: "it is a read",
        check: linux!(|case| {
            let file = disk_file(&[1; 4096])?;
            if fstatfs(&file)?.filesystem_type() != EXT4_SUPER_MAGIC {
                return cannot("the folder for files on a disk is not on ext4");
            }
            let now = ReadWriteFlags::NOWAIT;
            let result = match case {
                Case::Claimed => pwritev2(&file, &[io::IoSlice::new(&[2; 512])], 0, now),
                Case::Counter => {
                    preadv2(&file, &mut [io::IoSliceMut::new(&mut [0; 512])], 0, now)
                }
            };
            let result = result.map_err(|error| Errno::from_raw(error.raw_os_error()));
            seen(result == Err(Errno::EOPNOTSUPP), word(result))
        }),
    },
];
