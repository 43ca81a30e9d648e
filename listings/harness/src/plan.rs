//! Which cells are measured, in which order, and how long that takes.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::record::Key;
use crate::server::Server;
use crate::workload::Workload;

/// Requests a second that a server is taken to answer, at least: for estimates.
const RATE: f64 = 15_000.0;
/// Starting a server, and ending it.
const AROUND: f64 = 0.35;
/// How long a server may take for those that it has begun to serve when it is told to end.
pub const GRACE: Duration = Duration::from_secs(1);
/// A run under the tracer.
const TRACED: f64 = 2.5;

/// What is measured, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Who.
    pub servers: Vec<Server>,
    /// What they are asked for.
    pub workloads: Vec<Workload>,
    /// By how many.
    pub clients: Vec<usize>,
    /// And by how many more those that keep a connection for little, where it is kept.
    pub crowds: Vec<usize>,
    /// How often.
    pub rounds: usize,
    /// How.
    pub settings: Settings,
}

/// How a cell is measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// For how long, in seconds, once all clients have come.
    pub seconds: f64,
    /// Or until so many requests were sent.
    pub requests: Option<u64>,
    /// Open loop: so many requests a second, whatever the server does; none: as many as it
    /// answers.
    #[serde(default)]
    pub rate: Option<f64>,
    /// For how long is waited until they have come, in seconds.
    pub ramp_limit: f64,
    /// How long a response may take, in milliseconds.
    pub timeout: u64,
    /// How long the store lets a reply wait, in milliseconds.
    pub store_delay: u64,
    /// What the generator's connections are carried over; none: its own choice.
    pub over: Option<String>,
    /// System calls are counted as well.
    pub calls: bool,
}

/// A cell that is to be measured.
#[derive(Clone, Copy, Debug)]
pub struct Todo<'a> {
    /// Who.
    pub server: &'a Server,
    /// What.
    pub workload: Workload,
    /// By how many.
    pub clients: usize,
    /// Which time, from 1 on.
    pub round: usize,
}

impl Todo<'_> {
    /// What results call it.
    #[must_use]
    pub fn key(&self) -> Key {
        let Self { server, workload, clients, round } = *self;
        Key { server: server.name.clone(), workload, clients, round }
    }
}

impl Plan {
    /// All cells, in the order in which they are measured: all servers at one workload and
    /// one number of clients, one after another, then the next number. What is compared is so
    /// measured within a minute. A round is over before the next begins: whoever stops early
    /// has each cell once, and rounds are far enough apart to see a machine change its mood.
    #[must_use]
    // ANCHOR: cells
    pub fn cells(&self) -> Vec<Todo<'_>> {
        let mut cells = Vec::new();
        for round in 1..=self.rounds {
            for workload in self.workloads.iter().copied() {
                for clients in self.all_clients() {
                    let takes = |server: &&Server| self.has(server, workload, clients);
                    let cell = |server| Todo { server, workload, clients, round };
                    cells.extend(self.servers.iter().filter(takes).map(cell));
                }
            }
        }
        cells
    }
    // ANCHOR_END: cells

    fn all_clients(&self) -> Vec<usize> {
        let mut all = [self.clients.as_slice(), &self.crowds].concat();
        all.sort_unstable();
        all.dedup();
        all
    }

    fn has(&self, server: &Server, workload: Workload, clients: usize) -> bool {
        let in_a_crowd = server.is_a_loop() && workload.keeps_alive();
        server.takes(workload) && (self.clients.contains(&clients) || in_a_crowd)
    }

    /// How long a cell takes, in seconds.
    #[must_use]
    pub fn estimate(&self, cell: &Todo<'_>) -> f64 {
        let Settings { seconds, requests, ramp_limit, store_delay, calls, .. } =
            self.settings;
        if cell.server.refuses(cell.workload, cell.clients).is_some() {
            return 0.0;
        }
        // Who waits for the store serves so many in that time, and no more.
        let delay = store_delay as f64 / 1e3;
        let served = |at_once| at_once as f64 / delay;
        let rate = match cell.server.at_once.filter(|_| cell.workload.waits()) {
            Some(at_once) => RATE.min(served(at_once)),
            None => RATE,
        };
        let ramp = cell.clients as f64 / rate;
        let asked = requests.map_or(seconds, |requests| requests as f64 / rate);
        let late = if ramp > ramp_limit { GRACE.as_secs_f64() } else { 0.0 };
        let traced = if calls && cell.round == 1 { TRACED } else { 0.0 };
        ramp.min(ramp_limit) + asked + AROUND + late + traced
    }
}

/// How long what is left will take, by what was estimated for what is done, and how long that
/// took. At the beginning the estimate has more weight.
#[must_use]
pub fn time_left(estimated_done: f64, took: f64, estimated_left: f64) -> Duration {
    // As if so many seconds more had gone as estimated.
    let trust = 10.0;
    let factor = (took + trust) / (estimated_done + trust);
    Duration::from_secs_f64((estimated_left * factor).max(0.0))
}

/// A duration for people.
#[must_use]
pub fn spoken(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..100 => format!("{seconds} s"),
        seconds @ 100..6_000 => format!("{} min", seconds.div_ceil(60)),
        seconds => format!("{:.1} h", seconds as f64 / 3600.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(
        servers: &[&str],
        workloads: &[Workload],
        clients: &[usize],
        rounds: usize,
    ) -> Plan {
        Plan {
            servers: servers.iter().map(|name| Server::named(name).unwrap()).collect(),
            workloads: workloads.to_vec(),
            clients: clients.to_vec(),
            crowds: Vec::new(),
            rounds,
            settings: Settings {
                seconds: 2.0,
                requests: None,
                rate: None,
                ramp_limit: 5.0,
                timeout: 2000,
                store_delay: 50,
                over: None,
                calls: false,
            },
        }
    }

    fn order(plan: &Plan) -> Vec<String> {
        plan.cells()
            .iter()
            .map(|c| format!("{} {} {} {}", c.round, c.workload, c.clients, c.server.name))
            .collect()
    }

    #[test]
    fn servers_take_turns_at_one_number_of_clients() {
        let plan = plan(&["epoll-loop", "iterative"], &Workload::ALL[..2], &[20, 1], 2);
        let one_round = [
            "static-keep-alive 1 epoll-loop",
            "static-keep-alive 20 epoll-loop",
            "static-close 1 epoll-loop",
            "static-close 1 iterative",
            "static-close 20 epoll-loop",
            "static-close 20 iterative",
        ];
        let expected: Vec<String> = [1, 2]
            .iter()
            .flat_map(|n| one_round.map(|cell| format!("{n} {cell}")))
            .collect();
        assert_eq!(order(&plan), expected);
    }

    #[test]
    fn a_crowd_is_for_those_that_keep_a_connection_for_little() {
        let mut plan =
            plan(&["threaded", "select-loop", "poll-loop"], &Workload::ALL, &[1], 1);
        plan.crowds = vec![5000, 1];
        let crowds = order(&plan).into_iter().filter(|cell| cell.contains("5000"));
        let expected =
            ["1 static-keep-alive 5000 poll-loop", "1 guestbook-keep-alive 5000 poll-loop"];
        assert_eq!(crowds.collect::<Vec<_>>(), expected);
        assert_eq!(plan.cells().len(), 3 * 4 + 2, "no cell is there twice");
    }

    #[test]
    fn a_server_that_waits_alone_takes_long_until_all_have_come() {
        let plan =
            plan(&["iterative", "epoll-loop", "select-loop"], &Workload::ALL, &[40], 1);
        let estimate = |server: usize, workload, clients| {
            let server = &plan.servers[server];
            plan.estimate(&Todo { server, workload, clients, round: 1 })
        };
        let close = Workload::GuestbookClose;
        // 40 clients, 50 ms each, one after another; but no longer than the limit.
        assert_eq!(estimate(0, close, 40), 2.0 + 2.0 + AROUND);
        assert_eq!(estimate(0, close, 4000), 5.0 + 2.0 + AROUND + 1.0);
        assert!(estimate(1, close, 4000) < 3.0);
        assert!(estimate(0, Workload::StaticClose, 40) < 2.5);
        assert_eq!(estimate(2, Workload::StaticKeepAlive, 5000), 0.0, "it is not tried");
    }

    #[test]
    fn what_is_left_is_judged_by_what_was_done() {
        assert_eq!(time_left(0.0, 0.0, 60.0), Duration::from_secs(60));
        assert_eq!(time_left(90.0, 190.0, 60.0), Duration::from_secs(120));
        assert_eq!(spoken(Duration::from_secs(99)), "99 s");
        assert_eq!(spoken(Duration::from_secs(290)), "5 min");
        assert_eq!(spoken(Duration::from_secs(9_000)), "2.5 h");
    }
}
