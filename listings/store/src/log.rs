//! The append-only file: every command that changed something, as the bytes of a request,
//! so that `cat` shows it and `redis-cli --pipe` takes it.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use redis_protocol::resp2::types::BorrowedFrame as Frame;

use crate::command::Command;
use crate::data::{Data, reply};
use crate::requests::Requests;

/// A log below this many bytes is not worth compacting while the store runs.
const SMALL: u64 = 16 << 20;

/// The file, and how much of it is known to be whole.
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
    file: File,
    is_file: bool,
    /// Bytes that belong to whole records of commands that were executed.
    good: u64,
    /// Something may stand beyond `good`.
    torn: bool,
    /// Size at which the log is compacted.
    limit: u64,
}

impl Log {
    /// Opens the file, or makes it, and takes it for this process alone. The error is one
    /// line.
    ///
    /// A device is not taken and has no past: /dev/full, for one, refuses every write and
    /// gives zeros for ever.
    pub fn open(path: &Path) -> Result<Self, String> {
        let cannot = |why: io::Error| {
            format!("cannot open {}: {why}; name another file", path.display())
        };
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(cannot)?;
        let is_file = file.metadata().map_err(cannot)?.is_file();
        // Behind a symbolic link it is the file itself that is replaced when the log is
        // compacted.
        let path = fs::canonicalize(path).map_err(cannot)?;
        let log = Self { path, file, is_file, good: 0, torn: false, limit: SMALL };
        if log.is_file
            && !log
                .lock()
                .map_err(|why| format!("cannot lock {}: {why}", log.path.display()))?
        {
            let path = log.path.display();
            return Err(format!(
                "{path} is in use by another store; stop that one or name another file"
            ));
        }
        Ok(log)
    }

    // ANCHOR: lock
    /// Whether the file is ours alone now. The lock belongs to the file, not to its name,
    /// which another store may have given to a newer file since we opened this one.
    fn lock(&self) -> io::Result<bool> {
        match self.file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(false),
            Err(TryLockError::Error(why)) => return Err(why),
        }
        let (named, locked) = (fs::metadata(&self.path)?, self.file.metadata()?);
        Ok((named.dev(), named.ino()) == (locked.dev(), locked.ino()))
    }
    // ANCHOR_END: lock

    /// Executes what the log says, then writes it anew and shorter. The error is one line.
    pub fn replay(&mut self) -> Result<Data, String> {
        let mut data = Data::default();
        if !self.is_file {
            return Ok(data);
        }
        let rest = self.read_into(&mut data)?;
        if rest > 0 {
            self.cut().map_err(|why| {
                format!("cannot cut {} to {} bytes: {why}", self.path.display(), self.good)
            })?;
            let (path, at) = (self.path.display(), self.good);
            eprintln!(
                "{path}: the last record, at byte {at}, was torn: its {rest} bytes were cut off"
            );
        }
        self.compact(&data);
        Ok(data)
    }

    // ANCHOR: append
    /// Appends one record; with `sync` it is on the disk before this returns. After an
    /// error the log is as it was.
    pub fn append(&mut self, words: &[&[u8]], sync: bool) -> io::Result<()> {
        if self.torn {
            self.cut()?;
        }
        let record = record(words);
        self.torn = true;
        let written = self.file.write_all_at(&record, self.good);
        if let Err(why) =
            written.and_then(|()| if sync { self.file.sync_data() } else { Ok(()) })
        {
            let _ = self.cut(); // If this fails, too, the log stays torn, and the next append cuts it or fails.
            return Err(why);
        }
        self.torn = false;
        self.good += record.len() as u64;
        Ok(())
    }

    fn cut(&mut self) -> io::Result<()> {
        self.file.set_len(self.good)?;
        self.torn = false;
        Ok(())
    }
    // ANCHOR_END: append

    /// Whether the log has become long enough to be compacted.
    pub fn is_long(&self) -> bool {
        self.is_file && self.good >= self.limit
    }

    /// Replaces the log by a shorter one that says the same. Without room for that the old
    /// one is kept, and serves.
    pub fn compact(&mut self, data: &Data) {
        if let Err(why) = self.rewrite(data) {
            eprintln!(
                "{} was not compacted: {why}; the store goes on with it as it is",
                self.path.display()
            );
        }
        self.limit = SMALL.max(2 * self.good);
    }

    // ANCHOR: rewrite
    /// At every moment there is one whole log under the name: the old one, or the new one.
    fn rewrite(&mut self, data: &Data) -> io::Result<()> {
        let mut name = self.path.clone().into_os_string();
        name.push(".compacting");
        let written = self
            .write_anew(Path::new(&name), data)
            .and_then(|new| fs::rename(&name, &self.path).map(|()| new));
        if written.is_err() {
            let _ = fs::remove_file(&name); // What is left of it is overwritten by the next attempt.
        }
        (self.file, self.good) = written?;
        File::open(self.path.parent().unwrap_or(Path::new("/")))?.sync_all() // The name is on the disk, too.
    }
    // ANCHOR_END: rewrite

    /// The new log, on the disk and locked, and its size.
    fn write_anew(&self, path: &Path, data: &Data) -> io::Result<(File, u64)> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(path)?;
        file.try_lock()?;
        file.set_permissions(self.file.metadata()?.permissions())?;
        let mut out = BufWriter::new(&file);
        data.dump(|words| out.write_all(&record(words)))?;
        out.flush()?;
        drop(out);
        file.sync_all()?;
        let size = file.metadata()?.len();
        Ok((file, size))
    }

    /// Executes the log's records and returns how many bytes at its end are only the
    /// beginning of one.
    fn read_into(&mut self, data: &mut Data) -> Result<usize, String> {
        let mut requests = Requests::default();
        let mut chunk = vec![0; 64 << 10];
        loop {
            let n = self
                .file
                .read(&mut chunk)
                .map_err(|why| format!("cannot read {}: {why}", self.path.display()))?;
            requests.push(&chunk[..n]);
            loop {
                self.good = requests.offset();
                match requests.next_request() {
                    Ok(Some(words)) => {
                        execute(data, &words).map_err(|why| self.broken(&why))?
                    }
                    Ok(None) => break,
                    Err(why) => return Err(self.broken(&why.0)),
                }
            }
            if n == 0 {
                return self.torn_tail(requests.unfinished());
            }
        }
    }

    // ANCHOR: torn
    /// A kill in the middle of a write leaves the beginning of one record, and nothing
    /// after it. If a whole record follows, then a length was damaged, and to cut there
    /// would throw away what was acknowledged.
    fn torn_tail(&self, tail: &[u8]) -> Result<usize, String> {
        let starts = (1..tail.len())
            .filter(|&at| tail[at..].starts_with(b"*") && tail[..at].ends_with(b"\r\n"));
        for at in starts {
            let mut rest = Requests::default();
            rest.push(&tail[at..]);
            if let Ok(Some(_)) = rest.next_request() {
                return Err(self.broken("it does not end before the next record begins"));
            }
        }
        Ok(tail.len())
    }
    // ANCHOR_END: torn

    fn broken(&self, why: &str) -> String {
        let (path, at) = (self.path.display(), self.good);
        format!(
            "{path} has a broken record at byte {at}: {why}; mend it, or name another file"
        )
    }
}

impl Drop for Log {
    /// A process that was forked in the meantime may hold the descriptor still, and with it
    /// the lock.
    fn drop(&mut self) {
        let _ = self.file.unlock(); // What was not locked need not be unlocked.
    }
}

/// Executes one record.
fn execute(data: &mut Data, words: &[Vec<u8>]) -> Result<(), String> {
    let command = Command::parse_record(words)?;
    data.check(command)?;
    data.apply(command, &mut Vec::new());
    Ok(())
}

fn record(words: &[&[u8]]) -> Vec<u8> {
    let words: Vec<Frame> = words.iter().map(|word| Frame::BulkString(word)).collect();
    let mut bytes = Vec::new();
    reply(&mut bytes, &Frame::Array(&words));
    bytes
}
