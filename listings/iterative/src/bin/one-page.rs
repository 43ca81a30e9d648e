//! One page of the guestbook, from a store that takes 140 ms: what the server did
//! meanwhile.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    match one::page() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => flags::fail(
            flags::FAILED,
            format_args!("cannot serve one page: {error}; run it again"),
        ),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    flags::needs_linux("one-page")
}

#[cfg(target_os = "linux")]
mod one {
    use std::io::{self, Read, Write};
    use std::net::{SocketAddr, TcpStream};
    use std::path::Path;
    use std::thread;
    use std::time::{Duration, Instant};

    use guestbook::Settings;
    use iterative::{Files, StoreClient, Worker, listen};
    use rustix::net::{SocketFlags, accept_with, getsockname};
    use rustix::time::{ClockId, clock_gettime};
    use store::Store;

    const DELAY: Duration = Duration::from_millis(140);

    // ANCHOR: one-page
    pub fn page() -> io::Result<()> {
        let store = Store::spawn_in_process(DELAY, None).map_err(io::Error::other)?;
        let listener = listen(SocketAddr::from(([127, 0, 0, 1], 0)), 16)?;
        let address = SocketAddr::try_from(getsockname(&listener)?)?;
        let client = StoreClient::new(store.address(), Duration::from_secs(2));
        let settings = Settings { keep_alive: false, ..Settings::default() };
        let mut worker = Worker::new(
            Files::new(Path::new("."), true)?,
            client,
            settings,
            Duration::ZERO,
        );
        let browser = thread::spawn(move || ask(address));

        let connection = accept_with(&listener, SocketFlags::CLOEXEC)?;
        let (start, cpu_before) = (Instant::now(), cpu_time());
        worker.serve(&connection, &|| false);
        let (wall, cpu) = (start.elapsed(), cpu_time() - cpu_before);
        // ANCHOR_END: one-page
        drop(connection);
        browser.join().map_err(|_| io::Error::other("the client failed"))??;

        println!("one page, from a store that takes {} ms", DELAY.as_millis());
        println!("the server had the request for   {:>7.2} ms", wall.as_secs_f64() * 1e3);
        println!("the processor worked on it for   {:>7.2} ms", cpu.as_secs_f64() * 1e3);
        println!(
            "somebody waited for              {:>7.2} ms",
            (wall - cpu).as_secs_f64() * 1e3
        );
        Ok(())
    }

    /// For how long a processor has executed this thread.
    fn cpu_time() -> Duration {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        Duration::from_secs(time.tv_sec.unsigned_abs())
            + Duration::from_nanos(time.tv_nsec.unsigned_abs())
    }

    fn ask(address: SocketAddr) -> io::Result<()> {
        let mut stream = TcpStream::connect(address)?;
        stream.write_all(b"GET /guestbook HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
        stream.read_to_end(&mut Vec::new()).map(|_| ())
    }
}
