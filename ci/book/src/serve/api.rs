//! What a page of the book may ask for, once it is known to be one: a run, a trace, their end.

use std::ffi::OsString;
use std::process::Command;
use std::sync::{Arc, PoisonError};

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use runs::progress::Progress;
use runs::{Run, exercises};
use serde::Deserialize;
use tokio::sync::{Notify, OwnedSemaphorePermit, mpsc};
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;

use super::{App, RUNS, random};
use crate::run::{self, Event, Stop};

/// Why not, for the page.
type Refusal = (StatusCode, String);

#[derive(Deserialize)]
pub(super) struct Asked {
    name: String,
}

/// Starts a run and answers with its events, one JSON object to a line, until it has ended.
/// Closing the connection ends it.
pub(super) async fn run(State(app): State<Arc<App>>, Json(asked): Json<Asked>) -> Response {
    answer(declared(&app, &asked.name).and_then(|run| start(app, What::Run(run))))
}

/// The same for the check of an exercise: `cargo workshop check`, with what lies in the learner's
/// folder.
pub(super) async fn check(
    State(app): State<Arc<App>>,
    Json(asked): Json<Asked>,
) -> Response {
    let known = exercises::load(&app.root)
        .map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")));
    answer(known.and_then(|known| match known.contains_key(&asked.name) {
        true => start(app, What::Check(asked.name)),
        false => Err((StatusCode::NOT_FOUND, "there is no such exercise\n".to_owned())),
    }))
}

/// All exercises in their order, each with its chapter and how far the learner is.
pub(super) async fn workshop(State(app): State<Arc<App>>) -> Response {
    let known = exercises::in_order(&app.root).and_then(|all| {
        let progress = Progress::read(&app.root)?;
        let one = |placed: &exercises::Placed| {
            let name = &placed.exercise.name;
            let state = progress.state(name).map_or("", |state| state.word());
            let chapter = placed.chapter.with_extension("html");
            serde_json::json!({ "name": name, "chapter": chapter, "state": state })
        };
        Ok(all.iter().map(one).collect::<Vec<_>>())
    });
    match known {
        Ok(all) => Json(all).into_response(),
        Err(error) => {
            (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response()
        }
    }
}

/// The same for a trace of a run's server. There is one at a time.
pub(super) async fn trace(
    State(app): State<Arc<App>>,
    Json(asked): Json<Asked>,
) -> Response {
    answer(declared(&app, &asked.name).and_then(|run| {
        if crate::trace::arguments(&run).is_none() {
            let what = "this run is no server that can be traced\n";
            return Err((StatusCode::NOT_FOUND, what.to_owned()));
        }
        let alone = Arc::clone(&app.tracing).try_acquire_owned().map_err(|_| {
            let busy = "a server is being traced already; stop that first\n";
            (StatusCode::TOO_MANY_REQUESTS, busy.to_owned())
        })?;
        start(app, What::Trace(run, alone))
    }))
}

fn answer(started: Result<Response, Refusal>) -> Response {
    started.unwrap_or_else(IntoResponse::into_response)
}

/// The run of this name.
fn declared(app: &App, name: &str) -> Result<Run, Refusal> {
    let mut all = runs::load(&app.root)
        .map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")))?;
    let unknown = || (StatusCode::NOT_FOUND, "no listing declares this run\n".to_owned());
    all.remove(name).ok_or_else(unknown)
}

/// What is started.
enum What {
    Run(Run),
    /// Under the tracer, and nothing beside it.
    Trace(Run, OwnedSemaphorePermit),
    /// An exercise.
    Check(String),
}

fn start(app: Arc<App>, what: What) -> Result<Response, Refusal> {
    let slot = Arc::clone(&app.slots).try_acquire_owned().map_err(|_| {
        let busy = format!("{RUNS} listings are running already; stop one first\n");
        (StatusCode::TOO_MANY_REQUESTS, busy)
    })?;
    let id = random()
        .map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")))?;

    let (sender, receiver) = mpsc::channel::<Event>(64);
    let stop = stopped(&app, &id, sender.clone());
    tokio::spawn(async move {
        let accepted = Event::Accepted { id: id.clone(), kernel: run::kernel() };
        let _ = sender.send(accepted).await;
        let (root, book) = (&app.root, &app.book);
        match what {
            What::Run(declared) => run::run(root, book, &declared, &sender, stop).await,
            What::Trace(declared, alone) => {
                crate::trace::trace(root, book, &declared, &id, &sender, stop).await;
                drop(alone);
            }
            What::Check(name) => {
                let mut check = Command::new(cargo());
                check.args(["run", "--quiet", "--bin", "workshop", "--", "check", &name]);
                run::command(book, check.current_dir(root), &sender, stop).await;
            }
        }
        app.stops.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        drop(slot);
    });

    let lines = ReceiverStream::new(receiver).map(|event| {
        let mut line = serde_json::to_vec(&event)?;
        line.push(b'\n');
        Ok::<_, serde_json::Error>(Bytes::from(line))
    });
    let kind = [(header::CONTENT_TYPE, "application/x-ndjson")];
    Ok((kind, Body::from_stream(lines)).into_response())
}

fn cargo() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// Completes when the run `id` is to end: somebody says so, the page is gone, or we end.
fn stopped(app: &App, id: &str, page_gone: mpsc::Sender<Event>) -> Stop {
    let stopped = Arc::new(Notify::new());
    app.stops
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .insert(id.to_owned(), Arc::clone(&stopped));
    let mut ending = app.ending.subscribe();
    Box::pin(async move {
        tokio::select! {
            () = stopped.notified() => {}
            () = page_gone.closed() => {}
            _ = ending.wait_for(|ending| *ending) => {}
        }
    })
}

#[derive(Deserialize)]
pub(super) struct Named {
    id: String,
}

/// Stops a run; its own answer then says how it ended.
pub(super) async fn stop(
    State(app): State<Arc<App>>,
    Json(named): Json<Named>,
) -> StatusCode {
    match app.stops.lock().unwrap_or_else(PoisonError::into_inner).get(&named.id) {
        Some(stop) => {
            stop.notify_one();
            StatusCode::NO_CONTENT
        }
        None => StatusCode::NOT_FOUND,
    }
}
