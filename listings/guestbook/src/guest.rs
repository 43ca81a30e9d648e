//! One connected client: HTTP in front, the application behind, and no I/O in either.

use std::io;
use std::time::{Duration, Instant};

use http1::{
    Body, Connection, Finish, Kind, Meta, Method, Now, Out, Request, Response, Settings,
    content_type, static_file,
};

use crate::page;
use crate::path::RelPath;
use crate::store::{Reply, StoreCall, StoreError};

/// Something that the application cannot do itself, because it would have to wait for it.
// ANCHOR: job
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Job {
    /// Open this file below the root, and say what it is: [`Guest::opened`].
    Open(RelPath),
    /// Ask the store: [`Guest::stored`].
    Store(StoreCall),
}
// ANCHOR_END: job

/// What the client waits for.
#[derive(Debug)]
enum Task {
    /// A file, which is of this type.
    File(Box<Request>, &'static str),
    Visit,
    Remark,
}

/// One connected client. `F` is the driver's file handle.
///
/// Between any two calls the driver asks five questions: is there a job, is there output,
/// how much may I read, until when may I wait, are we finished.
#[derive(Debug)]
pub struct Guest<F> {
    http: Connection<F>,
    task: Option<Task>,
    job: Option<Job>,
    store_timeout: Duration,
    store_by: Option<Instant>,
}

impl<F> Guest<F> {
    /// A client that was accepted just now. The store has `store_timeout` for each reply.
    pub fn new(settings: Settings, store_timeout: Duration, now: Now) -> Self {
        let http = Connection::new(settings, now);
        Self { http, task: None, job: None, store_timeout, store_by: None }
    }

    /// How many bytes the driver may read now; 0: none.
    pub fn room(&self) -> usize {
        self.http.room()
    }

    /// Bytes arrived from the client. Legal in any state.
    pub fn received(&mut self, bytes: &[u8], now: Now) {
        self.http.received(bytes, now);
        self.answer(now);
    }

    /// The client has ended its side.
    pub fn eof(&mut self, now: Now) {
        self.http.eof();
        self.answer(now);
    }

    /// What is to be done before this client can be answered, once. One job is outstanding
    /// at a time.
    pub fn take_job(&mut self) -> Option<Job> {
        self.job.take()
    }

    /// Whether a reply of the store is still expected. After a deadline it may not be.
    pub fn awaits_store(&self) -> bool {
        self.store_by.is_some()
    }

    /// The outcome of [`Job::Open`].
    pub fn opened(&mut self, result: io::Result<(F, Meta)>, now: Now) {
        let Some(Task::File(request, content_type)) =
            self.task.take_if(|task| matches!(task, Task::File(..)))
        else {
            return;
        };
        let response = match result {
            Ok((file, meta)) if meta.kind == Kind::File => {
                static_file(&request, file, &meta, content_type)
                    .field("X-Content-Type-Options", "nosniff")
            }
            // A folder's page has relative links: they need the folder's slash.
            Ok((_, meta)) if meta.kind == Kind::Folder => {
                let query =
                    request.query.map(|query| format!("?{query}")).unwrap_or_default();
                Response::plain(301).field("Location", format!("{}/{query}", request.path))
            }
            Ok(_) => Response::plain(404),
            Err(error) => Response::plain(open_failure(&error)),
        };
        self.respond(response, now);
    }

    /// The outcome of [`Job::Store`]. After the deadline it comes too late and is ignored.
    pub fn stored(&mut self, result: Result<Reply, StoreError>, now: Now) {
        if self.store_by.take().is_none() {
            return;
        }
        let task = self.task.take();
        let response = match (task, result) {
            (Some(Task::Visit), Ok(reply)) => match reply.visit() {
                Some((visitors, remarks)) => html(page::render(visitors, &remarks)),
                None => unavailable(),
            },
            (Some(Task::Remark), Ok(reply)) if reply.added() => Response::plain(303)
                .field("Location", "/guestbook")
                .field("Cache-Control", "no-store"),
            _ => unavailable(),
        };
        self.respond(response, now);
    }

    /// The next piece to send; the driver's until [`Guest::sent`].
    pub fn take_output(&mut self) -> Option<Out<F>> {
        self.http.take_output()
    }

    /// The file behind the piece that is out, if it is small; given back before that.
    pub fn take_small_file(&mut self, at_most: u64) -> Option<Out<F>> {
        self.http.take_small_file(at_most)
    }

    /// More waits behind the piece that is out.
    pub fn has_more_output(&self) -> bool {
        self.http.has_more_output()
    }

    /// Gives a piece back of which the kernel took `n` bytes.
    pub fn sent(&mut self, out: Out<F>, n: u64, now: Now) {
        self.http.sent(out, n, now);
        self.answer(now);
    }

    /// Reading or sending failed, or a file ended early.
    pub fn fail(&mut self) {
        (self.job, self.task, self.store_by) = (None, None, None);
        self.http.fail();
    }

    /// When [`Guest::expired`] is to be called, if nothing happens first.
    pub fn deadline(&self) -> Option<Instant> {
        [self.http.deadline(), self.store_by].into_iter().flatten().min()
    }

    /// Tells that time has passed. Does nothing before the deadline.
    pub fn expired(&mut self, now: Now) {
        if self.store_by.is_some_and(|by| now.mono >= by) {
            self.job = None;
            self.stored(Err(StoreError::Late), now);
        }
        self.http.expired(now);
    }

    /// The server is shutting down: what was begun is finished, then the connection closes.
    pub fn drain(&mut self) {
        self.http.drain();
    }

    /// Before the first request, or between two: the client has all its answers.
    pub fn is_idle(&self) -> bool {
        self.http.is_idle()
    }

    /// Nothing more that the client says is answered.
    pub fn is_closing(&self) -> bool {
        self.http.is_closing()
    }

    /// The client has not asked for anything yet.
    pub fn is_new(&self) -> bool {
        self.http.is_new()
    }

    /// The response to the request at hand is the last on this connection, whatever the
    /// client has sent beyond it: others wait.
    pub fn make_last(&mut self) {
        self.http.make_last();
    }

    /// How to close, once there is nothing left to say.
    pub fn finished(&self) -> Option<Finish> {
        self.http.finished()
    }

    /// Limits and deadlines of the connection.
    pub fn settings(&self) -> &Settings {
        self.http.settings()
    }

    fn respond(&mut self, response: Response<F>, now: Now) {
        self.http.respond(response, now);
        self.answer(now);
    }

    /// Routes requests until one of them needs a job, or none is left.
    // ANCHOR: route
    fn answer(&mut self, now: Now) {
        while let Some(request) = self.http.take_request() {
            match self.route(request) {
                Ok((task, job)) => {
                    self.store_by =
                        matches!(job, Job::Store(_)).then(|| now.mono + self.store_timeout);
                    self.task = Some(task);
                    self.job = Some(job);
                }
                Err(response) => self.http.respond(response, now),
            }
        }
    }

    fn route(&self, request: Box<Request>) -> Result<(Task, Job), Response<F>> {
        match (request.method, request.path.as_str()) {
            (Method::Unknown, _) => Err(Response::plain(501)),
            (Method::Get | Method::Head, "/guestbook") => {
                Ok((Task::Visit, Job::Store(StoreCall::visit())))
            }
            (Method::Post, "/guestbook") => {
                let remark = page::remark(request.content_type.as_deref(), &request.body)
                    .map_err(Response::plain)?;
                Ok((Task::Remark, Job::Store(StoreCall::add(&remark))))
            }
            (_, "/guestbook") => {
                Err(Response::plain(405).field("Allow", "GET, HEAD, POST"))
            }
            (Method::Get | Method::Head, path) => {
                let path = RelPath::from_target(path).map_err(Response::plain)?;
                Ok((Task::File(request, content_type(path.as_str())), Job::Open(path)))
            }
            _ => Err(Response::plain(405).field("Allow", "GET, HEAD")),
        }
    }
    // ANCHOR_END: route
}

fn html<F>(page: Vec<u8>) -> Response<F> {
    Response::new(200, Body::Bytes(page))
        .field("Content-Type", "text/html; charset=utf-8")
        .field("Cache-Control", "no-store")
        .field(
            "Content-Security-Policy",
            "default-src 'none'; form-action 'self'; frame-ancestors 'none'",
        )
        .field("X-Content-Type-Options", "nosniff")
}

/// The store did not answer: the page cannot be made now, and may be in a moment.
fn unavailable<F>() -> Response<F> {
    Response::plain(503).field("Retry-After", "1").field("Cache-Control", "no-store")
}

/// What a client is told when a file cannot be opened: that it is not there, or that it may
/// be in a moment. A driver says `NotFound` for what it refuses to open.
fn open_failure(error: &io::Error) -> u16 {
    use io::ErrorKind as Kind;
    match error.kind() {
        Kind::NotFound
        | Kind::NotADirectory
        | Kind::InvalidFilename
        | Kind::PermissionDenied => 404,
        _ => 503,
    }
}
