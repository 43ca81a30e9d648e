//! The guestbook on a framework, as a program.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    use clap::Parser;

    /// The guestbook on a framework: axum and Tokio
    #[derive(Parser)]
    #[command(version)]
    struct Command {
        #[command(flatten)]
        server: flags::ServerFlags,

        /// How many threads run whatever is ready
        #[arg(long, default_value = "2", value_name = "N", value_parser = flags::at_least_one)]
        workers: usize,
    }

    store::embedded::run_if_asked();
    let command: Command = flags::parse();
    match linux::run(&command.server, command.workers) {
        Ok(()) => ExitCode::SUCCESS,
        Err(line) => flags::fail(flags::FAILED, line),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    flags::needs_linux("framework")
}

#[cfg(target_os = "linux")]
mod linux {
    use std::io;
    use std::net::SocketAddr;
    use std::time::Duration;

    use flags::ServerFlags;
    use framework::{Book, Ending, Files, Limits, routes, serve};
    use rustix::net::sockopt;
    use tokio::net::{TcpListener, TcpSocket};
    use tokio::runtime::Builder;
    use tokio::signal::unix::{SignalKind, signal};

    /// How many threads there may be for files at a time.
    const POOL: usize = 16;

    // ANCHOR: run
    pub fn run(flags: &ServerFlags, workers: usize) -> Result<(), String> {
        let files = Files::below(&flags.root).map_err(|error| {
            let root = flags.root.display();
            format!("cannot serve {root}: {error}; name an existing folder with --root")
        })?;
        let (_store, address) = iterative::start::start_store(flags)?;
        let runtime = Builder::new_multi_thread()
            .worker_threads(workers)
            .max_blocking_threads(POOL)
            .thread_keep_alive(Duration::from_secs(3600))
            .enable_all()
            .build()
            .map_err(|error| format!("cannot start threads: {error}"))?;
        runtime.block_on(async {
            let listener = listen(flags).map_err(|error| {
                format!(
                    "cannot listen on {}: {error}; choose another with --listen",
                    flags.listen
                )
            })?;
            let book = Book::at(address, flags.store_timeout)
                .map_err(|error| format!("cannot use the store at {address}: {error}"))?;
            let end = end().map_err(|error| format!("cannot catch signals: {error}"))?;
            let limits =
                Limits { header_timeout: flags.header_timeout, grace: flags.grace };
            let ending = Ending::default();
            let routes = routes(book, files, ending.clone(), flags.body_timeout);
            serve(listener, routes, limits, ending, end).await;
            Ok(())
        })
    }

    /// Is over with SIGTERM or SIGINT.
    fn end() -> io::Result<impl Future<Output = ()>> {
        let mut term = signal(SignalKind::terminate())?;
        let mut int = signal(SignalKind::interrupt())?;
        Ok(async move {
            tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} }
        })
    }
    // ANCHOR_END: run

    fn listen(flags: &ServerFlags) -> io::Result<TcpListener> {
        let socket = match flags.listen {
            SocketAddr::V4(_) => TcpSocket::new_v4(),
            SocketAddr::V6(_) => TcpSocket::new_v6(),
        }?;
        socket.set_reuseaddr(true)?;
        socket.set_nodelay(true)?;
        // Whoever is accepted has it from the listener. It is a day at most, and 0 would be the
        // kernel's own limit, of a quarter of an hour.
        let unread = (flags.send_timeout.as_millis() as u32).max(1);
        sockopt::set_tcp_user_timeout(&socket, unread)?;
        socket.bind(flags.listen)?;
        let listener = socket.listen(flags.backlog.cast_unsigned())?;
        println!("listening on http://{}", listener.local_addr()?);
        Ok(listener)
    }
}
