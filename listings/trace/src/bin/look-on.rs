//! Looks on while a program makes calls that are known: so many, in a thread and in a child
//! as well, and one that waits.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    if let Some(role) = std::env::args().nth(1) {
        looked_at::run(&role);
        return ExitCode::SUCCESS;
    }
    match look_on() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => flags::fail(flags::REFUSED, trace::tracer::refused(&error)),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    flags::needs_linux("look-on")
}

// ANCHOR: look-on
#[cfg(target_os = "linux")]
fn look_on() -> std::io::Result<()> {
    let mut command = std::process::Command::new(std::env::current_exe()?);
    let seen = trace::tracer::Tracer::start(command.arg("be-looked-at"))?.run()?;
    assert_eq!(seen.status, 0, "it has ended well");
    for (n, lane) in seen.lanes.iter().enumerate() {
        let of = |name| lane.calls.iter().filter(move |call| call.name == name);
        let slept: u64 = of("getppid").map(|call| call.slept).sum();
        println!("thread {}, of process {}", n + 1, lane.process);
        println!("  getppid {:>3} times, slept {slept}", of("getppid").count());
        for call in of("clock_nanosleep") {
            let (waited, ran) = (call.waited() / 1e3, call.ran / 1e3);
            println!("  clock_nanosleep  slept {}", call.slept);
            println!("    waited {waited:.1} ms, ran {ran:.2} ms");
        }
    }
    Ok(())
}
// ANCHOR_END: look-on

#[cfg(target_os = "linux")]
mod looked_at {
    use std::os::unix::process::ExitStatusExt;
    use std::process::Command;
    use std::thread;
    use std::time::Duration;

    use nix::sys::signal::{Signal, raise};
    use nix::unistd::{getppid, pipe, read};

    fn ask(times: usize) {
        for _ in 0..times {
            getppid();
        }
    }

    pub fn run(role: &str) {
        match role {
            "be-the-child" => {
                ask(5);
                raise(Signal::SIGTERM).expect("it ends here");
            }
            // With a thread in the middle of a call.
            "be-ended" => {
                let (reader, _writer) = pipe().expect("a pipe");
                thread::spawn(move || read(&reader, &mut [0]));
                thread::sleep(Duration::from_millis(100));
                std::process::exit(3);
            }
            _ => known(),
        }
    }

    // ANCHOR: known
    fn known() {
        ask(100);
        thread::sleep(Duration::from_millis(50));
        thread::scope(|scope| scope.spawn(|| ask(20)).join()).expect("it does not panic");
        // The same program again, as a child.
        let mut child = Command::new("/proc/self/exe");
        let ended = child.arg("be-the-child").status().expect("it starts");
        assert_eq!(ended.signal(), Some(Signal::SIGTERM as i32));
    }
    // ANCHOR_END: known
}
