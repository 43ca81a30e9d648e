//! Four clients ask the iterative server for the guestbook at the same moment. The store
//! takes 200 ms for each page.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    match four::clients() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => flags::fail(
            flags::FAILED,
            format_args!("cannot stand in line: {error}; run it again"),
        ),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    flags::needs_linux("in-line")
}

#[cfg(target_os = "linux")]
mod four {
    use std::io;
    use std::net::SocketAddr;
    use std::path::Path;
    use std::thread;
    use std::time::Duration;

    use guestbook::Settings;
    use iterative::{
        Files, StoreClient, Worker, accept_one_after_another, four_clients, listen,
    };
    use rustix::net::getsockname;
    use store::Store;

    pub fn clients() -> io::Result<()> {
        four_clients(start_server()?)
    }

    /// The server in a thread, so that one program shows both sides.
    fn start_server() -> io::Result<SocketAddr> {
        let store = Store::spawn_in_process(Duration::from_millis(200), None)
            .map_err(io::Error::other)?;
        let listener = listen(SocketAddr::from(([127, 0, 0, 1], 0)), 16)?;
        let address = SocketAddr::try_from(getsockname(&listener)?)?;
        let files = Files::new(Path::new("."), true)?;
        let client = StoreClient::new(store.address(), Duration::from_secs(2));
        let settings = Settings { keep_alive: false, ..Settings::default() };
        let mut worker = Worker::new(files, client, settings, Duration::from_secs(1));
        thread::spawn(move || {
            let _store = store;
            accept_one_after_another(listener, &mut worker)
        });
        Ok(address)
    }
}
