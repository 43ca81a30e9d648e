//! A thread for each client, without a cap, until the machine has no more. What the client
//! sees who is one too many, and what the others see.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    match too_many::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => flags::fail(
            flags::FAILED,
            format_args!("cannot limit the address space: {error}; run it again"),
        ),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    flags::needs_linux("too-many")
}

#[cfg(target_os = "linux")]
mod too_many {
    use std::panic::{catch_unwind, set_hook};
    use std::sync::mpsc::{Receiver, channel};
    use std::{fs, io, thread};

    use rustix::process::{Resource, Rlimit, setrlimit};

    /// How much address space this process may take beyond what it has.
    const ROOM: u64 = 20 * 1024 * 1024;

    pub fn run() -> io::Result<()> {
        // The default one prints where; the line below is enough.
        set_hook(Box::new(|_| {}));
        limit_address_space()?;
        println!("a limit on the address space:");
        // ANCHOR: too-many
        let mut clients = Vec::new();
        let error = loop {
            let (client, request) = channel::<()>();
            let wait = move || request.recv();
            match thread::Builder::new().spawn(wait) {
                Ok(_) => clients.push(client),
                Err(error) => break error,
            }
        };
        println!("{} threads wait, the next: {error}", clients.len());

        let (_client, request) = channel();
        let server = catch_unwind(|| serve(request));
        println!("thread::spawn says: {}", if server.is_err() { "panic" } else { "-" });
        // ANCHOR_END: too-many
        Ok(())
    }

    // ANCHOR: spawn
    /// As it stands in many a first server.
    fn serve(request: Receiver<()>) {
        thread::spawn(move || request.recv());
    }
    // ANCHOR_END: spawn

    fn limit_address_space() -> io::Result<()> {
        let statm = fs::read_to_string("/proc/self/statm")?;
        let pages = statm.split(' ').next().and_then(|pages| pages.parse::<u64>().ok());
        let pages = pages.ok_or_else(|| io::Error::other("/proc/self/statm is empty"))?;
        let bytes = pages * rustix::param::page_size() as u64 + ROOM;
        setrlimit(Resource::As, Rlimit { current: Some(bytes), maximum: Some(bytes) })?;
        Ok(())
    }
}
