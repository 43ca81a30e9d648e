#![no_main]

use libfuzzer_sys::Corpus;

libfuzzer_sys::fuzz_target!(|input: &[u8]| -> Corpus {
    if fuzz::is_worth_it(input) && fuzz::ftp(input) {
        Corpus::Keep
    } else {
        Corpus::Reject
    }
});
