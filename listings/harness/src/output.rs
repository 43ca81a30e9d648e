//! What a child writes.

use std::io::{self, BufRead, BufReader, Read};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// More than this is no line. The longest that we expect holds a histogram.
const LONGEST_LINE: u64 = 4 << 20;

/// The first line. The rest is read and dropped, so that nobody blocks on a full pipe.
pub fn first_line(output: Option<impl Read + Send + 'static>) -> Receiver<String> {
    let (sender, receiver) = channel();
    if let Some(output) = output {
        thread::spawn(move || {
            let mut output = BufReader::new(output);
            let mut line = String::new();
            let read = output.by_ref().take(LONGEST_LINE).read_line(&mut line);
            if read.is_ok() && line.ends_with('\n') {
                line.truncate(line.trim_end().len());
                // Whoever wanted it may have given up.
                let _ = sender.send(line);
            }
            drop(sender);
            let _ = io::copy(&mut output, &mut io::sink());
        });
    }
    receiver
}

/// The last line that somebody has written.
#[derive(Debug)]
pub struct LastLine {
    line: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

impl LastLine {
    /// Begins to read.
    #[must_use]
    pub fn of(errors: Option<impl Read + Send + 'static>) -> Self {
        let line = Arc::default();
        let reader = errors.map(|errors| {
            let line = Arc::clone(&line);
            thread::spawn(move || listen_to(errors, &line))
        });
        Self { line, reader }
    }

    /// The line. Of somebody who has ended, `limit` is how long is waited until all is read.
    #[must_use]
    pub fn get(&self, limit: Duration) -> Option<String> {
        let until = Instant::now() + limit;
        while self.reader.as_ref().is_some_and(|reader| !reader.is_finished())
            && Instant::now() < until
        {
            thread::sleep(Duration::from_millis(1));
        }
        let line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        Some(line.trim().to_owned()).filter(|line| !line.is_empty())
    }
}

fn listen_to(errors: impl Read, said: &Mutex<String>) {
    let mut errors = BufReader::new(errors);
    let mut line = Vec::new();
    // In pieces: what has no end of a line must not fill our memory.
    while errors.by_ref().take(4096).read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
        *said.lock().unwrap_or_else(PoisonError::into_inner) =
            String::from_utf8_lossy(&line).into_owned();
        line.clear();
    }
}
