//! A handler that takes a while, three times: does anybody else have to wait for it?

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    match linux::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => flags::fail(flags::FAILED, error),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    flags::needs_linux("blocks")
}

#[cfg(target_os = "linux")]
mod linux {
    use std::error::Error;
    use std::time::{Duration, Instant};

    use axum::Router;
    use axum::routing::get;
    use framework::asked::{asks, status};

    const THREADS: usize = 2;
    const TIME: Duration = Duration::from_millis(600);

    // ANCHOR: handlers
    async fn sleeps() -> &'static str {
        std::thread::sleep(TIME); // or a hash of a password, or a query that is not async
        "done"
    }

    async fn sleeps_elsewhere() -> &'static str {
        let slept = tokio::task::spawn_blocking(|| std::thread::sleep(TIME)).await;
        slept.map_or("it has died", |()| "done")
    }

    async fn waits() -> &'static str {
        tokio::time::sleep(TIME).await;
        "done"
    }
    // ANCHOR_END: handlers

    pub fn run() -> Result<(), Box<dyn Error>> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(THREADS)
            .enable_all()
            .build()?;
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))?;
        let server = listener.local_addr()?;
        let routes = Router::new()
            .route("/", get(async || "at once"))
            .route("/sleeps", get(sleeps))
            .route("/sleeps-elsewhere", get(sleeps_elsewhere))
            .route("/waits", get(waits));
        runtime.spawn(async { axum::serve(listener, routes).await });
        println!("{THREADS} threads, {THREADS} clients in the handler; another client");
        for path in ["/sleeps", "/sleeps-elsewhere", "/waits"] {
            let busy = (0..THREADS).map(|_| asks(server, path));
            let busy: Vec<_> = busy.collect::<Result<_, _>>()?;
            std::thread::sleep(TIME / 4);
            let asked = Instant::now();
            let came = status(asks(server, "/")?, 10 * TIME);
            // Half of what the handlers have left.
            let word = if asked.elapsed() < TIME * 3 / 8 {
                "at once"
            } else {
                "when they have done"
            };
            println!("{path:<18} {came}, {word}");
            for client in busy {
                status(client, 10 * TIME);
            }
        }
        runtime.shutdown_background();
        Ok(())
    }
}
