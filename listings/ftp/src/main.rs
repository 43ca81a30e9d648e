//! The FTP server as a program.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
use uring_loop::start::Failure;

#[cfg(target_os = "linux")]
#[derive(clap::Parser)]
#[command(version)]
/// An FTP server in one thread, for anonymous clients
struct Flags {
    /// Address to listen on; port 0 lets the kernel choose one
    #[arg(long, default_value = "127.0.0.1:2121", value_name = "ADDRESS:PORT")]
    listen: std::net::SocketAddr,

    /// Folder whose files are served
    #[arg(long, default_value = ".", value_name = "DIR")]
    root: std::path::PathBuf,

    /// Folder below the root in which clients may store files; without it they may not
    #[arg(long, value_name = "NAME")]
    uploads: Option<String>,

    /// Longest file that they may store, in bytes
    #[arg(long, default_value = "1073741824", value_name = "BYTES")]
    upload_limit: u64,

    /// Where to wait
    #[arg(long, default_value = "epoll", value_name = "epoll|io_uring")]
    over: Over,

    /// How many threads read and write files, for epoll
    #[arg(long, default_value = "4", value_name = "N", value_parser = flags::at_least_one)]
    file_threads: usize,

    /// How many clients may be in; others wait in the kernel's queue
    #[arg(long, default_value = "4096", value_name = "N", value_parser = flags::at_least_one)]
    max_connections: usize,

    /// How long a client may say nothing, in milliseconds
    #[arg(long, default_value = "300000", value_name = "MS", value_parser = flags::milliseconds)]
    idle_timeout: std::time::Duration,

    /// How long a data connection may stand still, in milliseconds
    #[arg(long, default_value = "60000", value_name = "MS", value_parser = flags::milliseconds)]
    data_timeout: std::time::Duration,

    /// How long finishing transfers may take after SIGTERM, in milliseconds
    #[arg(long, default_value = "10000", value_name = "MS", value_parser = flags::milliseconds)]
    grace: std::time::Duration,
}

#[cfg(target_os = "linux")]
#[derive(Clone, Copy)]
enum Over {
    Epoll,
    Ring,
}

#[cfg(target_os = "linux")]
impl std::str::FromStr for Over {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "epoll" => Ok(Self::Epoll),
            "io_uring" => Ok(Self::Ring),
            _ => Err("it is neither 'epoll' nor 'io_uring'"),
        }
    }
}

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    let flags: Flags = flags::parse();
    match run(flags) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Failed(line)) => flags::fail(flags::FAILED, line),
        Err(Failure::Refused(line)) => flags::fail(flags::REFUSED, line),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    flags::needs_linux("ftp")
}

#[cfg(target_os = "linux")]
fn run(flags: Flags) -> Result<(), Failure> {
    use std::io::Write;

    use ftp::start::{Wanted, get_ready};
    use ftp::{EpollFtp, RingFtp};
    use uring_loop::{Ring, Setup, Work};

    let ring = match flags.over {
        Over::Epoll => None,
        Over::Ring => {
            let setup = Setup { entries: 1024, as_of: None, work: Work::default() };
            let ring = Ring::new(&setup);
            Some(ring.map_err(|error| Failure::Refused(uring_loop::refused(&error)))?)
        }
    };
    let wanted = Wanted {
        listen: flags.listen,
        root: flags.root,
        uploads: flags.uploads,
        upload_limit: flags.upload_limit,
        clients: flags.max_connections,
        idle: flags.idle_timeout,
        stall: flags.data_timeout,
        grace: flags.grace,
    };
    let ready = get_ready(&wanted)?;
    writeln!(std::io::stdout(), "listening on ftp://{}", ready.address)
        .map_err(|error| format!("cannot print the address: {error}"))?;
    let served = match ring {
        None => EpollFtp::new(ready, flags.file_threads).and_then(EpollFtp::run),
        Some(ring) => RingFtp::new(ready, ring).and_then(RingFtp::run),
    };
    served.map_err(|error| format!("cannot go on waiting: {error}").into())
}
