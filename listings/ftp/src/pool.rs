//! What the pool of threads does for a client: everything that may wait for a disk.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use file_pool::Job;
use http1::Meta;
use rustix::io::{Errno, pread, pwrite};

use crate::path::Place;
use crate::root::Root;
use crate::session::{Done, Piece};

/// A job for the pool: whose, and what. It owns what it needs.
#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) slot: usize,
    pub(crate) root: Arc<Root>,
    pub(crate) what: What,
}

#[derive(Debug)]
pub(crate) enum What {
    Look(Place),
    List(Place),
    Open(Place),
    Create(Place, bool),
    Read(Arc<OwnedFd>, u64, Vec<u8>),
    Write(Arc<OwnedFd>, u64, Piece),
}

/// What came of it.
#[derive(Debug)]
pub(crate) enum Found {
    Opened(io::Result<(OwnedFd, Meta)>),
    Done(Done),
}

// ANCHOR: work
impl Job for Task {
    type Done = (usize, Found);

    fn work(self) -> Self::Done {
        let Self { slot, root, what } = self;
        let done = match what {
            What::Open(place) => return (slot, Found::Opened(root.open(&place))),
            What::Create(place, truncate) => {
                return (slot, Found::Opened(root.create(&place, truncate)));
            }
            What::Look(place) => Done::Looked(root.look(&place)),
            What::List(place) => Done::Listed(root.list(&place)),
            What::Read(file, at, mut into) => {
                into.resize(into.capacity(), 0);
                let read = retry(|| pread(&file, &mut into[..], at));
                into.truncate(*read.as_ref().unwrap_or(&0));
                Done::Read(read.map(|_| into))
            }
            What::Write(file, at, piece) => {
                let wrote = retry(|| pwrite(&file, piece.rest(), at));
                Done::Wrote(piece, wrote)
            }
        };
        (slot, Found::Done(done))
    }
}
// ANCHOR_END: work

fn retry(mut call: impl FnMut() -> Result<usize, Errno>) -> io::Result<usize> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            result => return result.map_err(Into::into),
        }
    }
}
