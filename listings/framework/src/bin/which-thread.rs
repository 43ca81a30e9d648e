//! Two tasks and a file: which thread makes which call? The program is traced by itself.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some("be-looked-at") {
        looked_at::run().expect("it ends well");
        return ExitCode::SUCCESS;
    }
    match look() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => flags::fail(flags::REFUSED, trace::tracer::refused(&error)),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    flags::needs_linux("which-thread")
}

#[cfg(target_os = "linux")]
fn look() -> std::io::Result<()> {
    use std::collections::BTreeMap;

    const TOLD: [&str; 12] = [
        "clone3",
        "epoll_create1",
        "epoll_ctl",
        "epoll_wait",
        "epoll_pwait",
        "eventfd2",
        "openat",
        "read",
        "recvfrom",
        "sendto",
        "statx",
        "write",
    ];
    let mut command = std::process::Command::new(std::env::current_exe()?);
    let seen = trace::tracer::Tracer::start(command.arg("be-looked-at"))?.run()?;
    for (n, lane) in seen.lanes.iter().enumerate() {
        // What a program does before main is not its own.
        let begin = lane.calls.iter().rposition(|call| call.name == "epoll_create1");
        let calls = &lane.calls[begin.unwrap_or(0)..];
        let mut times: BTreeMap<&str, u32> = BTreeMap::new();
        for call in calls.iter().filter(|call| TOLD.contains(&call.name.as_str())) {
            *times.entry(&call.name).or_default() += 1;
        }
        let times: Vec<_> = times.iter().map(|(name, n)| format!("{name} {n}")).collect();
        println!("thread {}", n + 1);
        for line in times.chunks(4) {
            println!("  {}", line.join(", "));
        }
    }
    Ok(())
}

#[cfg(target_os = "linux")]
mod looked_at {
    use std::io;
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixStream;

    // ANCHOR: looked-at
    pub fn run() -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let (mut here, mut there) = UnixStream::pair()?;
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(20)).await;
                there.write_all(b"?").await
            });
            here.read_exact(&mut [0]).await?;
            tokio::fs::read("/proc/self/cmdline").await?;
            Ok(())
        })
    }
    // ANCHOR_END: looked-at
}
