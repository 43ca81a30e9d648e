//! clone(2): what a new process or thread shares with its maker is said by flags.

use std::ffi::{c_int, c_void};
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::{env, fmt, ptr};

use forking::wait_for;
use rustix::process::Pid;

/// What a child did that its maker sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shared {
    /// It wrote to a variable.
    pub memory: bool,
    /// It closed a file.
    pub files: bool,
    /// It went to another folder.
    pub folder: bool,
    /// It has the same process id, because it is a thread of this process.
    pub process: bool,
}

/// What the child works on.
struct Work {
    number: i32,
    file: c_int,
    process: c_int,
}

// ANCHOR: child
/// The child: changes one thing of each kind. System calls only, since with `CLONE_VM` even
/// the memory of the C library is its maker's.
#[expect(unsafe_code, reason = "what the child has is what clone has given it")]
extern "C" fn child(work: *mut c_void) -> c_int {
    let work: *mut Work = work.cast();
    // SAFETY: the maker's `Work`, or a copy of it, and the maker sleeps meanwhile.
    let work = unsafe { &mut *work };
    work.number += 41;
    // SAFETY: nobody uses this file but `probe`.
    unsafe { libc::close(work.file) };
    // SAFETY: a C string.
    unsafe { libc::chdir(c"/".as_ptr()) };
    // SAFETY: takes nothing.
    work.process = unsafe { libc::getpid() };
    0
}
// ANCHOR_END: child

/// Makes a child with these flags, lets it end, and looks what it has changed here. Changes
/// the current folder for that time, so it is for programs of one thread.
///
/// # Errors
/// `EINVAL`: flags that contradict each other, such as `CLONE_THREAD` without `CLONE_VM`.
// ANCHOR: probe
#[expect(unsafe_code, reason = "clone gives another process our memory, or a copy of it")]
pub fn probe(flags: c_int) -> io::Result<Shared> {
    let file = File::open("/proc/self/stat")?;
    let folder = env::current_dir()?;
    let mut work = Work { number: 1, file: file.as_raw_fd(), process: 0 };
    let mut stack = vec![0u128; 4096]; // it grows down, so the child gets its end
    let thread = flags & libc::CLONE_THREAD != 0;
    let flags = flags | libc::CLONE_VFORK | if thread { 0 } else { libc::SIGCHLD };
    // SAFETY: `stack` and `work` live until the child has ended: CLONE_VFORK makes us sleep
    // for so long.
    let id = unsafe {
        let end = stack.as_mut_ptr_range().end;
        libc::clone(child, end.cast(), flags, ptr::from_mut(&mut work).cast())
    };
    if id < 0 {
        return Err(io::Error::last_os_error());
    }
    if !thread {
        wait_for(Pid::from_raw(id).expect("the id of a child"))?;
    }
    // ANCHOR_END: probe
    // ANCHOR: looks
    let shared = Shared {
        memory: work.number == 42,
        files: rustix::io::fcntl_getfd(&file).is_err(),
        folder: env::current_dir()? != folder,
        process: work.process == std::process::id() as c_int,
    };
    // ANCHOR_END: looks
    env::set_current_dir(folder)?;
    if shared.files {
        std::mem::forget(file); // the child has closed it
    }
    Ok(shared)
}

/// Who asks for these flags, their names, and what they are.
pub const TRIED: [(&str, &str, c_int); 5] = [
    ("fork", "none", 0),
    ("", "CLONE_FILES", libc::CLONE_FILES),
    ("", "CLONE_FS", libc::CLONE_FS),
    ("vfork", "CLONE_VM", libc::CLONE_VM),
    ("a thread", "all, and CLONE_THREAD", THREAD),
];

/// What the C library asks for when it makes a thread, but for what concerns the library
/// itself.
const THREAD: c_int = libc::CLONE_VM
    | libc::CLONE_FILES
    | libc::CLONE_FS
    | libc::CLONE_SIGHAND
    | libc::CLONE_THREAD;

/// One line for each of [`TRIED`].
#[derive(Debug)]
pub struct Table(Vec<Shared>);

/// Tries them all.
pub fn table() -> io::Result<Table> {
    TRIED
        .into_iter()
        .map(|(_, _, flags)| probe(flags))
        .collect::<io::Result<_>>()
        .map(Table)
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:<10}{:<23}{:<8}{:<8}{:<8}process",
            "", "flags", "memory", "files", "folder"
        )?;
        for ((who, flags, _), shared) in TRIED.iter().zip(&self.0) {
            let word = |shared| if shared { "shared" } else { "copy" };
            let process = if shared.process { "the same" } else { "another" };
            write!(
                f,
                "\n{who:<10}{flags:<23}{:<8}{:<8}{:<8}{process}",
                word(shared.memory),
                word(shared.files),
                word(shared.folder)
            )?;
        }
        Ok(())
    }
}
