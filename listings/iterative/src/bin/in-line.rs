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
    use std::io::{self, Read, Write};
    use std::net::{SocketAddr, TcpStream};
    use std::path::Path;
    use std::thread;
    use std::time::{Duration, Instant};

    use guestbook::Settings;
    use iterative::{Files, StoreClient, Worker, accept_one_after_another, listen};
    use rustix::net::getsockname;
    use store::Store;

    const REQUEST: &[u8] = b"GET /guestbook HTTP/1.1\r\nHost: localhost\r\n\r\n";

    // ANCHOR: in-line
    pub fn clients() -> io::Result<()> {
        let address = start_server()?;
        let start = Instant::now();
        // The listen queue is first come, first served: connect in order, and send in
        // order.
        let mut connected = Vec::new();
        for client in 1..=4 {
            let mut stream = TcpStream::connect(address)?;
            stream.write_all(REQUEST)?;
            connected.push((client, stream, start.elapsed()));
        }
        for (client, mut stream, since) in connected {
            let mut page = Vec::new();
            stream.read_to_end(&mut page)?;
            let (since, now) = (since.as_millis(), start.elapsed().as_millis());
            println!(
                "client {client}: connected after {since:>3} ms, has its page after {now:>3} ms"
            );
        }
        Ok(())
    }
    // ANCHOR_END: in-line

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
            accept_one_after_another(listener, 16, &mut worker)
        });
        Ok(address)
    }
}
