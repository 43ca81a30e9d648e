//! What idle connections take, as data, one JSON object to a line.

use serde::{Deserialize, Serialize};

use super::memory::{Kernel, User};
use crate::environment::Environment;
use crate::files::spread::Spread;

/// Where and how a run was made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// The machine.
    pub environment: Environment,
    /// Connections that were wanted of each server.
    pub connections: usize,
    /// And of those that have a thread for each.
    pub threads: usize,
}

/// One server, once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Round {
    /// Its name.
    pub server: String,
    /// Which round: 1 is the first.
    pub round: u32,
    /// Connections that were idle, and were not closed, when we looked.
    pub connections: usize,
    /// What its processes had before the first, and with all of them.
    pub user: (User, User),
    /// What the kernel had. Both ends are on this machine, and there is no telling apart which
    /// of them a byte belongs to.
    pub kernel: (Kernel, Kernel),
}

impl Round {
    /// Memory of the server's processes for a connection, in bytes.
    #[must_use]
    pub fn user_each(&self) -> f64 {
        self.each(self.user.0.pss, self.user.1.pss)
    }

    /// The same of what no other process has a part of.
    #[must_use]
    pub fn private_each(&self) -> f64 {
        self.each(self.user.0.private, self.user.1.private)
    }

    /// Memory of the kernel for both ends of a connection, in bytes.
    #[must_use]
    pub fn kernel_each(&self) -> f64 {
        self.each(self.kernel.0.total(), self.kernel.1.total())
    }

    /// Less than nothing where somebody else has given memory back meanwhile.
    fn each(&self, before: u64, after: u64) -> f64 {
        (after as f64 - before as f64) / self.connections.max(1) as f64
    }
}

/// One server, all rounds: bytes for a connection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// Its name.
    pub server: String,
    /// Connections in the last round.
    pub connections: usize,
    /// How many rounds there were.
    pub rounds: usize,
    /// Of the server's processes.
    pub user: Spread,
    /// Of that, what is theirs alone.
    pub private: Spread,
    /// Of the kernel, for both ends.
    pub kernel: Spread,
    /// What `user` must not exceed.
    pub floor: Option<f64>,
    /// What is to be known first.
    pub caveat: Option<String>,
}

impl Cell {
    /// Of these rounds of a server: at least one.
    #[must_use]
    pub fn of(rounds: &[&Round], floor: Option<f64>, caveat: Option<&str>) -> Self {
        let of = |figure: fn(&Round) -> f64| {
            Spread::of(&rounds.iter().map(|round| figure(round)).collect::<Vec<_>>())
        };
        let last = rounds[rounds.len() - 1];
        Self {
            server: last.server.clone(),
            connections: last.connections,
            rounds: rounds.len(),
            user: of(Round::user_each),
            private: of(Round::private_each),
            kernel: of(Round::kernel_each),
            floor,
            caveat: caveat.map(str::to_owned),
        }
    }

    /// Whether a connection takes more than it may.
    #[must_use]
    pub fn is_missed(&self) -> bool {
        self.floor.is_some_and(|floor| self.user.median > floor)
    }
}

/// One line of the file of results.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[expect(missing_docs, reason = "each is named like what it holds")]
pub enum Line {
    Run(Box<Run>),
    Refused { server: String, why: String },
    Round(Round),
    Cell(Cell),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(connections: usize, pss: (u64, u64), slab: (u64, u64)) -> Round {
        let user = |pss| User { pss, private: pss / 2 };
        let kernel = |slab| Kernel { slab, stacks: 1000, ..Kernel::default() };
        Round {
            server: "one".into(),
            round: 1,
            connections,
            user: (user(pss.0), user(pss.1)),
            kernel: (kernel(slab.0), kernel(slab.1)),
        }
    }

    #[test]
    fn what_was_there_before_belongs_to_no_connection() {
        let many = round(1000, (500_000, 1_500_000), (9_000_000, 15_000_000));
        assert_eq!(many.user_each(), 1000.0);
        assert_eq!(many.private_each(), 500.0);
        assert_eq!(many.kernel_each(), 6000.0);
        // Others may have given back more than the connections took.
        let less = round(10, (500, 500), (9000, 8900));
        assert_eq!((less.user_each(), less.kernel_each()), (0.0, -10.0));
        assert_eq!(round(0, (0, 7), (0, 0)).user_each(), 7.0);
    }

    #[test]
    fn the_median_of_rounds_is_held_against_the_floor() {
        let rounds = [
            round(10, (0, 100), (0, 60)),
            round(10, (0, 900), (0, 10)),
            round(10, (0, 200), (0, 30)),
        ];
        let all: Vec<&Round> = rounds.iter().collect();
        let cell = Cell::of(&all, Some(20.0), Some("a thing"));
        assert_eq!(cell.user, Spread { median: 20.0, low: 10.0, high: 90.0 });
        assert_eq!((cell.kernel.median, cell.rounds, cell.connections), (3.0, 3, 10));
        assert!(!cell.is_missed());
        assert!(Cell::of(&all, Some(19.0), None).is_missed());
        assert!(!Cell::of(&all, None, None).is_missed());
        let line = Line::Cell(cell);
        let json = serde_json::to_string(&line).unwrap();
        assert_eq!(serde_json::from_str::<Line>(&json).unwrap(), line);
    }
}
