//! Every seed of `ftp`, cut at every point.

mod support;

#[test]
fn a_session_says_the_same_wherever_its_bytes_are_cut() {
    support::replay("ftp", fuzz::ftp);
}
