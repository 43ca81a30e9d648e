//! Four clients ask the threaded server for the guestbook at the same moment. The store
//! takes 200 ms for each page.

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
    flags::needs_linux("four-threads")
}

#[cfg(target_os = "linux")]
mod four {
    use std::io;
    use std::net::SocketAddr;
    use std::path::Path;
    use std::sync::Arc;
    use std::thread;
    use std::time::Duration;

    use guestbook::Settings;
    use iterative::start::address_of;
    use iterative::{Files, StoreClient, Worker, four_clients, listen};
    use store::embedded::Embedded;
    use threaded::{Shelf, Threads, accept_and_spawn};

    pub fn clients() -> io::Result<()> {
        let store =
            Embedded::start(Duration::from_millis(200), None).map_err(io::Error::other)?;
        let client = StoreClient::new(store.address(), Duration::from_secs(2));
        let settings = Settings { keep_alive: false, ..Settings::default() };
        let worker = Worker::new(
            Files::new(Path::new("."), false)?,
            client,
            settings,
            Duration::ZERO,
        );
        let listener = listen(SocketAddr::from(([127, 0, 0, 1], 0)), 16)?;
        let address = address_of(&listener).map_err(io::Error::other)?;
        // A server is a thread like any other. It ends with the process.
        thread::spawn(move || {
            accept_and_spawn(listener, &Threads::new(16), &Arc::new(Shelf::new(worker)))
        });
        four_clients(address)
    }
}
