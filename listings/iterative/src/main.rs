//! The iterative server as a program.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    use clap::Parser;

    /// One request at a time: the iterative server
    #[derive(Parser)]
    #[command(version)]
    struct Command {
        #[command(flatten)]
        server: flags::ServerFlags,

        /// Open a file for every request instead of keeping it open for a second
        #[arg(long)]
        no_file_cache: bool,
    }

    store::embedded::run_if_asked();
    let command: Command = flags::parse();
    match start::run(&command.server, !command.no_file_cache) {
        Ok(()) => ExitCode::SUCCESS,
        Err(line) => flags::fail(flags::FAILED, line),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    flags::needs_linux("iterative")
}

#[cfg(target_os = "linux")]
mod start {
    use std::io::{self, Write};
    use std::net::SocketAddr;

    use flags::{ServerFlags, StoreAt};
    use guestbook::Settings;
    use iterative::{
        Files, StoreClient, Worker, accept_one_after_another, listen, signals,
    };
    use rustix::net::getsockname;
    use store::embedded::Embedded;

    // ANCHOR: run
    pub fn run(flags: &ServerFlags, file_cache: bool) -> Result<(), String> {
        let root = flags.root.display();
        let files = Files::new(&flags.root, file_cache).map_err(|error| {
            format!("cannot serve {root}: {error}; name an existing folder with --root")
        })?;
        let listener = listen(flags.listen, flags.backlog).map_err(|error| {
            format!(
                "cannot listen on {}: {error}; choose another with --listen",
                flags.listen
            )
        })?;
        let address = getsockname(&listener)
            .map_err(io::Error::from)
            .and_then(|name| Ok(SocketAddr::try_from(name)?));
        let address = address.map_err(|error| {
            format!("cannot tell the address that the kernel chose: {error}")
        })?;
        let listener = signals::stop_accepting_on(listener)
            .map_err(|error| format!("cannot catch signals: {error}"))?;

        let (_store, store_address) = start_store(flags)?;
        let store = StoreClient::new(store_address, flags.store_timeout);
        let settings = Settings {
            keep_alive: false,
            header_timeout: flags.header_timeout,
            ..Settings::default()
        };
        let mut worker = Worker::new(files, store, settings, flags.grace);

        writeln!(io::stdout(), "listening on http://{address}")
            .map_err(|error| format!("cannot print the address: {error}"))?;
        accept_one_after_another(listener, flags.backlog, &mut worker)
            .map_err(|error| format!("cannot accept: {error}"))
    }
    // ANCHOR_END: run

    /// Starts the embedded store, or finds the one that was named. The first value keeps
    /// the store running.
    fn start_store(flags: &ServerFlags) -> Result<(Option<Embedded>, SocketAddr), String> {
        match &flags.store {
            StoreAt::Embedded => {
                let store =
                    Embedded::start(flags.store_delay, flags.store_file.as_deref())?;
                let address = store.address();
                Ok((Some(store), address))
            }
            StoreAt::Redis(at) => match StoreClient::find(at, flags.store_timeout) {
                Ok(address) => Ok((None, address)),
                Err(error) => Err(format!(
                    "cannot reach the store at {at}: {error}; start it, or use --store embedded"
                )),
            },
        }
    }
}
