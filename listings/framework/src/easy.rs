//! The guestbook as somebody writes it who has an afternoon.

use std::error::Error;
use std::path::Path;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{Html, Redirect};
use axum::routing::get;
use axum::{Form, Router};
use redis::AsyncCommands;
use redis::aio::ConnectionManager;
use serde::Deserialize;
use tokio::net::TcpListener;
use tower_http::services::ServeDir;

/// The guestbook, and the files of a folder. `store` is `redis://HOST:PORT/`.
///
/// # Errors
/// The store cannot be reached.
// ANCHOR: routes
pub async fn routes(store: &str, root: &Path) -> Result<Router, Box<dyn Error>> {
    let store = ConnectionManager::new(redis::Client::open(store)?).await?;
    Ok(Router::new()
        .route("/guestbook", get(show).post(add))
        .fallback_service(ServeDir::new(root))
        .with_state(store))
}
// ANCHOR_END: routes

/// Serves, for ever.
///
/// # Errors
/// What accept(2) answers, if it is no client's fault.
// ANCHOR: serve
pub async fn serve(listener: TcpListener, routes: Router) -> Result<(), Box<dyn Error>> {
    axum::serve(listener, routes).await?;
    Ok(())
}
// ANCHOR_END: serve

type Failed = (StatusCode, String);

// ANCHOR: show
async fn show(State(mut store): State<ConnectionManager>) -> Result<Html<Vec<u8>>, Failed> {
    let mut both = redis::pipe();
    both.cmd("INCR").arg("visitors").lrange("remarks", 0, 19);
    let (visitors, remarks): (i64, Vec<Vec<u8>>) =
        both.query_async(&mut store).await.map_err(failed)?;
    Ok(Html(guestbook::render(visitors, &remarks)))
}
// ANCHOR_END: show

#[derive(Deserialize)]
struct Remark {
    remark: String,
}

// ANCHOR: add
async fn add(
    State(mut store): State<ConnectionManager>,
    Form(form): Form<Remark>,
) -> Result<Redirect, Failed> {
    let () = store.lpush("remarks", form.remark).await.map_err(failed)?;
    Ok(Redirect::to("/guestbook"))
}
// ANCHOR_END: add

fn failed(error: redis::RedisError) -> Failed {
    (StatusCode::SERVICE_UNAVAILABLE, error.to_string())
}
