//! Connections, their deadlines, and the end.

use std::pin::pin;
use std::time::{Duration, Instant};

use axum::Router;
use hyper::server::conn::http1::Builder;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};

use crate::Ending;

/// How long we leave the queue alone when `accept` has failed: there is no descriptor, or no
/// memory.
const PAUSE: Duration = Duration::from_millis(50);

/// What a connection may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// For the head of a request.
    pub header_timeout: Duration,
    /// For those that are served when the server is told to end.
    pub grace: Duration,
}

/// How long those have who are connected and ask for nothing, once the server is to end: what
/// they have sent may be on its way.
const LAST: Duration = Duration::from_secs(1);
/// How often is looked whether anybody is left.
const LOOK: Duration = Duration::from_millis(5);

/// Serves until `end` is over, and then those who were there.
// ANCHOR: serve
pub async fn serve(
    listener: TcpListener,
    routes: Router,
    limits: Limits,
    ending: Ending,
    end: impl Future<Output = ()>,
) {
    let mut http = Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(limits.header_timeout);
    http.max_buf_size(8192).half_close(true);
    let served = GracefulShutdown::new();
    let begin = |stream: TcpStream| {
        let service = TowerToHyperService::new(routes.clone());
        let connection = http.serve_connection(TokioIo::new(stream), service);
        tokio::spawn(served.watch(connection));
    };
    let mut end = pin!(end);
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => begin(stream),
                Err(_) => sleep(PAUSE).await,
            },
            () = &mut end => break,
        }
    }
    ending.begin();
    // Who has come before the end is still in the queue.
    while let Ok(Ok((stream, _))) = timeout(Duration::ZERO, listener.accept()).await {
        begin(stream);
    }
    drop(listener);
    let told = Instant::now();
    while served.count() > 0 && told.elapsed() < LAST.min(limits.grace) {
        sleep(LOOK).await;
    }
    // hyper closes whoever has not begun to ask.
    let left = limits.grace.saturating_sub(told.elapsed());
    let _ = timeout(left, served.shutdown()).await;
}
// ANCHOR_END: serve
