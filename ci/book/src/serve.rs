//! The book on 127.0.0.1: the site, rebuilt when something changes, and the runs that its
//! pages ask for.
//!
//! A server that executes programs is careful about who asks. It listens on loopback only;
//! it answers to two names, so that no foreign name can be made to point here (DNS
//! rebinding); a POST must come from a page of its own and carry the token that only its
//! own pages know, made anew at each start; and what a page can ask for is a run that a
//! listing declares, with the arguments declared there.

use std::collections::HashMap;
use std::convert::Infallible;
use std::fs;
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::sse::{self, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tokio::net::TcpListener;
use tokio::sync::{Notify, Semaphore, mpsc, watch};
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::WatchStream;
use tower_http::services::{ServeDir, ServeFile};

use crate::{guard, site, trace};

mod api;

/// The header that carries the token.
const TOKEN: &str = "x-run-token";
/// Runs at once, of all pages together.
const RUNS: usize = 4;
/// A request's body is a name.
const BODY: usize = 4096;
/// Editors write a file in several steps; building waits until nothing has happened for
/// this long.
const QUIET: Duration = Duration::from_millis(150);

/// What a page may load and run: files of this server. Styles may stand in the page, since
/// mermaid puts them into its diagrams.
const POLICY: &str = "default-src 'self'; script-src 'self'; \
    style-src 'self' 'unsafe-inline'; img-src 'self' data:; object-src 'none'; \
    base-uri 'self'; form-action 'none'; frame-ancestors 'self'";

/// Stands for every page until the book has been built once; the script in it says why.
const UNBUILT: &str = "<!DOCTYPE html>
<html lang=\"en\">
<head><title>The book does not build</title></head>
<body></body>
</html>
";

/// What all requests share.
struct App {
    root: PathBuf,
    site: PathBuf,
    /// This program, which guards what it starts.
    book: PathBuf,
    port: u16,
    /// The chapters have the speaker's notes at their heads.
    notes: bool,
    token: String,
    slots: Arc<Semaphore>,
    /// For one trace: another beside it would show in both.
    tracing: Arc<Semaphore>,
    /// The runs that can be stopped, by number.
    stops: Mutex<HashMap<String, Arc<Notify>>>,
    built: watch::Sender<Built>,
    ending: watch::Sender<bool>,
}

/// The state of the site.
#[derive(Clone, Debug, Default)]
struct Built {
    /// Changes with each build that succeeds, and with each start.
    version: String,
    /// Why the last build did not succeed.
    error: Option<String>,
    /// The runs that can be traced, with spaces between their names.
    traced: String,
}

/// Builds the book in `root` and serves it on 127.0.0.1 until SIGINT or SIGTERM; port 0
/// lets the kernel choose one. `notes`: a speaker sees it.
///
/// # Errors
/// A port in use, and whatever keeps the process from starting threads or watching signals.
/// A book that does not build is no error: the page shows why.
pub fn serve(root: &Path, port: u16, notes: bool) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(serving(root, port, notes))
}

async fn serving(root: &Path, port: u16, notes: bool) -> Result<()> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let listener = TcpListener::bind(address).await.with_context(|| {
        format!("cannot listen on {address}; choose another port with --port")
    })?;
    let port = listener.local_addr()?.port();
    let signal = signal()?;
    println!("listening on http://127.0.0.1:{port}");

    let token = random()?;
    let app = Arc::new(App {
        root: root.to_path_buf(),
        site: root.join("target/book"),
        // The path, taken now: after a rebuild the kernel would call this program deleted.
        book: std::env::current_exe()?,
        port,
        notes,
        token,
        slots: Arc::new(Semaphore::new(RUNS)),
        tracing: Arc::new(Semaphore::new(1)),
        stops: Mutex::default(),
        built: watch::Sender::new(Built::default()),
        ending: watch::Sender::new(false),
    });
    let (changed, changes) = mpsc::unbounded_channel();
    let watcher = crate::watch::watch(root, changed);
    if let Err(error) = &watcher {
        eprintln!("cannot watch for changes: {error}; start again to see them");
    }

    tokio::select! {
        // Until the first build is done, clients wait in the listen queue.
        served = async {
            rebuild(&app).await?;
            tokio::spawn(rebuilding(Arc::clone(&app), changes));
            let router = router(Arc::clone(&app));
            axum::serve(listener, router).await.map_err(anyhow::Error::from)
        } => served?,
        () = signal => {}
    }

    app.ending.send_replace(true);
    let all = app.slots.acquire_many(RUNS as u32);
    let _ = tokio::time::timeout(guard::GRACE + Duration::from_secs(2), all).await;
    // A build in progress does not hold us up.
    std::process::exit(0)
}

/// Completes at SIGINT and, where there is such a thing, SIGTERM. They are caught from here
/// on.
fn signal() -> Result<impl Future<Output = ()>> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        Ok(async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        })
    }
    #[cfg(not(unix))]
    Ok(async {
        let _ = tokio::signal::ctrl_c().await;
    })
}

/// Builds again after each change.
async fn rebuilding(app: Arc<App>, mut changes: mpsc::UnboundedReceiver<()>) {
    while changes.recv().await.is_some() {
        while let Ok(Some(())) = tokio::time::timeout(QUIET, changes.recv()).await {}
        if let Err(error) = rebuild(&app).await {
            eprintln!("{error:#}");
        }
    }
}

/// Builds beside the site and takes its place, so that a page is there at any time.
async fn rebuild(app: &Arc<App>) -> Result<()> {
    let since = Instant::now();
    let (root, site) = (app.root.clone(), app.site.clone());
    let built = tokio::task::spawn_blocking(move || {
        let next = site.with_extension("next");
        let _ = fs::remove_dir_all(&next);
        site::build(&root, &next)?;
        let last = site.with_extension("last");
        let _ = fs::remove_dir_all(&last);
        let _ = fs::rename(&site, &last);
        fs::rename(&next, &site)
            .with_context(|| format!("cannot write {}", site.display()))?;
        let _ = fs::remove_dir_all(&last);
        anyhow::Ok(())
    })
    .await
    .map_err(|_| anyhow!("mdBook panicked"))
    .flatten();
    match built {
        Ok(()) => {
            println!("built in {:.1} s", since.elapsed().as_secs_f64());
            let (version, traced) = (random()?, traced(&app.root));
            app.built.send_replace(Built { version, error: None, traced });
        }
        Err(error) => {
            eprintln!("{error:#}");
            app.built.send_modify(|built| built.error = Some(format!("{error:#}")));
        }
    }
    Ok(())
}

/// The names of the runs that can be traced: what a page puts a button under.
fn traced(root: &Path) -> String {
    if !cfg!(target_os = "linux") {
        return String::new();
    }
    // Whoever asks for a run hears what is wrong with its declaration.
    let all = runs::load(root).unwrap_or_default();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_/".contains(c);
    let servers = all.values().filter(|run| trace::arguments(run).is_some());
    let names = servers.map(|run| run.name.as_str()).filter(|name| name.chars().all(plain));
    names.collect::<Vec<_>>().join(" ")
}

/// 128 bits from the kernel, in hexadecimal.
fn random() -> Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| anyhow!("no randomness: {error}"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn router(app: Arc<App>) -> Router {
    let api = Router::new()
        .route("/api/run", post(api::run))
        .route("/api/trace", post(api::trace))
        .route("/api/check", post(api::check))
        .route("/api/stop", post(api::stop))
        .route_layer(from_fn_with_state(Arc::clone(&app), only_own_pages))
        .layer(DefaultBodyLimit::max(BODY))
        .route("/api/events", get(events))
        .route("/api/workshop", get(api::workshop))
        .route(
            "/api/live.js",
            get(([(header::CONTENT_TYPE, "text/javascript")], include_str!("live.js"))),
        );
    let files = ServeDir::new(&app.site)
        .not_found_service(ServeFile::new(app.site.join("404.html")));
    let pages = Router::new()
        .fallback_service(files)
        .layer(from_fn_with_state(Arc::clone(&app), page));
    api.fallback_service(pages)
        .layer(from_fn_with_state(Arc::clone(&app), only_own_names))
        .with_state(app)
}

/// 421 for a name that is not ours.
async fn only_own_names(
    State(app): State<Arc<App>>,
    request: Request,
    next: Next,
) -> Response {
    if app.own_host(request.headers()).is_none() {
        let here =
            format!("this is 127.0.0.1:{}, under no other name but localhost\n", app.port);
        return (StatusCode::MISDIRECTED_REQUEST, here).into_response();
    }
    next.run(request).await
}

/// 403 for a request that none of our pages has made.
// ANCHOR: own-pages
async fn only_own_pages(
    State(app): State<Arc<App>>,
    request: Request,
    next: Next,
) -> Response {
    let headers = request.headers();
    let origin = headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok());
    let own = app.own_host(headers).map(|host| format!("http://{host}"));
    if origin.is_none() || origin != own.as_deref() {
        return (StatusCode::FORBIDDEN, "only a page of this book may ask for this\n")
            .into_response();
    }
    if headers.get(TOKEN).is_none_or(|token| token != app.token.as_str()) {
        return (StatusCode::FORBIDDEN, "the page is older than this server; reload it\n")
            .into_response();
    }
    next.run(request).await
}
// ANCHOR_END: own-pages

impl App {
    /// The request's `Host`, if it is one of ours.
    fn own_host<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        let host = headers.get(header::HOST)?.to_str().ok()?;
        let own = ["127.0.0.1", "localhost"]
            .iter()
            .any(|name| *host == format!("{name}:{}", self.port));
        own.then_some(host)
    }
}

/// A file of the site. An HTML page gets what only this server can give: the token, and the
/// script that shows new builds.
async fn page(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    // A page depends on more than its file, so it is always sent whole.
    let conditions = [
        header::IF_MODIFIED_SINCE,
        header::IF_UNMODIFIED_SINCE,
        header::IF_NONE_MATCH,
        header::RANGE,
    ];
    for condition in conditions {
        request.headers_mut().remove(condition);
    }
    let built = app.built.borrow().clone();
    let path = request.uri().path().trim_start_matches('/').to_owned();
    let (mut head, body) = next.run(request).await.into_parts();
    let html = head
        .headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    let nothing_built = built.version.is_empty() && head.status == StatusCode::NOT_FOUND;
    head.headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if !html && !nothing_built {
        return Response::from_parts(head, body);
    }
    let Ok(body) = to_bytes(body, usize::MAX).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let mut text = String::from_utf8_lossy(&body).into_owned();
    if nothing_built {
        head.status = StatusCode::SERVICE_UNAVAILABLE;
        head.headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/html; charset=utf-8"),
        );
        text = UNBUILT.into();
    }
    if app.notes
        && let Some(notes) = aids::notes(&app.root, &path)
        && let Some((before, after)) =
            text.split_once("<main id=\"book-text\" tabindex=\"-1\">")
    {
        text = format!(
            "{before}<main id=\"book-text\" tabindex=\"-1\">\n<details class=\"notes\"><summary>Speaker's notes</summary>\n{notes}</details>\n{after}"
        );
    }
    let (token, version, traced) = (&app.token, &built.version, &built.traced);
    let added = format!(
        "<head>
<meta name=\"run-token\" content=\"{token}\">
<meta name=\"book-version\" content=\"{version}\">
<meta name=\"traced-runs\" content=\"{traced}\">
<script src=\"/api/live.js\" defer></script>"
    );
    head.headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    head.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(head, Body::from(text.replacen("<head>", &added, 1)))
}

/// Server-sent events: the site's version and, if the last build failed, why; at once and
/// at each build.
async fn events(State(app): State<Arc<App>>) -> impl IntoResponse {
    let states = WatchStream::new(app.built.subscribe()).map(|built| {
        let state = serde_json::json!({ "version": built.version, "error": built.error });
        Ok::<_, Infallible>(sse::Event::default().data(state.to_string()))
    });
    Sse::new(states).keep_alive(KeepAlive::default())
}
