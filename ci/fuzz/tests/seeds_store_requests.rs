//! Every seed of the store's requests, cut at every point.
#![cfg(target_os = "linux")]

mod support;

#[test]
fn requests_are_the_same_wherever_they_are_cut() {
    support::replay("store-requests", fuzz::store_requests);
}
