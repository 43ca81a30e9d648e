//! What a command line wants measured.

use crate::named::{Peer, Variant};
use crate::nginx;
use crate::plan::{Plan, Settings};
use crate::server::{Origin, Server};
use crate::workload::Workload;

/// The numbers of clients of the full run.
const FULL: [usize; 23] = [
    1, 20, 50, 100, 200, 300, 400, 500, 600, 700, 800, 900, 1_000, 2_000, 3_000, 4_000,
    5_000, 6_000, 8_000, 10_000, 12_000, 13_500, 15_000,
];
/// And of the quick one.
const QUICK: [usize; 3] = [1, 64, 1_000];
/// Beyond these only loops, and only where connections are kept.
const QUICK_CROWD: [usize; 1] = [5_000];

/// What is measured.
#[derive(Clone, Debug, clap::Args)]
pub struct Choice {
    /// Everything once, in about five minutes on two processors
    #[arg(long, conflicts_with = "full")]
    pub quick: bool,
    /// Everything, as the book's figures were measured; it says beforehand how long that takes
    #[arg(long)]
    pub full: bool,
    /// Servers, as cargo harness list names them; all of them if none is named
    #[arg(long, value_delimiter = ',', value_name = "NAME,...")]
    pub servers: Vec<String>,
    /// Another server, which runs already
    #[arg(long, value_name = "NAME=http://HOST:PORT[/PATH]")]
    pub peer: Vec<Peer>,
    /// A server of this book with other flags
    #[arg(long, value_name = "NAME='SERVER FLAGS'")]
    pub variant: Vec<Variant>,
    /// Workloads; all four if none is named
    #[arg(long, value_delimiter = ',', value_name = "NAME,...")]
    pub workloads: Vec<Workload>,
    /// Numbers of clients
    #[arg(long, value_delimiter = ',', value_name = "N,...", value_parser = flags::at_least_one)]
    pub clients: Vec<usize>,
    /// How often each cell is measured
    #[arg(long, value_name = "N", value_parser = flags::at_least_one)]
    pub rounds: Option<usize>,
    /// How long a cell is measured, once all clients have come
    #[arg(long, value_name = "S", value_parser = seconds)]
    pub seconds: Option<f64>,
    /// Measure until so many requests were sent, instead of for a time
    #[arg(long, conflicts_with = "seconds", value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub requests: Option<u64>,
    /// Open loop: send so many requests a second, whatever the server does, and count latency
    /// from when each was due
    #[arg(long, value_name = "PER_SECOND", value_parser = rate)]
    pub rate: Option<f64>,
    /// How long to wait until every client has had its first response, in seconds
    #[arg(long, value_name = "S", value_parser = seconds)]
    pub ramp_limit: Option<f64>,
    /// How long a response may take, in milliseconds
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(1..=86_400_000))]
    pub timeout: Option<u64>,
    /// How long the store lets a reply wait, in milliseconds
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(0..=60_000))]
    pub store_delay: Option<u64>,
    /// What carries the generator's connections
    #[arg(long, value_name = "epoll|io_uring", value_parser = ["epoll", "io_uring"])]
    pub over: Option<String>,
    /// Count system calls as well, in a run of their own for each first round
    #[arg(long)]
    pub calls: bool,
}

fn seconds(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number| (0.01..=86_400.0).contains(number));
    number.ok_or_else(|| "a number of seconds from 0.01 to 86400 is needed".into())
}

fn rate(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number| (0.1..=1e7).contains(number));
    number.ok_or_else(|| "a number from 0.1 to 10000000 is needed".into())
}

impl Choice {
    /// How its result is called.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self { quick: true, .. } => "quick",
            Self { full: true, .. } => "full",
            _ => "run",
        }
    }

    /// The plan that it asks for. Whatever is said takes the place of what --quick, --full or
    /// neither stands for.
    ///
    /// # Errors
    /// One line: nothing was said, or there is no such server.
    pub fn plan(&self) -> Result<Plan, String> {
        let said =
            !(self.servers.is_empty() && self.peer.is_empty() && self.variant.is_empty());
        if !(self.quick || self.full || said) {
            return Err("say what is to be measured: --quick, --full, or --servers and more; cargo harness list names them".into());
        }
        let crowds =
            if self.quick && self.clients.is_empty() { &QUICK_CROWD[..] } else { &[] };
        let clients = if self.full { &FULL[..] } else { &QUICK };
        let workloads = if_none(&self.workloads, &Workload::ALL);
        let plan = Plan {
            servers: self.servers()?,
            workloads: Workload::ALL
                .into_iter()
                .filter(|w| workloads.contains(w))
                .collect(),
            clients: if_none(&self.clients, clients),
            crowds: crowds.to_vec(),
            rounds: self.rounds.unwrap_or(if self.quick { 1 } else { 5 }),
            settings: self.settings(),
        };
        match plan.cells().is_empty() {
            true => Err("none of these servers takes any of these workloads; see cargo harness list".into()),
            false => Ok(plan),
        }
    }

    fn settings(&self) -> Settings {
        let (quick, full) = (self.quick, self.full);
        Settings {
            seconds: self.seconds.unwrap_or(if quick { 1.0 } else { 3.0 }),
            requests: self.requests,
            rate: self.rate,
            ramp_limit: self.ramp_limit.unwrap_or(if quick { 2.0 } else { 10.0 }),
            // Who gives up earlier leaves a slow server requests behind that nobody waits for,
            // and then measures how it answers those.
            timeout: self.timeout.unwrap_or(10_000),
            // A request of 2019 took three round trips and 140 ms. One of a quick run waits
            // long enough to see who waits with it.
            store_delay: self.store_delay.unwrap_or(if full { 140 } else { 50 }),
            over: self.over.clone(),
            calls: self.calls,
        }
    }

    fn servers(&self) -> Result<Vec<Server>, String> {
        let others: Vec<Server> = self
            .variant
            .iter()
            .map(|Variant(server)| server.clone())
            .chain(self.peer.iter().map(|Peer(server)| server.clone()))
            .collect();
        let mut all = match self.servers.is_empty() {
            // Beside --quick or --full they come on top, and alone they are all.
            true if self.quick || self.full => known(),
            true => Vec::new(),
            false => self
                .servers
                .iter()
                .map(|name| Server::named(name))
                .collect::<Result<_, _>>()?,
        };
        all.extend(others);
        for (number, server) in all.iter().enumerate() {
            if all[..number].iter().any(|before| before.name == server.name) {
                return Err(format!("{} is named twice", server.name));
            }
        }
        Ok(all)
    }
}

/// All that can be started here.
fn known() -> Vec<Server> {
    let nginx = nginx::is_installed();
    if !nginx {
        eprintln!("nginx is not installed, and left out");
    }
    Server::all()
        .into_iter()
        .filter(|server| nginx || server.origin != Origin::Nginx)
        .collect()
}

fn if_none<T: Clone>(said: &[T], otherwise: &[T]) -> Vec<T> {
    if said.is_empty() { otherwise.to_vec() } else { said.to_vec() }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        choice: Choice,
    }

    fn plan(line: &str) -> Result<Plan, String> {
        let words = ["run"].into_iter().chain(line.split_whitespace());
        Line::try_parse_from(words).map_err(|error| error.to_string())?.choice.plan()
    }

    fn minutes(plan: &Plan) -> f64 {
        plan.cells().iter().map(|cell| plan.estimate(cell)).sum::<f64>() / 60.0
    }

    #[test]
    fn a_quick_run_takes_about_five_minutes_with_nginx_or_without() {
        let plan = plan("--quick").unwrap();
        assert!((3.0..=5.0).contains(&minutes(&plan)), "{}", minutes(&plan));
        assert_eq!(plan.settings.seconds, 1.0);
        let crowd = plan.cells().into_iter().filter(|cell| cell.clients == 5_000);
        assert!(
            crowd.clone().count() >= 10 && crowd.clone().all(|c| c.workload.keeps_alive())
        );
    }

    #[test]
    fn a_full_run_goes_from_one_client_to_fifteen_thousand() {
        let full = plan("--full").unwrap();
        assert_eq!((full.clients[0], full.clients[22], full.rounds), (1, 15_000, 5));
        assert!(minutes(&full) > 120.0);
        let short =
            plan("--full --clients 7 --rounds 2 --servers epoll-loop,iterative").unwrap();
        assert_eq!((short.clients, short.rounds, short.servers.len()), (vec![7], 2, 2));
    }

    #[test]
    fn what_is_said_is_measured_and_nothing_else() {
        let peer = plan("--peer mine=http://127.0.0.1:9 --clients 3").unwrap();
        assert_eq!(peer.servers.len(), 1);
        // In their own order, whatever was said first.
        let both = "--servers poll-loop --workloads guestbook-close,static-close";
        let both = plan(both).unwrap().workloads;
        assert_eq!(both, [Workload::StaticClose, Workload::GuestbookClose]);
        for wrong in [
            "",
            "--servers no-such",
            "--quick --full",
            "--quick --clients 0",
            "--servers poll-loop,poll-loop",
            "--servers nginx --workloads guestbook-close",
            "--quick --seconds 0",
            "--quick --seconds 1 --requests 5",
        ] {
            assert!(plan(wrong).is_err(), "{wrong} was taken");
        }
    }
}
