//! Every seed of `http1`, cut at every point.

mod support;

#[test]
fn a_client_is_answered_the_same_wherever_its_bytes_are_cut() {
    support::replay("http1", fuzz::http1);
}
