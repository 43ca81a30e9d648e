//! Files of any length, read at any depth, have the bytes that `std::fs::read` finds.

#![cfg(target_os = "linux")]

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::process::Command;

use aio_direct::scratch::pattern;
use aio_direct::{
    Alignment, Next, Piece, Reads, Target, Teller, Trouble, by_trial, from_statx, judge,
};
use tempfile::NamedTempFile;

const SIZES: [usize; 12] =
    [0, 1, 511, 512, 513, 4095, 4096, 4097, 8192, 65_535, 1 << 20, (1 << 20) + 513];

/// The build's own folder: more often on a disk than the one for temporary files.
fn file(bytes: usize) -> NamedTempFile {
    let file = NamedTempFile::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    fs::write(&file, pattern(0, bytes)).unwrap();
    file
}

/// Opens it; None, with a line, where the file system has no direct reads.
fn open(path: &Path, buffered: bool) -> Option<Target> {
    match Target::open(path, buffered) {
        Ok(target) => Some(target),
        Err(Trouble::Refused(_)) => {
            flags::skipped(format_args!("no direct reads in {}", path.display()));
            None
        }
        Err(Trouble::Failed(error)) => panic!("{error}"),
    }
}

/// What `Reads` finds in a file.
fn read(target: &Target, depth: u32, block: usize) -> Vec<u8> {
    let mut reads = match Reads::new(target, depth, block) {
        Ok(reads) => reads,
        Err(trouble) => panic!("{trouble}"),
    };
    let mut found = vec![0; target.size as usize];
    let mut seen = BTreeSet::new();
    let all = target.pieces(block.next_multiple_of(target.alignment.file));
    let result = reads.run(all, |piece, bytes| {
        assert!(seen.insert(piece.offset), "{piece:?} came twice");
        found[piece.offset as usize..][..bytes.len()].copy_from_slice(bytes);
    });
    assert!(result.is_ok(), "{result:?}");
    found
}

#[test]
fn a_file_of_any_length_is_read_whole_at_any_depth() {
    for size in SIZES {
        let file = file(size);
        let wanted = fs::read(&file).unwrap();
        assert_eq!(wanted.len(), size);
        for buffered in [false, true] {
            let Some(target) = open(file.path(), buffered) else { return };
            for (depth, block) in
                [(1, 512), (1, 4096), (3, 4096), (32, 4096), (8, 65_536), (200, 1 << 20)]
            {
                let found = read(&target, depth, block);
                assert!(found == wanted, "{size} bytes, {buffered} {depth} {block}");
            }
        }
    }
}

#[test]
fn a_file_that_becomes_shorter_is_an_error_and_not_a_wait() {
    for (size, left) in [(65_536, 0), (65_536, 4096), (65_536, 5000), (4097, 513)] {
        for depth in [1, 4] {
            let file = file(size);
            let Some(target) = open(file.path(), false) else { return };
            file.as_file().set_len(left).unwrap();
            let mut reads = Reads::new(&target, depth, 4096)
                .unwrap_or_else(|trouble| panic!("{trouble}"));
            let mut bytes = 0;
            let result = reads.run(target.pieces(4096), |_, piece| bytes += piece.len());
            match result {
                Err(Trouble::Failed(error)) => {
                    assert_eq!(error.kind(), ErrorKind::UnexpectedEof, "{size} {left}");
                }
                other => panic!("{size} cut to {left}: {other:?}"),
            }
            assert!(bytes as u64 <= left, "{size} {left}: {bytes}");
        }
    }
}

#[test]
fn statx_and_trial_agree_on_what_works() {
    let file = file(65_536);
    if open(file.path(), false).is_none() {
        return;
    }
    let direct =
        OpenOptions::new().read(true).custom_flags(libc::O_DIRECT).open(&file).unwrap();
    let tried = by_trial(|buffer| direct.read_at(buffer, 0)).unwrap();
    assert!(tried.is_power_of_two() && tried >= 512, "{tried}");
    match from_statx(&direct).unwrap() {
        Some((memory, unit)) => {
            let told = Alignment::of(&direct).unwrap();
            assert_eq!(told, Alignment { memory, file: unit, told_by: Teller::Statx });
            // What works by trial is a multiple of what is told; a trial begins at 512.
            assert_eq!(tried % unit, 0, "{told}; {tried}");
            assert!(tried <= unit.max(memory).max(512), "{told}; {tried}");
        }
        None => flags::skipped(format_args!("statx does not tell the alignment here")),
    }
}

/// What a disk answers to a read at offset 0.
fn disk(
    memory: usize,
    length: usize,
    everywhere: bool,
) -> impl FnMut(&mut [u8]) -> io::Result<usize> {
    let page = rustix::param::page_size();
    move |buffer| {
        let address = buffer.as_ptr().addr();
        // Some kernels do not look at an address if the read stays within a page.
        let is_looked_at = everywhere || address % page + buffer.len() > page;
        let is_wrong = buffer.len() % length != 0
            || buffer.is_empty()
            || is_looked_at && address % memory != 0;
        match is_wrong {
            true => Err(io::Error::from_raw_os_error(libc::EINVAL)),
            false => Ok(buffer.len()),
        }
    }
}

#[test]
fn a_trial_finds_what_a_disk_wants() {
    for everywhere in [true, false] {
        for (memory, length) in [
            (512, 512),
            (4, 512),
            (4096, 512),
            (512, 4096),
            (2048, 1024),
            (4096, 4096),
            (65_536, 65_536),
        ] {
            let unit = by_trial(disk(memory, length, everywhere)).unwrap();
            let wants =
                format!("a disk that wants {memory} in memory, {length} in the file");
            assert_eq!(unit, memory.max(length), "{wants}; everywhere: {everywhere}");
        }
    }
    let nothing = by_trial(disk(1 << 30, 512, true)).unwrap_err();
    assert_eq!(nothing.raw_os_error(), Some(libc::EOPNOTSUPP));
}

#[test]
fn a_trial_of_what_cannot_be_read_says_why() {
    let folder = fs::File::open("/").unwrap();
    let error =
        by_trial(|buffer| folder.read_at(buffer, 0)).expect_err("a folder is not read");
    assert_eq!(error.raw_os_error(), Some(libc::EISDIR));
}

#[test]
fn a_file_that_is_not_direct_has_no_dioalign_to_obey() {
    // A pipe and a file of /proc: their numbers are 0, and the bit is not set.
    let (reader, _writer) = io::pipe().unwrap();
    let pipe = fs::File::from(std::os::fd::OwnedFd::from(reader));
    assert_eq!(from_statx(&pipe).unwrap(), None);
    assert_eq!(from_statx(&fs::File::open("/proc/self/status").unwrap()).unwrap(), None);
}

#[test]
fn every_length_that_an_event_may_have_is_understood() {
    for expected in [0_usize, 1, 511, 512, 513, 4096, 4097] {
        for n in 0..=expected.next_multiple_of(512) + 1 {
            let mut piece = Piece::new(0, expected, 512);
            let next = judge(&mut piece, Ok(n), 512);
            match next {
                Next::Whole => {
                    assert!((expected..=piece.asked).contains(&n));
                }
                Next::Again => {
                    assert!((1..expected).contains(&n));
                    assert_eq!(piece.have, n / 512 * 512);
                }
                Next::Failed(error) if n == 0 && expected > 0 => {
                    assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
                }
                Next::Failed(error) => {
                    assert!(n > piece.asked, "{expected} {n}");
                    assert_eq!(error.kind(), ErrorKind::InvalidData);
                }
            }
        }
    }
}

#[test]
fn what_came_before_counts() {
    let mut piece = Piece::new(0, 8192, 512);
    assert!(matches!(judge(&mut piece, Ok(4500), 512), Next::Again));
    assert_eq!(piece.have, 4096);
    assert!(matches!(judge(&mut piece.clone(), Ok(4096), 512), Next::Whole));
    assert!(matches!(judge(&mut piece.clone(), Ok(4097), 512), Next::Failed(_)));
    assert!(matches!(judge(&mut piece, Ok(1000), 512), Next::Again));
    assert_eq!(piece.have, 4608);
}

#[test]
fn every_error_that_an_event_may_have_ends_the_read_or_asks_again() {
    for errno in 1..=133 {
        let mut piece = Piece::new(0, 4096, 512);
        let error = || Err(io::Error::from_raw_os_error(errno));
        let again = [libc::EAGAIN, libc::EINTR].contains(&errno);
        match judge(&mut piece, error(), 512) {
            Next::Again => assert!(again, "errno {errno} is not to be asked again"),
            Next::Failed(error) => {
                assert!(!again, "errno {errno} is to be asked again");
                assert_eq!(error.raw_os_error(), Some(errno));
            }
            Next::Whole => panic!("{errno}: whole"),
        }
        // Whoever asks again for ever has no end.
        let given_up =
            (0..100).any(|_| matches!(judge(&mut piece, error(), 512), Next::Failed(_)));
        assert!(given_up, "{errno}");
    }
}

/// How often in a row something that brings nothing is tried once more.
fn tried_again(piece: &mut Piece, result: impl Fn() -> io::Result<usize>) -> usize {
    let is_again = |_: &i32| matches!(judge(piece, result(), 512), Next::Again);
    (0..100).take_while(is_again).count()
}

#[test]
fn a_read_that_makes_no_progress_is_given_up() {
    let mut piece = Piece::new(0, 4096, 512);
    assert_eq!(tried_again(&mut piece, || Ok(100)), 7, "eight attempts, of 100 bytes each");
    let mut piece = Piece::new(0, 4096, 512);
    let interrupted = || Err(ErrorKind::Interrupted.into());
    assert_eq!(tried_again(&mut piece, interrupted), 7, "eight attempts, interrupted");
}

#[test]
fn a_read_that_makes_progress_is_not_given_up() {
    let mut piece = Piece::new(0, 65_536, 512);
    for part in 1..128 {
        for result in [Err(ErrorKind::Interrupted.into()), Ok(100), Ok(512)] {
            let next = judge(&mut piece, result, 512);
            assert!(matches!(next, Next::Again), "part {part} of 128: {next:?}");
        }
        assert_eq!(piece.have, part * 512);
    }
    assert!(matches!(judge(&mut piece, Ok(512), 512), Next::Whole));
}

#[test]
fn the_program_reads_files_of_odd_sizes() {
    for size in [1, 513, 4097] {
        let file = file(size);
        if open(file.path(), false).is_none() {
            return;
        }
        let output = Command::new(env!("CARGO_BIN_EXE_aio-direct"))
            .arg(file.path())
            .args(["--seconds", "1", "--depth", "2"])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{said}");
        assert!(said.contains("reads a second"), "{said}");
    }
}
