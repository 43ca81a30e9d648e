//! Every seed of the store's replies, cut at every point.

mod support;

#[test]
fn replies_are_the_same_wherever_they_are_cut() {
    support::replay("store-pipe", fuzz::store_pipe);
}
