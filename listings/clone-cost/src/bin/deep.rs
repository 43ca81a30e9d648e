//! A thread's stack is memory: it stays after it was used, and it has an end.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    match deep::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            flags::fail(flags::FAILED, format_args!("deep: {error}; run it again"))
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    flags::needs_linux("deep")
}

#[cfg(target_os = "linux")]
mod deep {
    use std::env;
    use std::hint::black_box;
    use std::io;
    use std::os::unix::process::ExitStatusExt;
    use std::process::{Command, Stdio};
    use std::sync::Barrier;
    use std::thread;

    use clone_cost::counts::resident;

    /// What asks this program to be the one that overflows.
    const OVERFLOW: &str = "overflow";
    const KIB: usize = 1024;

    pub fn run() -> io::Result<()> {
        if env::args().nth(1).is_some_and(|word| word == OVERFLOW) {
            return overflow();
        }
        stays()?;
        let program = env::current_exe()?;
        let ended = Command::new(program).arg(OVERFLOW).stderr(Stdio::null()).status()?;
        let signal =
            ended.signal().ok_or_else(|| io::Error::other("it did not overflow"))?;
        println!(
            "a thread needs 300 KiB of its 64: the process is ended by signal {signal}"
        );
        Ok(())
    }

    /// 16 threads go 1 MiB deep, come back, and wait.
    fn stays() -> io::Result<()> {
        let (here, back, done) = (Barrier::new(17), Barrier::new(17), Barrier::new(17));
        thread::scope(|scope| {
            // ANCHOR: stays
            for _ in 0..16 {
                scope.spawn(|| {
                    here.wait();
                    down(top(), 1024); // KiB
                    back.wait();
                    done.wait();
                });
            }
            let before = resident();
            here.wait();
            back.wait();
            let after = resident();
            done.wait();
            // ANCHOR_END: stays
            let mib = (after? - before?) as f64 / 1024.0;
            println!("16 threads have been 1 MiB deep: {mib:.0} MiB more are resident");
            Ok(())
        })
    }

    // ANCHOR: down
    /// Calls itself until so many KiB of the stack are in use.
    fn down(top: usize, kib: usize) {
        let mut frame = [0u8; 512];
        if top - black_box(&mut frame).as_ptr().addr() < kib * KIB {
            down(top, kib);
        }
        black_box(&mut frame);
    }
    // ANCHOR_END: down

    /// Where the stack is now.
    #[inline(never)]
    fn top() -> usize {
        black_box(&mut [0u8; 1]).as_ptr().addr()
    }

    // ANCHOR: overflow
    /// Three threads wait for their clients, and a fourth gets one whose request nests deep.
    fn overflow() -> io::Result<()> {
        let idle = Barrier::new(4);
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| idle.wait());
            }
            let small = thread::Builder::new().stack_size(64 * KIB);
            let deep = small.spawn_scoped(scope, || down(top(), 300))?;
            let _ = deep.join();
            idle.wait();
            Ok(())
        })
    }
    // ANCHOR_END: overflow
}
