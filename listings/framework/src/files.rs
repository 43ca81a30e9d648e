//! Files below a folder, and nothing else.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use guestbook::RelPath;
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, fstat, openat2};
use rustix::io::Errno;
use tokio::task::spawn_blocking;
use tower_http::services::ServeFile;

/// A folder.
#[derive(Clone, Debug)]
pub struct Files(Arc<File>);

impl Files {
    /// The folder at this path.
    ///
    /// # Errors
    /// What open(2) answers.
    pub fn below(root: &Path) -> io::Result<Self> {
        let file = File::open(root)?;
        match file.metadata()?.is_dir() {
            true => Ok(Self(Arc::new(file))),
            false => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    /// Answers with a file.
    // ANCHOR: serve
    pub async fn serve(&self, request: Request) -> Response {
        let path = match RelPath::from_target(request.uri().path()) {
            Ok(path) => path,
            Err(status) => return refuse(status),
        };
        let (root, name) = (Arc::clone(&self.0), path.clone());
        // A thread of the pool waits for it.
        let found = spawn_blocking(move || find(&root, &name)).await;
        match found.unwrap_or_else(|died| Err(died.into())) {
            Ok(Found::File(place)) => {
                let place_in_proc = format!("/proc/self/fd/{}", place.as_raw_fd());
                // It opens the place, wherever its name leads by now, and reads it: in the
                // pool as well.
                let mime = http1::content_type(path.as_str()).parse().expect("a type");
                let mut service = ServeFile::new_with_mime(place_in_proc, &mime);
                let served = service.try_call(request).await;
                served.map_or_else(|_| refuse(503), |response| response.map(Body::new))
            }
            Ok(Found::Folder) => {
                let slash = format!("{}/", request.uri().path());
                (StatusCode::MOVED_PERMANENTLY, [(header::LOCATION, slash)]).into_response()
            }
            Err(error) if error.kind() == io::ErrorKind::OutOfMemory => refuse(503),
            Err(_) => refuse(404),
        }
    }
    // ANCHOR_END: serve
}

enum Found {
    /// Its place in the file system; it is not open.
    File(OwnedFd),
    Folder,
}

/// Looks below the folder, through no link that leads out of it, and opens nothing: a FIFO
/// would let us wait for whoever writes to it.
// ANCHOR: find
fn find(root: &File, path: &RelPath) -> io::Result<Found> {
    let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    let place = loop {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        match openat2(root, path.as_str(), flags, Mode::empty(), beneath) {
            // AGAIN: something was renamed meanwhile, and it is to be looked for anew.
            Err(Errno::INTR | Errno::AGAIN) => {}
            place => break place?,
        }
    };
    match FileType::from_raw_mode(fstat(&place)?.st_mode) {
        FileType::RegularFile => Ok(Found::File(place)),
        FileType::Directory => Ok(Found::Folder),
        _ => Err(io::ErrorKind::NotFound.into()),
    }
}
// ANCHOR_END: find

fn refuse(status: u16) -> Response {
    StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST).into_response()
}
