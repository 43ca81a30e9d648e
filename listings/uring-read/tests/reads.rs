//! The right bytes: at every depth, to the end of odd files, registered or not, past the
//! page cache or through it.
#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use uring_read::scratch::{Scratch, pattern};
use uring_read::{Block, Options, Reads, Trouble};

fn scratch(bytes: usize) -> Scratch {
    // The build's own folder: more often on a disk than the one for temporary files.
    Scratch::new(Path::new(env!("CARGO_TARGET_TMPDIR")), bytes).expect("a file")
}

/// `None`, and a line that says why, where there is no ring.
fn reads(file: File, options: Options) -> Option<Reads> {
    match Reads::new(file, options) {
        Ok(reads) => Some(reads),
        Err(trouble @ (Trouble::Setup(_) | Trouble::Buffers(_))) => {
            flags::skipped(trouble);
            None
        }
        Err(other) => panic!("{other}"),
    }
}

/// Reads a file of `bytes` bytes to its end, each block at most once, and compares.
fn read_all(file: File, bytes: usize, options: Options) {
    let Some(mut reads) = reads(file, options) else { return };
    let (mut next, mut found, mut most) = (0, BTreeMap::new(), 0);
    let blocks = bytes.div_ceil(options.block) + 1; // one behind the end
    loop {
        while next < blocks && reads.ask((next * options.block) as u64) {
            next += 1;
        }
        most = most.max(options.depth as usize - reads.room());
        let Some(block) = reads.wait().expect("the file can be read") else { break };
        let again = found.insert(block.at as usize, block.bytes().to_vec());
        assert!(again.is_none(), "{} came twice", block.at);
        reads.give_back(block);
    }
    assert_eq!(most, blocks.min(options.depth as usize), "{options:?}");
    let whole: Vec<u8> = found.into_values().flatten().collect();
    assert!(whole == pattern(0, bytes), "{bytes} bytes, {options:?}: other bytes");
}

const ODD: [usize; 8] = [0, 1, 511, 512, 513, 4097, 100_000, 262_144];

#[test]
fn through_the_cache_every_byte_arrives() {
    for bytes in ODD {
        let scratch = scratch(bytes);
        for (depth, block) in [(1, 4096), (3, 1000), (32, 512), (64, 65_536)] {
            for fixed in [false, true] {
                scratch.forget().expect("advice");
                let file = scratch.buffered.try_clone().expect("a descriptor");
                read_all(file, bytes, Options { depth, block, unit: 1, fixed });
            }
        }
    }
}

#[test]
fn past_the_cache_every_byte_arrives() {
    for bytes in ODD {
        let direct = match scratch(bytes).direct {
            Ok(direct) => direct,
            Err(error) => {
                return flags::skipped(format_args!("O_DIRECT is refused here: {error}"));
            }
        };
        for (depth, block) in [(1, 4096), (8, 4096), (64, 65_536)] {
            for fixed in [false, true] {
                let file = direct.try_clone().expect("a descriptor");
                read_all(file, bytes, Options { depth, block, unit: 512, fixed });
            }
        }
    }
}

#[test]
fn a_read_that_fails_is_told_and_the_others_go_on() {
    let options = Options { depth: 4, block: 512, unit: 1, fixed: false };
    let folder = File::open(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let Some(mut reads) = reads(folder, options) else { return };
    for n in 0..3 {
        assert!(reads.ask(n * 512));
    }
    for _ in 0..3 {
        let error = reads.wait().expect_err("a folder cannot be read");
        assert_eq!(error.kind(), std::io::ErrorKind::IsADirectory);
    }
    assert!(reads.wait().expect("nothing is wrong any more").is_none());
    assert_eq!(reads.room(), 4);
}

#[test]
fn the_depth_is_kept_and_a_call_serves_all_of_it() {
    let options = Options { depth: 16, block: 512, unit: 1, fixed: false };
    let Some(mut reads) = reads(scratch(16 * 512).buffered, options) else { return };
    for n in 0..16 {
        assert!(reads.ask(n * 512));
    }
    assert!(!reads.ask(0), "more than the depth");
    let blocks: Vec<Block> =
        (0..16).map(|_| reads.wait().expect("bytes").expect("asked for")).collect();
    assert!(blocks.iter().all(|block| block.bytes().len() == 512));
    // One, if the file was cached; each further call has waited for at least one.
    assert!((1..=16).contains(&reads.calls()), "{} calls", reads.calls());
}
