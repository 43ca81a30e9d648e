//! Four clients ask the select server for the guestbook at the same moment. The store takes
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
    flags::needs_linux("four-in-one")
}

#[cfg(target_os = "linux")]
mod four {
    use std::fs;
    use std::io;
    use std::net::SocketAddr;
    use std::os::fd::OwnedFd;
    use std::path::Path;
    use std::process::exit;
    use std::time::Duration;

    use forking::{ForkResult, fork, wait_for};
    use guestbook::Settings;
    use iterative::{Files, four_clients, listen};
    use rustix::io::ioctl_fionbio;
    use rustix::net::getsockname;
    use rustix::process::{Signal, kill_process};
    use select_loop::{Door, House, SelectLoop, Stop, StoreLink};
    use store::embedded::Embedded;

    pub fn clients() -> io::Result<()> {
        let listener = listen(SocketAddr::from(([127, 0, 0, 1], 0)), 16)?;
        let address = SocketAddr::try_from(getsockname(&listener)?)?;
        match fork()? {
            ForkResult::Child => exit(i32::from(serve(listener).is_err())),
            ForkResult::Parent { child } => {
                drop(listener);
                let result = four_clients(address);
                let threads = fs::read_dir(format!("/proc/{child}/task"))?.count();
                println!("threads of the server: {threads}");
                kill_process(child, Signal::TERM)?;
                wait_for(child)?;
                result
            }
        }
    }

    fn serve(listener: OwnedFd) -> io::Result<()> {
        let stop = Stop::new()?;
        ioctl_fionbio(&listener, true)?;
        let store =
            Embedded::start(Duration::from_millis(200), None).map_err(io::Error::other)?;
        let files = Files::new(Path::new("."), false)?;
        let link = StoreLink::new(store.address(), Duration::from_secs(2));
        let settings = Settings { keep_alive: false, ..Settings::default() };
        let house = House::new(files, link, settings, Duration::from_secs(1));
        SelectLoop::new(house, Door::new(listener, 16), stop).run()
    }
}
