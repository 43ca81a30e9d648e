//! Dates as HTTP writes them (RFC 9110 section 5.6.7), and the last few that were written.
//!
//! Each response has two: when it was made, which changes once a second, and when the file
//! changed last, which hardly ever does. To work out the same day of the week a hundred
//! thousand times a second was a sixth of what this crate costs.

use std::cell::Cell;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The last second that HTTP's four digits for the year can say: a file may claim any.
const LAST: u64 = 253_402_300_799;
/// Dates of how many files are remembered: a power of two.
const REMEMBERED: usize = 8;

/// Seconds since the epoch, and `Sun, 06 Nov 1994 08:49:37 GMT`.
type Date = (u64, [u8; 29]);

const EPOCH: Date = (0, *b"Thu, 01 Jan 1970 00:00:00 GMT");

thread_local! {
    // Each thread its own, so that nobody waits for a lock. The epoch is right from the start.
    static NOW: Cell<Date> = const { Cell::new(EPOCH) };
    static OF_FILES: [Cell<Date>; REMEMBERED] = const {
        [const { Cell::new(EPOCH) }; REMEMBERED]
    };
}

/// Appends the date of now, in whole seconds. (What is not after the epoch is the epoch, and
/// what is after the year 9999 its last second.)
pub(crate) fn write_now(out: &mut Vec<u8>, time: SystemTime) {
    NOW.with(|place| write_at(place, out, seconds(time)));
}

/// Appends the date of a file in the same way.
pub(crate) fn write(out: &mut Vec<u8>, time: SystemTime) {
    let seconds = seconds(time);
    OF_FILES.with(|places| write_at(&places[seconds as usize % REMEMBERED], out, seconds));
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()).min(LAST)
}

fn write_at(place: &Cell<Date>, out: &mut Vec<u8>, seconds: u64) {
    let (mut known, mut text) = place.get();
    if known != seconds {
        let date = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds));
        known = seconds;
        text.copy_from_slice(date.as_bytes());
        place.set((known, text));
    }
    out.extend_from_slice(&text);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(seconds: u64) -> String {
        let mut out = Vec::new();
        write(&mut out, UNIX_EPOCH + Duration::from_secs(seconds));
        String::from_utf8(out).expect("ASCII")
    }

    #[test]
    fn a_date_is_written_as_the_example_of_the_rfc() {
        assert_eq!(written(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(written(0), "Thu, 01 Jan 1970 00:00:00 GMT");
    }

    #[test]
    fn a_file_of_the_year_10000_has_the_last_date_that_can_be_written() {
        assert_eq!(written(300_000_000_000), "Fri, 31 Dec 9999 23:59:59 GMT");
        assert_eq!(written(LAST), written(LAST + 1));
    }

    #[test]
    fn a_file_from_before_the_epoch_is_of_the_epoch() {
        let mut out = Vec::new();
        write(&mut out, UNIX_EPOCH - Duration::from_secs(1));
        assert_eq!(out, written(0).into_bytes());
    }

    #[test]
    fn what_is_remembered_is_of_its_second_and_of_no_other() {
        // Twice, and more of them than are remembered, so that they take each other's places.
        for seconds in (0..40).chain(0..40).map(|n| n * 7_777_777) {
            let date = UNIX_EPOCH + Duration::from_secs(seconds);
            assert_eq!(written(seconds), httpdate::fmt_http_date(date));
            assert_eq!(written(seconds), httpdate::fmt_http_date(date), "and again");
            let mut now = Vec::new();
            write_now(&mut now, date);
            assert_eq!(now, written(seconds).into_bytes());
        }
    }
}
