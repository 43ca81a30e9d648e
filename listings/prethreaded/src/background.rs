//! A thread in the background, which serves nobody.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::{Builder, JoinHandle};

use iterative::Files;
use threaded::STACK;

/// Closes files that have been kept for long enough, also when nobody asks for one any more.
/// It ends when this is dropped, at once.
// ANCHOR: background
#[derive(Debug)]
pub struct Background {
    files: Files,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Background {
    /// Starts it. It blocks the signals that the caller blocks.
    ///
    /// # Errors
    /// `EAGAIN`: a limit on the number of threads is reached, or no memory is left.
    pub fn start(files: &Files) -> io::Result<Self> {
        let (files, over) = (files.clone(), Arc::new(AtomicBool::new(false)));
        let (its_files, is_over) = (files.clone(), Arc::clone(&over));
        let thread = Builder::new().name("background".into()).stack_size(STACK);
        let thread = thread.spawn(move || its_files.keep_expiring(&is_over))?;
        Ok(Self { files, over, thread: Some(thread) })
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.files.expire_no_more(&self.over);
        // If it has panicked it has said so.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}
// ANCHOR_END: background

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;
    use std::thread::sleep;
    use std::time::{Duration, Instant};

    use super::*;

    /// How often this process has the file open.
    fn open(path: &Path) -> usize {
        let folder = fs::read_dir("/proc/self/fd").expect("/proc");
        let links = folder.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
        links.filter(|link| link == path).count()
    }

    #[test]
    fn it_closes_one_file_after_another_and_ends_when_it_is_told() {
        let folder = std::env::temp_dir().canonicalize().expect("it is there");
        let folder = folder.join(format!("who-waits-background-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let mut files = Files::new(&folder, true).expect("a folder");
        let background = Background::start(&files).expect("a thread");
        for name in ["first", "second"] {
            fs::write(folder.join(name), name).expect("a file");
            let page = files.open(name).expect("it is there");
            drop(page);
            assert_eq!(open(&folder.join(name)), 1, "it is kept");
            let begun = Instant::now();
            while open(&folder.join(name)) > 0 {
                assert!(begun.elapsed() < Duration::from_secs(20), "it is kept for ever");
                sleep(Duration::from_millis(10));
            }
        }
        // It waits for a third, without a time limit.
        drop(background);
        fs::remove_dir_all(&folder).expect("to clean up");
    }
}
