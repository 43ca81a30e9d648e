//! Four clients ask the forking server for the guestbook at the same moment. The store takes
//! 200 ms for each page.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    store::embedded::run_if_asked();
    match four::clients() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => flags::fail(
            flags::FAILED,
            format_args!("cannot serve four at once: {error}; run it again"),
        ),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    flags::needs_linux("four-at-once")
}

#[cfg(target_os = "linux")]
mod four {
    use std::io;
    use std::net::SocketAddr;
    use std::os::fd::OwnedFd;
    use std::path::Path;
    use std::process::exit;
    use std::time::Duration;

    use forking::{Children, ForkResult, accept_and_fork, fork, wait_for};
    use guestbook::Settings;
    use iterative::{Files, StoreClient, Worker, four_clients, listen, signals};
    use nix::sys::signal::Signal;
    use rustix::net::getsockname;
    use rustix::process::kill_process;
    use store::embedded::Embedded;

    const GRACE: Duration = Duration::from_secs(1);

    pub fn clients() -> io::Result<()> {
        let listener = listen(SocketAddr::from(([127, 0, 0, 1], 0)), 16)?;
        let address = SocketAddr::try_from(getsockname(&listener)?)?;
        match fork()? {
            ForkResult::Child => {
                let served = serve(listener);
                exit(i32::from(served.is_err()));
            }
            ForkResult::Parent { child } => {
                drop(listener);
                let result = four_clients(address);
                kill_process(child, rustix::process::Signal::TERM)?;
                wait_for(child)?;
                result
            }
        }
    }

    fn serve(listener: OwnedFd) -> io::Result<()> {
        signals::watch_for(&[Signal::SIGCHLD])?;
        let store =
            Embedded::start(Duration::from_millis(200), None).map_err(io::Error::other)?;
        let files = Files::new(Path::new("."), false)?;
        let client = StoreClient::new(store.address(), Duration::from_secs(2));
        let settings = Settings { keep_alive: false, ..Settings::default() };
        let mut worker = Worker::new(files, client, settings, GRACE);
        let children = Children::new(16, GRACE, Some(store.id()));
        accept_and_fork(listener, children, &mut worker)
    }
}
