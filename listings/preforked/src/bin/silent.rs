//! Four workers, four clients that say nothing, and a fifth that asks: without
//! TCP_DEFER_ACCEPT, with it, and when its time is up.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    match silent::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => flags::fail(
            flags::FAILED,
            format_args!("cannot keep four workers busy: {error}; run it again"),
        ),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    flags::needs_linux("silent")
}

#[cfg(target_os = "linux")]
mod silent {
    use std::io;
    use std::net::{SocketAddr, TcpStream};
    use std::thread;
    use std::time::Duration;

    use iterative::{listen, start::address_of};
    use preforked::crew::{Asked, Crew};
    use preforked::defer_accept;

    const WORKERS: usize = 4;
    const PATIENCE: Duration = Duration::from_millis(300);

    // ANCHOR: silent
    pub fn run() -> io::Result<()> {
        println!("{WORKERS} say nothing, and the next one asks:");
        try_with("accepted at once", None, Duration::ZERO)?;
        let second = Some(Duration::from_secs(1));
        try_with("deferred for 1 s", second, Duration::ZERO)?;
        try_with("2 s later", second, Duration::from_secs(2))
    }

    fn try_with(name: &str, defer: Option<Duration>, wait: Duration) -> io::Result<()> {
        let listener = listen(SocketAddr::from(([127, 0, 0, 1], 0)), 64)?;
        if let Some(time) = defer {
            defer_accept(&listener, time)?;
        }
        let address = address_of(&listener).map_err(io::Error::other)?;
        let _crew = Crew::start(WORKERS, |_| &listener)?;
        let _silent: Vec<TcpStream> =
            (0..WORKERS).map(|_| TcpStream::connect(address)).collect::<Result<_, _>>()?;
        thread::sleep(wait);
        let client = Asked::new(address, b"hello\n")?;
        thread::sleep(PATIENCE);
        let outcome = if client.is_answered()? { "is answered" } else { "waits" };
        println!("{name:<17} it {outcome}");
        Ok(())
    }
    // ANCHOR_END: silent
}
