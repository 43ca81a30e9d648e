//! The command line that every server of the book shares.
//!
//! Nothing here waits, so nothing here is shown in a chapter: the flags, what a wrong flag
//! answers, and the three exit codes. Every failure is one line on standard error that says
//! what failed, why, and what to do about it.
//!
//! | exit | meaning |
//! | --- | --- |
//! | 0 | done, or stopped by SIGTERM or SIGINT after the requests in flight were finished |
//! | 1 | a failure while running |
//! | 2 | wrong usage, or a kernel that refuses |

use std::fmt;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

/// Exit code of a failure while running.
pub const FAILED: u8 = 1;
/// Exit code of wrong usage, and of a kernel that refuses.
pub const REFUSED: u8 = 2;

/// The flags of every server.
#[derive(Clone, Debug, clap::Args)]
pub struct ServerFlags {
    /// Address to listen on; port 0 lets the kernel choose one
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "ADDRESS:PORT")]
    pub listen: SocketAddr,

    /// Folder whose files are served
    #[arg(long, default_value = ".", value_name = "DIR")]
    pub root: PathBuf,

    /// Where the guestbook is kept: a store started with the server, or a Redis
    #[arg(long, default_value = "embedded", value_name = "embedded|redis://HOST:PORT")]
    pub store: StoreAt,

    /// How long the embedded store lets every reply wait, in milliseconds
    #[arg(long, default_value = "0", value_name = "MS", value_parser = milliseconds)]
    pub store_delay: Duration,

    /// File to which the embedded store appends what it must not lose
    #[arg(long, value_name = "FILE")]
    pub store_file: Option<PathBuf>,

    /// How long a reply of the store may take, in milliseconds, before the client is told
    /// 503
    #[arg(long, default_value = "2000", value_name = "MS", value_parser = milliseconds)]
    pub store_timeout: Duration,

    /// Queue of connections that the kernel keeps for us: the argument of listen(2)
    #[arg(long, default_value = "4096", value_name = "N", value_parser = clap::value_parser!(i32).range(0..))]
    pub backlog: i32,

    /// How long a client may take to send a request's head, in milliseconds
    #[arg(long, default_value = "10000", value_name = "MS", value_parser = milliseconds)]
    pub header_timeout: Duration,

    /// How long it may then take to send the request's body, in milliseconds
    #[arg(long, default_value = "10000", value_name = "MS", value_parser = milliseconds)]
    pub body_timeout: Duration,

    /// How long it may take to accept 16 KiB of a response, in milliseconds
    #[arg(long, default_value = "10000", value_name = "MS", value_parser = milliseconds)]
    pub send_timeout: Duration,

    /// How long finishing the requests in flight may take after SIGTERM, in milliseconds
    #[arg(long, default_value = "10000", value_name = "MS", value_parser = milliseconds)]
    pub grace: Duration,
}

/// The flags of the servers that can keep connections and files open.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct OfferFlags {
    /// Close every connection after one response
    #[arg(long)]
    pub no_keep_alive: bool,

    /// Open a file for every request instead of keeping it open for a second
    #[arg(long)]
    pub no_file_cache: bool,
}

/// Where the guestbook is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreAt {
    /// In a process of its own that the server starts.
    Embedded,
    /// In a server that speaks the Redis protocol: `HOST:PORT`.
    Redis(String),
}

impl FromStr for StoreAt {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "embedded" {
            return Ok(Self::Embedded);
        }
        let Some(rest) = text.strip_prefix("redis://") else {
            return Err("it is neither 'embedded' nor 'redis://HOST:PORT'".into());
        };
        let address = rest.trim_end_matches('/');
        match address.rsplit_once(':') {
            Some((host, port))
                if !host.is_empty()
                    && !address.contains(['/', '@'])
                    && port.parse::<u16>().is_ok() =>
            {
                Ok(Self::Redis(address.into()))
            }
            _ => Err(
                "after redis:// comes HOST:PORT and nothing else: no password, no database"
                    .into(),
            ),
        }
    }
}

impl fmt::Display for StoreAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded => f.write_str("embedded"),
            Self::Redis(address) => write!(f, "redis://{address}"),
        }
    }
}

/// A number of milliseconds, at most a day.
pub fn milliseconds(text: &str) -> Result<Duration, String> {
    match text.parse::<u64>() {
        Ok(ms) if ms <= 86_400_000 => Ok(Duration::from_millis(ms)),
        _ => Err("a number of milliseconds up to 86400000 is needed".into()),
    }
}

/// A number of processes, threads or connections: at least 1, at most 100,000.
pub fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number @ 1..=100_000) => Ok(number),
        _ => Err("a number from 1 to 100000 is needed".into()),
    }
}

/// Reads the command line. Wrong usage ends the process with [`REFUSED`] and one line;
/// `--help` ends it with 0.
pub fn parse<T: clap::Parser>() -> T {
    T::try_parse().unwrap_or_else(|error| {
        if !error.use_stderr() {
            error.exit();
        }
        let text = error.to_string();
        // clap explains itself over several paragraphs. The first says what is wrong.
        let first: Vec<&str> =
            text.lines().take_while(|line| !line.is_empty()).map(str::trim).collect();
        let what = first.join(" ");
        let what = what.strip_prefix("error: ").unwrap_or(&what);
        let _ = writeln!(io::stderr(), "{what}; try --help");
        std::process::exit(i32::from(REFUSED));
    })
}

/// Prints the one line that a failing program leaves behind: what, why, and what to do.
pub fn fail(code: u8, line: impl fmt::Display) -> ExitCode {
    // Where nobody reads it, the exit code still says it.
    let _ = writeln!(io::stderr(), "{line}");
    ExitCode::from(code)
}

/// Says that a test cannot tell anything on this machine, and why. The line goes to standard
/// error itself, past the test harness, which keeps what a passing test prints to itself.
pub fn skipped(reason: impl fmt::Display) {
    // Nobody is left to be told if this fails.
    let _ = writeln!(io::stderr(), "skipped: {reason}");
}

/// What a listing says where there is no Linux.
pub fn needs_linux(listing: &str) -> ExitCode {
    fail(
        REFUSED,
        format_args!(
            "{listing} needs Linux, and this is {}; run it in a Linux virtual machine",
            std::env::consts::OS
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_embedded_or_host_and_port() {
        assert_eq!("embedded".parse(), Ok(StoreAt::Embedded));
        assert_eq!(
            "redis://localhost:6379".parse(),
            Ok(StoreAt::Redis("localhost:6379".into()))
        );
        assert_eq!("redis://[::1]:6379/".parse(), Ok(StoreAt::Redis("[::1]:6379".into())));
        for wrong in [
            "",
            "redis",
            "redis://",
            "redis://host",
            "redis://host:x",
            "redis://:1",
            "redis://u:p@host:1",
            "redis://h:1/2",
        ] {
            assert!(wrong.parse::<StoreAt>().is_err(), "{wrong} was taken");
        }
    }

    #[test]
    fn nobody_is_not_a_number_of_workers() {
        assert_eq!(at_least_one("1"), Ok(1));
        assert_eq!(at_least_one("100000"), Ok(100_000));
        for wrong in ["0", "100001", "-1", "x", ""] {
            assert!(at_least_one(wrong).is_err(), "{wrong} was taken");
        }
    }

    #[test]
    fn a_day_is_the_longest_wait() {
        assert_eq!(milliseconds("86400000"), Ok(Duration::from_secs(86_400)));
        for wrong in ["86400001", "-1", "1s", ""] {
            assert!(milliseconds(wrong).is_err(), "{wrong} was taken");
        }
    }
}
