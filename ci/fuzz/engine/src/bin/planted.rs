//! A reader of lines that does not see a line end across a cut: it is found, or the fuzzer
//! does not work. `ci/fuzz.sh` begins with it.
#![no_main]

use fuzz::{Step, read};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some(steps) = read(input, 4096) else { return };
    let pieces = steps.iter().filter_map(|step| match step {
        Step::Bytes(piece) => Some(piece.as_slice()),
        Step::Do(_) => None,
    });
    let pieces: Vec<&[u8]> = pieces.collect();
    assert_eq!(lines(&pieces), lines(&[&pieces.concat()]), "lines");
});

fn lines(pieces: &[&[u8]]) -> usize {
    pieces.iter().map(|piece| piece.windows(2).filter(|two| *two == b"\r\n").count()).sum()
}
