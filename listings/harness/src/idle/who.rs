//! Who keeps connections open, how many of them, and what must be said about it.

use crate::server::{Origin, Server};

/// Bytes of user memory that an event loop may take for an idle connection.
const FLOOR: f64 = 2048.0;

/// All that can keep a client for little, and the two with a thread for each. A pool of
/// processes would take a process for each, and those that close have nobody who is idle.
pub const NAMES: [&str; 9] = [
    "select-loop",
    "poll-loop",
    "epoll-loop",
    "uring-loop",
    "executor",
    "executor-uring",
    "threaded",
    "prethreaded",
    "nginx",
];

/// A server that is measured.
#[derive(Clone, Debug)]
pub struct Who {
    /// With the flags that it needs for so many.
    pub server: Server,
    /// How many it gets.
    pub connections: usize,
    /// What is to be known of its figure.
    pub caveat: Option<&'static str>,
}

/// A minute is not enough to open 15,000 on a machine that is slow.
const NOBODY_LEAVES: [&str; 2] = ["--header-timeout", "86400000"];

impl Who {
    /// One of [`NAMES`], with so many connections, or with so many threads where each has one.
    ///
    /// # Errors
    /// One line: it keeps nobody.
    pub fn named(name: &str, connections: usize, threads: usize) -> Result<Self, String> {
        if !NAMES.contains(&name) {
            let names = NAMES.join(", ");
            return Err(format!(
                "{name} keeps no connection for nothing; choose of {names}"
            ));
        }
        let mut who = Self { server: Server::named(name)?, connections, caveat: None };
        who.connections = connections.min(who.server.most_clients.unwrap_or(connections));
        let Origin::Ours { flags, .. } = &mut who.server.origin else { return Ok(who) };
        flags.extend(NOBODY_LEAVES.map(str::to_owned));
        // Some more than there are connections: for the first request, and so that nobody
        // queues, for whom a pool would close another one.
        let places = (connections.min(threads) + 8).to_string();
        match name {
            "threaded" => flags.extend(["--max-connections".into(), places]),
            "prethreaded" => flags.extend(["--workers".into(), places]),
            _ => return Ok(who),
        }
        who.connections = connections.min(threads);
        who.caveat = Some(match name {
            "threaded" => "a thread for each connection",
            _ => {
                "its threads were there before: what they take without a client is not counted"
            }
        });
        Ok(who)
    }

    /// How many may come at the same time: where a worker hears that others queue, it closes
    /// the connection of whoever it has served.
    #[must_use]
    pub fn at_a_time(&self) -> usize {
        if self.server.at_once.is_some() { 1 } else { 100 }
    }

    /// What a connection may take: said of the event loops of the book.
    #[must_use]
    pub fn floor(&self) -> Option<f64> {
        let is_ours = matches!(self.server.origin, Origin::Ours { .. });
        (is_ours && self.caveat.is_none()).then_some(FLOOR)
    }
}

/// What else needs descriptors, in the server and here.
const BESIDE: u64 = 100;
/// More than that says no more.
const MOST: u64 = 15_000;

/// As many as the limit on descriptors allows, which both ends have.
#[must_use]
pub fn how_many(descriptors: Option<u64>) -> usize {
    descriptors.unwrap_or(u64::MAX).saturating_sub(BESIDE).clamp(1, MOST) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_as_many_as_descriptors_allow() {
        assert_eq!(how_many(Some(1024)), 924);
        assert_eq!(how_many(Some(20_000)), 15_000);
        assert_eq!(how_many(None), 15_000);
        assert_eq!(how_many(Some(50)), 1);
    }

    #[test]
    fn each_gets_what_it_can_keep() {
        let who = |name: &str| Who::named(name, 15_000, 1000).unwrap();
        let number = |name: &str| who(name).connections;
        assert_eq!((number("epoll-loop"), number("nginx")), (15_000, 15_000));
        assert_eq!((number("select-loop"), number("threaded")), (992, 1000));
        assert_eq!(
            (who("poll-loop").at_a_time(), who("prethreaded").at_a_time()),
            (100, 1)
        );
        assert_eq!(Who::named("prethreaded", 300, 1000).unwrap().connections, 300);
        let line = |name: &str| who(name).server.to_string();
        assert_eq!(
            line("threaded"),
            "threaded --header-timeout 86400000 --max-connections 1008"
        );
        assert_eq!(
            line("prethreaded"),
            "prethreaded --header-timeout 86400000 --workers 1008"
        );
        assert_eq!(
            line("executor-uring"),
            "executor --over io_uring --header-timeout 86400000"
        );
    }

    #[test]
    fn only_our_loops_have_a_floor_and_only_who_keeps_clients_is_asked() {
        let floor = |name| Who::named(name, 100, 100).unwrap().floor();
        let loops = ["select-loop", "poll-loop", "epoll-loop", "uring-loop", "executor"];
        assert!(loops.iter().all(|name| floor(name) == Some(2048.0)));
        assert!(
            ["threaded", "prethreaded", "nginx"].iter().all(|name| floor(name).is_none())
        );
        for name in ["iterative", "forking", "preforked", "no-such"] {
            assert!(Who::named(name, 1, 1).unwrap_err().contains("choose of"));
        }
    }
}
