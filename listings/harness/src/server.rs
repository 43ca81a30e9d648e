//! Who can be measured.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::workload::Workload;

/// A server, and what is known about it before it is started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    /// How results call it.
    pub name: String,
    /// Where it comes from.
    pub origin: Origin,
    /// It serves a client again on the same connection.
    pub keeps_alive: bool,
    /// It has the guestbook, and not only files.
    pub has_guestbook: bool,
    /// How many clients it serves at the same time while each of them waits; none: as many as
    /// there are.
    pub at_once: Option<usize>,
    /// How many connections it can keep; none: as many as it may open descriptors.
    pub most_clients: Option<usize>,
}

/// Where a server comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// A program of this workspace with these flags.
    Ours {
        /// The package and its program.
        program: String,
        /// What it is started with beyond the address, the root and the store.
        flags: Vec<String>,
    },
    /// nginx, as this machine has it, with the configuration beside this crate.
    Nginx,
    /// It runs already: nothing is known of its process.
    Peer {
        /// `HOST:PORT`.
        address: String,
        /// What it is asked for.
        path: String,
    },
}

/// Name, program and flags; whether it keeps connections; clients at once, and connections at
/// most.
type Row = (&'static str, &'static str, &'static [&'static str], bool, usize, usize);

/// The numbers are the programs' own defaults; 0: no limit but descriptors.
const OURS: [Row; 11] = [
    ("iterative", "iterative", &[], false, 1, 0),
    ("forking", "forking", &[], false, 256, 0),
    ("preforked", "preforked", &[], true, 8, 0),
    ("threaded", "threaded", &[], true, 1024, 0),
    ("prethreaded", "prethreaded", &[], true, 64, 0),
    // FD_SETSIZE descriptors, of which the loop keeps 32 for itself.
    ("select-loop", "select-loop", &[], true, 0, 1024 - 32),
    ("poll-loop", "poll-loop", &[], true, 0, 0),
    ("epoll-loop", "epoll-loop", &[], true, 0, 0),
    ("uring-loop", "uring-loop", &[], true, 0, 0),
    ("executor", "executor", &[], true, 0, 0),
    ("executor-uring", "executor", &["--over", "io_uring"], true, 0, 0),
];

impl Server {
    /// The architectures of this book, and nginx.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let none_if_0 = |number| Some(number).filter(|number| *number > 0);
        let ours = OURS.map(|(name, program, flags, keeps_alive, at_once, most)| Self {
            name: name.into(),
            origin: Origin::Ours {
                program: program.into(),
                flags: flags.iter().map(ToString::to_string).collect(),
            },
            keeps_alive,
            has_guestbook: true,
            at_once: none_if_0(at_once),
            most_clients: none_if_0(most),
        });
        ours.into_iter().chain([Self::nginx()]).collect()
    }

    pub(crate) fn nginx() -> Self {
        Self {
            name: "nginx".into(),
            origin: Origin::Nginx,
            keeps_alive: true,
            has_guestbook: false,
            at_once: None,
            most_clients: None,
        }
    }

    /// One of [`Server::all`] by its name.
    ///
    /// # Errors
    /// One line, if there is none.
    pub fn named(name: &str) -> Result<Self, String> {
        Self::all().into_iter().find(|server| server.name == name).ok_or_else(|| {
            format!("there is no server {name}; cargo harness list names them")
        })
    }

    /// Whether a workload makes sense with it: one that closes every connection is measured
    /// as one that does.
    #[must_use]
    pub fn takes(&self, workload: Workload) -> bool {
        (self.keeps_alive || !workload.keeps_alive())
            && (self.has_guestbook || !workload.waits())
    }

    /// Whether it serves everybody from one thread or a few, so that a connection that is
    /// kept costs it little.
    #[must_use]
    pub fn is_a_loop(&self) -> bool {
        self.at_once.is_none() && self.most_clients.is_none()
    }

    /// Why it cannot have so many clients, if it cannot.
    #[must_use]
    pub fn refuses(&self, workload: Workload, clients: usize) -> Option<String> {
        let most = self.most_clients.filter(|most| clients > *most)?;
        // Whoever is not in waits in the queue, until somebody leaves. Nobody leaves here.
        workload.keeps_alive().then(|| format!("it can keep {most} connections"))
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Origin::Ours { program, flags } if flags.is_empty() => f.write_str(program),
            Origin::Ours { program, flags } => write!(f, "{program} {}", flags.join(" ")),
            Origin::Nginx => f.write_str("nginx, if it is installed"),
            Origin::Peer { address, path } => write!(f, "http://{address}{path}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_closes_every_connection_is_not_asked_to_keep_one() {
        let takes = |name: &str| {
            let server = Server::named(name).unwrap();
            Workload::ALL.map(|workload| server.takes(workload))
        };
        assert_eq!(takes("iterative"), [false, true, false, true]);
        assert_eq!(takes("epoll-loop"), [true; 4]);
        assert_eq!(takes("nginx"), [true, true, false, false]);
    }

    #[test]
    fn select_cannot_keep_more_than_its_set_holds() {
        let select = Server::named("select-loop").unwrap();
        assert_eq!(select.refuses(Workload::StaticKeepAlive, 992), None);
        assert!(select.refuses(Workload::StaticKeepAlive, 993).is_some());
        // Those that are not in queue, and come in when others have been served.
        assert_eq!(select.refuses(Workload::StaticClose, 4000), None);
        assert_eq!(
            Server::named("poll-loop").unwrap().refuses(Workload::StaticKeepAlive, 15_000),
            None
        );
    }
}
