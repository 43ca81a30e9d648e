//! One of four workers is stuck for a second. Who of the next 40 clients waits for it: with
//! one queue for all workers, and with a queue for each?

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    match stuck::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => flags::fail(
            flags::FAILED,
            format_args!("cannot ask 40 times: {error}; run it again"),
        ),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    flags::needs_linux("stuck")
}

#[cfg(target_os = "linux")]
mod stuck {
    use std::io;
    use std::net::SocketAddr;
    use std::thread;

    use iterative::{listen, start::address_of};
    use preforked::Listeners;
    use preforked::crew::{Asked, Crew, NAP, SLEEP};

    const WORKERS: usize = 4;
    const CLIENTS: usize = 40;

    // ANCHOR: stuck
    pub fn run() -> io::Result<()> {
        println!("half a second later, still waiting:");
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        try_with("one queue for all", Listeners::shared(listen(any, 64)?))?;
        try_with("a queue for each", Listeners::one_each(WORKERS, any, 64)?)
    }

    fn try_with(name: &str, listeners: Listeners) -> io::Result<()> {
        let address = address_of(listeners.of(0)).map_err(io::Error::other)?;
        let crew = Crew::start(WORKERS, |number| listeners.of(number - 1))?;
        crew.sleep_in_accept()?;
        let sleeper = Asked::new(address, SLEEP)?;
        crew.sleep_in_accept()?;
        let clients: Vec<Asked> = (0..CLIENTS)
            .map(|_| Asked::new(address, b"hello\n"))
            .collect::<Result<_, _>>()?;
        thread::sleep(NAP / 2);
        let mut waiting = 0;
        for client in &clients {
            waiting += usize::from(!client.is_answered()?);
        }
        println!("{name:<18} {waiting:>2} of {CLIENTS} clients");
        sleeper.answer()?;
        clients.into_iter().try_for_each(|client| client.answer().map(drop))?;
        Ok(())
    }
    // ANCHOR_END: stuck
}
