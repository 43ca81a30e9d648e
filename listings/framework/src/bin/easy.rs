//! The guestbook as somebody writes it who has an afternoon, as a program.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    use clap::Parser;

    /// The guestbook as somebody writes it who has an afternoon
    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        server: flags::ServerFlags,
    }

    store::embedded::run_if_asked();
    let command: Command = flags::parse();
    match run(&command.server) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => flags::fail(flags::FAILED, format_args!("cannot serve: {error}")),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    flags::needs_linux("easy")
}

#[cfg(target_os = "linux")]
fn run(flags: &flags::ServerFlags) -> Result<(), Box<dyn std::error::Error>> {
    use framework::easy::{routes, serve};

    let store = store::embedded::Embedded::start(flags.store_delay, None)?;
    let store = format!("redis://{}/", store.address());
    // ANCHOR: run
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let routes = routes(&store, &flags.root).await?;
        let listener = tokio::net::TcpListener::bind(flags.listen).await?;
        println!("listening on http://{}", listener.local_addr()?);
        serve(listener, routes).await
    })
    // ANCHOR_END: run
}
