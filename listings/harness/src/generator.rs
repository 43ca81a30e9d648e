//! The generator, as it is run for a cell.

use std::process::Command;
use std::time::{Duration, Instant};

use load::Outcome;

use crate::cell::Bench;
use crate::plan::Todo;
use crate::process::{Group, Interrupted};
use crate::programs::LOAD;
use crate::server::Origin;
use crate::workload;

/// How much longer than it should the generator may take.
const LATE: Duration = Duration::from_secs(10);
/// Clients with the same source address on loopback: it has some 28,000 ports to give
/// (`ip_local_port_range`), and the fewer are left, the longer the kernel looks for one.
const SAME_SOURCE: usize = 2_000;
/// Source addresses of clients that close, and leave ports behind them that are not free for a
/// minute (TIME_WAIT).
const SOURCES: usize = 8;

/// What the generator saw, and when its result was there; or what it said when it could not
/// measure anything.
pub type Asked = Result<(Outcome, Instant), String>;

impl Bench<'_> {
    /// The part of the generator's command line that says how long.
    pub fn duration(&self) -> Vec<String> {
        match self.settings.requests {
            Some(requests) => vec!["--requests".into(), requests.to_string()],
            None => vec!["--seconds".into(), self.settings.seconds.to_string()],
        }
    }

    /// Runs the generator.
    ///
    /// # Errors
    /// [`Interrupted`].
    pub fn load(
        &self,
        todo: &Todo<'_>,
        address: &str,
        duration: &[String],
    ) -> Result<Asked, Interrupted> {
        let mut command = Command::new(self.programs.path(LOAD));
        command.arg(format!("http://{address}{}", path(todo)));
        command.arg("--clients").arg(todo.clients.to_string()).args(duration);
        let rate = self.settings.rate.map(|rate| rate.to_string());
        command.args(rate.iter().flat_map(|rate| ["--rate", rate]));
        command.arg("--ramp-limit").arg(self.settings.ramp_limit.to_string());
        command.arg("--timeout").arg(self.settings.timeout.to_string());
        command.arg("--sources").arg(sources(todo, address).to_string()).arg("--json");
        command.args((!todo.workload.keeps_alive()).then_some("--close"));
        command.args(self.settings.over.iter().flat_map(|over| ["--over", over]));
        // The file is ours. A page is another one each time, and what a peer has to answer, it
        // says itself.
        if !todo.workload.waits() && !matches!(todo.server.origin, Origin::Peer { .. }) {
            command.arg("--body").arg(self.root.join(workload::FILE));
        }
        let mut load = match Group::start(&mut command, self.cores.generator) {
            Ok(load) => load,
            Err(error) => return Ok(Err(format!("cannot start the generator: {error}"))),
        };
        let seconds = self.settings.seconds + self.settings.ramp_limit;
        let limit = Duration::from_secs_f64(seconds)
            + Duration::from_millis(2 * self.settings.timeout)
            + LATE;
        let line = load.line(limit, self.stop)?;
        let end = Instant::now();
        load.wait(LATE, self.stop)?;
        Ok(match line {
            Ok(line) => serde_json::from_str(&line)
                .map(|outcome| (outcome, end))
                .map_err(|error| format!("the generator's result cannot be read: {error}")),
            Err(_) => Err(load
                .said()
                .unwrap_or_else(|| format!("the generator said nothing within {limit:?}"))),
        })
    }
}

/// What is asked for.
pub fn path(todo: &Todo<'_>) -> String {
    match &todo.server.origin {
        Origin::Peer { path, .. } => path.clone(),
        _ => todo.workload.path(),
    }
}

/// How many source addresses the clients use.
fn sources(todo: &Todo<'_>, address: &str) -> usize {
    // Another machine does not answer to 127.0.0.2.
    if !address.starts_with("127.") && !address.starts_with("localhost:") {
        return 1;
    }
    let least = if todo.workload.keeps_alive() { 1 } else { SOURCES };
    todo.clients.div_ceil(SAME_SOURCE).clamp(least, 254)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::Server;
    use crate::workload::Workload;

    #[test]
    fn more_clients_need_more_source_addresses_on_loopback() {
        let server = Server::named("epoll-loop").unwrap();
        let number = |workload, clients, address| {
            sources(&Todo { server: &server, workload, clients, round: 1 }, address)
        };
        assert_eq!(number(Workload::StaticKeepAlive, 1, "127.0.0.1:80"), 1);
        assert_eq!(number(Workload::StaticKeepAlive, 15_000, "127.0.0.1:80"), 8);
        assert_eq!(number(Workload::StaticClose, 1, "127.0.0.1:80"), 8);
        assert_eq!(number(Workload::StaticClose, 1_000_000, "localhost:80"), 254);
        assert_eq!(number(Workload::StaticClose, 15_000, "10.0.0.7:80"), 1);
    }
}
