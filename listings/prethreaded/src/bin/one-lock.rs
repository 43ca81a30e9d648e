//! Four threads and one connection to the store, under a lock. Four clients ask for a page at
//! the same moment, and the store takes 300 ms for each. What do the threads wait in?

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    store::embedded::run_if_asked();
    match one_lock::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => flags::fail(
            flags::FAILED,
            format_args!("cannot see what four threads wait in: {error}; run it again"),
        ),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    flags::needs_linux("one-lock")
}

#[cfg(target_os = "linux")]
mod one_lock {
    use std::sync::{Arc, Mutex, PoisonError};
    use std::thread::JoinHandle;
    use std::time::{Duration, Instant};
    use std::{fs, io, process, thread};

    use guestbook::StoreCall;
    use iterative::StoreClient;
    use store::embedded::Embedded;

    const DELAY: Duration = Duration::from_millis(300);

    // ANCHOR: run
    pub fn run() -> io::Result<()> {
        let store = Embedded::start(DELAY, None).map_err(io::Error::other)?;
        let client = StoreClient::new(store.address(), Duration::from_secs(10));
        println!("four threads  recv  futex  last page");
        let shared = Arc::new(Mutex::new(client.another()));
        four_pages("one lock", || Arc::clone(&shared))?;
        four_pages("a lock each", || Arc::new(Mutex::new(client.another())))
    }

    /// What each of the four does.
    fn page(store: &Mutex<StoreClient>) {
        let mut store = store.lock().unwrap_or_else(PoisonError::into_inner);
        // The lock is held until this has its reply.
        let _ = store.call(&StoreCall::visit(), &|| None);
    }
    // ANCHOR_END: run

    fn four_pages(
        name: &str,
        store: impl Fn() -> Arc<Mutex<StoreClient>>,
    ) -> io::Result<()> {
        let begun = Instant::now();
        let threads: Vec<JoinHandle<()>> = (0..4)
            .map(|_| {
                let store = store();
                thread::spawn(move || page(&store))
            })
            .collect();
        thread::sleep(DELAY / 2);
        let waits = waits()?;
        let in_futex = waits.iter().filter(|call| FUTEX.contains(*call)).count();
        for thread in threads {
            thread.join().map_err(|_| io::Error::other("a thread panicked"))?;
        }
        println!(
            "{name:<12} {:>5}  {in_futex:>5}  {:>6} ms",
            waits.len() - in_futex,
            begun.elapsed().as_millis()
        );
        Ok(())
    }

    /// futex(2), and what it is called on 32-bit systems since their time has 64 bits.
    const FUTEX: [libc::c_long; 2] = [libc::SYS_futex, 422];

    // ANCHOR: waits
    /// The number of the system call in which each thread but the first is at the moment
    /// (proc_pid_syscall(5)).
    fn waits() -> io::Result<Vec<libc::c_long>> {
        let mut calls = Vec::new();
        for thread in fs::read_dir("/proc/self/task")? {
            let thread = thread?;
            if thread.file_name() == *process::id().to_string() {
                continue;
            }
            let call = fs::read_to_string(thread.path().join("syscall"))?;
            let number: Option<libc::c_long> =
                call.split(' ').next().and_then(|number| number.parse().ok());
            calls.extend(number);
        }
        Ok(calls)
    }
    // ANCHOR_END: waits
}
