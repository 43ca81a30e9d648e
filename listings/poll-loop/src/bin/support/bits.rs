//! The bits of poll(2) in words, for the experiments that show them.

use libc::{POLLERR, POLLHUP, POLLIN, POLLNVAL, POLLOUT, POLLRDHUP, c_short};

const NAMES: [(c_short, &str); 6] = [
    (POLLIN, "IN"),
    (POLLOUT, "OUT"),
    (POLLRDHUP, "RDHUP"),
    (POLLERR, "ERR"),
    (POLLHUP, "HUP"),
    (POLLNVAL, "NVAL"),
];

/// The names of those that are set, without the POLL in front of each.
pub fn in_words(bits: c_short) -> String {
    let set: Vec<_> =
        NAMES.iter().filter(|(bit, _)| bits & bit != 0).map(|(_, name)| *name).collect();
    if set.is_empty() { "-".to_owned() } else { set.join(" ") }
}
