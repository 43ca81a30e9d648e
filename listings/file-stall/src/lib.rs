//! Always ready, never on time: what a loop's clients see of it when it waits for a disk.
//!
//! A client asks for a small file that is in memory, at a fixed rate, and notes how long each
//! answer took. Beside it another client downloads a large file that is not in memory. Both
//! ask the same server, which has one thread for everybody.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `lib.rs` | [`beside`]: one server, asked alone and beside the download |
//! | `pace.rs` | [`ask`](pace::ask): requests at their time, whatever became of the others |
//! | `cold.rs` | [`Cold`](cold::Cold): a file that is on the disk and nowhere else |
//! | `raw.rs` | how much of a file is in memory; the lowest priority: the only unsafe code here |
//! | `server.rs` | [`Server`](server::Server): a process with one processor |
#![cfg(target_os = "linux")]

pub mod cold;
pub mod pace;
pub mod raw;
pub mod server;

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::cold::Cold;
use crate::pace::{Latencies, Pace};
use crate::server::Server;

/// What one server was asked, and what it made of it.
#[derive(Clone, Debug)]
pub struct Beside {
    /// Latencies when nobody downloads anything.
    pub idle: Latencies,
    /// The same while somebody downloads the cold file.
    pub busy: Latencies,
    /// How much of the file was in memory when the download began, in bytes.
    pub resident: u64,
    /// How long the download took, and how many bytes arrived.
    pub download: (Duration, u64),
    /// How often we looked at the server's first thread during the download, and how often it
    /// was asleep for a disk, in state D.
    pub looks: (u64, u64),
}

/// The small file, which is asked for, and the large one.
pub const SMALL: &str = "small.txt";
/// The name of the large file.
pub const LARGE: &str = "large.bin";

/// Asks a server for a small file at this pace: while somebody downloads the large one, of
/// which nothing is in memory, and then alone for as long as that took, so that an accident
/// weighs the same in both.
///
/// # Errors
/// What the server, the network or the disk answers.
// ANCHOR: beside
pub fn beside(server: &Server, cold: &Cold, pace: Pace) -> io::Result<Beside> {
    let (over, small) = (AtomicBool::new(false), server.address());
    cold.forget()?;
    let resident = cold.resident()?;
    let arrived = AtomicU64::new(0);
    let begun = Instant::now();
    let (busy, download, looks) = thread::scope(|scope| {
        let download = scope.spawn(|| {
            let result = download(server.address(), LARGE, &arrived);
            over.store(true, Relaxed);
            result.map(|()| begun.elapsed())
        });
        let looks = scope.spawn(|| look(server.id(), &over));
        let busy = pace::ask(small, SMALL, pace, &over);
        let looks = looks.join().expect("looking does not panic");
        (busy, download.join().expect("the download does not panic"), looks)
    });
    let download = (download?, arrived.into_inner());
    let alone = Pace { time: download.0, ..pace };
    let idle = pace::ask(small, SMALL, alone, &AtomicBool::new(false))?;
    Ok(Beside { idle, busy: busy?, resident, download, looks })
}
// ANCHOR_END: beside

/// Looks at the first thread of a process every two milliseconds: how often in all, and how
/// often it slept for a disk.
fn look(process: u32, over: &AtomicBool) -> (u64, u64) {
    let (mut looks, mut asleep) = (0, 0);
    while !over.load(Relaxed) {
        let stat = std::fs::read_to_string(format!("/proc/{process}/task/{process}/stat"));
        let state = stat.iter().find_map(|text| text.rsplit_once(") "));
        looks += 1;
        asleep += u64::from(state.is_some_and(|(_, rest)| rest.starts_with('D')));
        thread::sleep(Duration::from_millis(2));
    }
    (looks, asleep)
}

/// Downloads a file, and counts its bytes. Whoever measures on the same processor goes first.
fn download(from: SocketAddr, name: &str, arrived: &AtomicU64) -> io::Result<()> {
    raw::be_idle()?;
    let mut stream = TcpStream::connect(from)?;
    write!(stream, "GET /{name} HTTP/1.1\r\nHost: stall\r\nConnection: close\r\n\r\n")?;
    let mut buffer = vec![0; 256 * 1024];
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok(()),
            n => arrived.fetch_add(n as u64, Relaxed),
        };
    }
}

/// A folder of our own, where there should be a disk, removed when it is dropped: in `target`,
/// if there is one here, or here.
///
/// # Errors
/// What mkdir(2) answers.
pub fn folder() -> io::Result<TempDir> {
    let place = if Path::new("target").is_dir() { "target" } else { "." };
    tempfile::Builder::new().prefix("file-stall-").tempdir_in(place)
}

/// Writes both files into a folder.
///
/// # Errors
/// What the file system answers.
pub fn files(folder: &Path, bytes: u64) -> io::Result<Cold> {
    std::fs::write(folder.join(SMALL), "This file is small, and in memory.\n")?;
    Cold::write(&folder.join(LARGE), bytes)
}
