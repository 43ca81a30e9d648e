//! The load generator as a program.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    match program::run(&flags::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err((code, line)) => flags::fail(code, line),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    flags::needs_linux("load")
}

#[cfg(target_os = "linux")]
mod program {
    use std::fs;
    use std::path::PathBuf;
    use std::time::Duration;

    use load::{End, Outcome, Over, Pace, Rules, Target};
    use rustix::process::{Resource, getrlimit, setrlimit};

    /// Asks a server, checks every response, and says how long each took
    #[derive(clap::Parser)]
    #[command(version)]
    pub struct Flags {
        /// What to ask for; of further ones the address alone is used
        #[arg(required = true, value_name = "http://HOST:PORT/PATH")]
        urls: Vec<String>,
        /// How many clients ask
        #[arg(short, long, default_value = "64", value_name = "N", value_parser = flags::at_least_one)]
        clients: usize,
        /// For how long
        #[arg(short, long, default_value = "2", value_name = "S", value_parser = seconds)]
        seconds: Duration,
        /// Until so many requests have been sent, instead of for a time
        #[arg(long, conflicts_with = "seconds", value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
        requests: Option<u64>,
        /// Open loop: so many requests a second, whatever the server does
        #[arg(long, value_name = "PER_SECOND", value_parser = rate)]
        rate: Option<f64>,
        /// A new connection for each request
        #[arg(long)]
        close: bool,
        /// What carries the connections; by default an io_uring for up to 1,000, if there is one
        #[arg(long, value_name = "epoll|io_uring", value_parser = ["epoll", "io_uring"])]
        over: Option<String>,
        /// How long to wait until every client has had its first response
        #[arg(long, default_value = "10", value_name = "S", value_parser = seconds)]
        ramp_limit: Duration,
        /// How long a response may take, in milliseconds
        #[arg(long, default_value = "10000", value_name = "MS", value_parser = flags::milliseconds)]
        timeout: Duration,
        /// What every response's body has to be; by default, what the server says twice when it is
        /// asked alone
        #[arg(long, value_name = "FILE")]
        body: Option<PathBuf>,
        /// Source addresses on loopback that the clients use in turn
        #[arg(long, default_value = "1", value_name = "N", value_parser = clap::value_parser!(u8).range(1..=254))]
        sources: u8,
        /// One line of JSON instead of a table
        #[arg(long)]
        json: bool,
    }

    type Failure = (u8, String);

    fn number(text: &str) -> Option<f64> {
        text.parse().ok().filter(|number: &f64| number.is_finite() && *number > 0.0)
    }

    fn seconds(text: &str) -> Result<Duration, String> {
        let seconds = number(text).filter(|seconds| *seconds <= 86_400.0);
        seconds.map(Duration::from_secs_f64).ok_or("it is a number up to 86400".into())
    }

    fn rate(text: &str) -> Result<f64, String> {
        number(text)
            .filter(|rate| *rate <= 1e7)
            .ok_or("it is a number up to 10000000".into())
    }

    pub fn run(flags: &Flags) -> Result<(), Failure> {
        let refused = |line| (flags::REFUSED, line);
        let failed = |line| (flags::FAILED, line);
        let over = match flags.over.as_deref() {
            Some("epoll") => Over::Epoll,
            Some(_) => Over::ring().map_err(refused)?,
            None => Over::best(flags.clients),
        };
        descriptors_for(flags.clients).map_err(refused)?;
        let target =
            Target::new(&flags.urls, flags.sources, flags.close).map_err(refused)?;
        let known = flags.body.as_ref().map(|file| {
            fs::read(file).map_err(|error| refused(format!("{}: {error}", file.display())))
        });
        let known = known.transpose()?;
        let rules = Rules {
            clients: flags.clients,
            pace: flags.rate.map_or(Pace::Closed, Pace::Open),
            end: flags.requests.map_or(End::After(flags.seconds), End::Requests),
            close: flags.close,
            timeout: flags.timeout,
            ramp: flags.ramp_limit,
            expected: target.expected(flags.timeout, known).map_err(failed)?,
        };
        let how = how(flags, &over, &rules);
        let outcome = load::run(over, rules, &target)
            .map_err(|error| failed(format!("cannot go on: {error}")))?;
        if flags.json {
            let line = serde_json::to_string(&outcome)
                .map_err(|error| failed(error.to_string()))?;
            println!("{line}");
        } else {
            println!("{how}");
            print_table(flags, &outcome);
        }
        Ok(())
    }

    /// A descriptor for each client, and some for ourselves.
    fn descriptors_for(clients: usize) -> Result<(), String> {
        let needed = clients as u64 + 32;
        let limit = getrlimit(Resource::Nofile);
        if limit.maximum.is_some_and(|most| most < needed) {
            return Err(format!(
                "{clients} clients need {needed} descriptors; the hard limit (ulimit -Hn) is {}",
                limit.maximum.unwrap_or(0)
            ));
        }
        let raised = rustix::process::Rlimit { current: limit.maximum, ..limit };
        setrlimit(Resource::Nofile, raised)
            .map_err(|error| format!("cannot raise the limit of descriptors: {error}"))
    }

    fn how(flags: &Flags, over: &Over, rules: &Rules) -> String {
        let clients = match flags.clients {
            1 => "1 client".into(),
            n => format!("{n} clients"),
        };
        let pace = match flags.rate {
            Some(rate) => format!("an open loop of {rate} requests a second"),
            None => "a closed loop".into(),
        };
        let over = match over {
            Over::Epoll => "epoll",
            Over::Ring(_) => "io_uring",
        };
        let close =
            if flags.close { "a connection for each request" } else { "keep-alive" };
        let body = match &rules.expected.body {
            Some(body) => format!("every body is compared with {} bytes", body.len()),
            None => "bodies differ: of each the length is checked".into(),
        };
        format!("{clients} in {pace}, {close}, over {over}; {body}")
    }

    fn print_table(flags: &Flags, outcome: &Outcome) {
        let ramp = &outcome.ramp;
        println!(
            "came:      {} of {} after {:.2} s{}",
            ramp.clients,
            flags.clients,
            ramp.seconds,
            errors(&ramp.errors, ", errors meanwhile: ")
        );
        println!(
            "answered:  {} in {:.3} s, {:.0} a second, {:.1} MB a second",
            outcome.answered,
            outcome.seconds,
            outcome.rate(),
            outcome.received as f64 / outcome.seconds / 1e6
        );
        let ms = |time: Duration| format!("{:.3}", time.as_secs_f64() * 1e3);
        let at = |share| ms(outcome.latency.at(share));
        println!(
            "latency:   p50 {}, p90 {}, p99 {}, p99.9 {}, max {} ms",
            at(0.5),
            at(0.9),
            at(0.99),
            at(0.999),
            ms(outcome.latency.max())
        );
        let kinds = errors(&outcome.errors, "");
        println!("errors:    {}", if kinds.is_empty() { "none" } else { &kinds });
        println!(
            "besides:   {} connections, {} asked again, {} unfinished, {} never sent",
            outcome.connected, outcome.retried, outcome.unfinished, outcome.unsent
        );
        println!(
            "generator: {:.0} % of a processor, {:.1} MB",
            outcome.busy() * 100.0,
            outcome.generator.peak_kib as f64 / 1024.0
        );
    }

    fn errors(errors: &load::Errors, before: &str) -> String {
        let kinds: Vec<String> = errors
            .by_kind()
            .into_iter()
            .filter(|(_, number)| *number > 0)
            .map(|(kind, number)| format!("{number} {kind}"))
            .collect();
        if kinds.is_empty() {
            String::new()
        } else {
            format!("{before}{}", kinds.join(", "))
        }
    }
}
