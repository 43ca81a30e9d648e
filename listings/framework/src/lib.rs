//! The guestbook on a framework: axum for HTTP, Tokio for everything that waits.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `lib.rs` | [`routes`]: what is answered, and by which function |
//! | `book.rs` | [`Book`]: visitors and remarks, in a store that speaks the Redis protocol |
//! | `files.rs` | [`Files`]: files below a folder, and nothing else |
//! | `serve.rs` | [`serve`]: connections, their deadlines, and the end |
//! | `easy.rs` | the same without any of the care |
//! | `asked.rs` | a client for the experiments |
//!
//! There is no loop over clients in it, and no call that waits. Both are in the libraries.
#![cfg(target_os = "linux")]

pub mod asked;
mod book;
pub mod easy;
mod files;
mod serve;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Form;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, Version, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::get;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::Deserialize;
use tokio::time::timeout;

pub use book::{Book, Unavailable};
pub use files::Files;
pub use serve::{Limits, serve};

/// How large a request's body may be, in bytes.
const BODY: usize = 64 * 1024;

/// Whether the server is to end, for all who have to know.
#[derive(Clone, Debug, Default)]
pub struct Ending(Arc<AtomicBool>);

impl Ending {
    /// It is.
    pub fn begin(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn has_begun(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// What the handlers work with.
#[derive(Clone, Debug)]
struct App {
    book: Book,
    files: Files,
}

/// What the form sends.
#[derive(Debug, Deserialize)]
struct Remark {
    remark: String,
}

/// The guestbook, and the files of a folder. A request's body may take `body_timeout`.
// ANCHOR: routes
pub fn routes(book: Book, files: Files, ending: Ending, body_timeout: Duration) -> Router {
    Router::new()
        .route("/guestbook", get(show).post(add))
        .fallback(file)
        .with_state(App { book, files })
        .layer(from_fn_with_state(body_timeout, be_strict))
        .layer(from_fn_with_state(ending, say_goodbye))
}
// ANCHOR_END: routes

// ANCHOR: show
async fn show(State(app): State<App>) -> Result<impl IntoResponse, Unavailable> {
    let (visitors, remarks) = app.book.visit().await?;
    let page = Html(guestbook::render(visitors, &remarks));
    Ok(([(header::CACHE_CONTROL, "no-store")], page))
}
// ANCHOR_END: show

// ANCHOR: add
async fn add(
    State(app): State<App>,
    Form(form): Form<Remark>,
) -> Result<Response, Unavailable> {
    let remark = form.remark.trim();
    if !guestbook::is_remark(remark) {
        return Ok(StatusCode::BAD_REQUEST.into_response());
    }
    app.book.add(remark).await?;
    Ok(Redirect::to("/guestbook").into_response())
}
// ANCHOR_END: add

async fn file(State(app): State<App>, request: Request) -> Response {
    match *request.method() {
        Method::GET | Method::HEAD => app.files.serve(request).await,
        _ => {
            (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "GET, HEAD")]).into_response()
        }
    }
}

/// Once the server is to end, each response is the last on its connection.
// ANCHOR: goodbye
async fn say_goodbye(
    State(ending): State<Ending>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = next.run(request).await;
    if ending.has_begun() {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
    }
    response
}
// ANCHOR_END: goodbye

/// Refuses what hyper lets through, and what others might read in another way; and whose body
/// is too large, or late, or no body. The handlers get it whole.
// ANCHOR: strict
async fn be_strict(
    State(body_timeout): State<Duration>,
    request: Request,
    next: Next,
) -> Response {
    let (head, body) = request.into_parts();
    let refused = if !is_clear(&head) {
        StatusCode::BAD_REQUEST
    } else if length(&head).is_some_and(|length| length > BODY as u64) {
        StatusCode::PAYLOAD_TOO_LARGE
    } else {
        match timeout(body_timeout, Limited::new(body, BODY).collect()).await {
            Ok(Ok(body)) => {
                let request = Request::from_parts(head, Body::from(body.to_bytes()));
                return next.run(request).await;
            }
            Ok(Err(error)) if error.is::<LengthLimitError>() => {
                StatusCode::PAYLOAD_TOO_LARGE
            }
            Ok(Err(_)) => StatusCode::BAD_REQUEST,
            Err(_) => StatusCode::REQUEST_TIMEOUT,
        }
    };
    (refused, [(header::CONNECTION, "close")]).into_response()
}

/// It has one host, which is one, and says at most once how long its body is, in a way that
/// we know.
fn is_clear(head: &Parts) -> bool {
    let all = |name: HeaderName| head.headers.get_all(name).iter();
    let is_host = |host: &HeaderValue| {
        Authority::try_from(host.as_bytes()).is_ok() && !host.as_bytes().contains(&b'@')
    };
    let hosts = all(header::HOST).count();
    let codings = all(header::TRANSFER_ENCODING).count();
    (hosts == 1 || hosts == 0 && head.version == Version::HTTP_10)
        && all(header::HOST).all(is_host)
        && all(header::TRANSFER_ENCODING)
            .all(|c| c.as_bytes().eq_ignore_ascii_case(b"chunked"))
        && all(header::CONTENT_LENGTH).count() + codings <= 1
}

/// How long it says that its body is.
fn length(head: &Parts) -> Option<u64> {
    head.headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
// ANCHOR_END: strict
