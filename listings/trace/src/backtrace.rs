//! All functions of a thread that have not returned yet.

use std::path::Path;

use nix::unistd::Pid;

use crate::lines::{Lines, Sources};
use crate::stack::Stacks;

/// A function that has not returned yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Where in memory it goes on, less one: inside the instruction that has called.
    pub at: u64,
    /// The program or library that this is in.
    pub file: String,
    /// The same place, as the file's tables count.
    pub address: u64,
    /// Its name, if it has one there.
    pub function: Option<String>,
    /// The line that has called, if the file says.
    pub line: Option<String>,
}

/// The functions of a thread, the innermost first; `listings` of the workspace at `root` are
/// named from there. None: its memory cannot be read.
///
/// The thread stands still, in a stop of the calling thread's, who traces it.
pub fn backtrace(thread: u32, root: &Path) -> Option<Vec<Frame>> {
    let stack = Stacks::default().take(Pid::from_raw(i32::try_from(thread).ok()?))?;
    Some(Lines::new(Sources::listings(root)).frames(&stack))
}
