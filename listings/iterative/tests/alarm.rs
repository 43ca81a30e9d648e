//! After SIGTERM no wait lasts for ever, not even one that begins after the signal. A program
//! of its own, since a signal may be delivered to any thread of a test harness.

#[cfg(target_os = "linux")]
fn main() {
    use std::io::{ErrorKind, Read};
    use std::os::unix::net::UnixStream;
    use std::time::Duration;

    use rustix::process::{Signal, getpid, kill_process};

    iterative::signals::watch_for(&[]).expect("the handler is installed");
    assert_eq!(iterative::signals::stopped_at(), None);
    kill_process(getpid(), Signal::TERM).expect("we may signal ourselves");
    assert!(iterative::signals::stopped_at().is_some());

    let (mut ours, _theirs) = UnixStream::pair().expect("a pair of sockets");
    ours.set_read_timeout(Some(Duration::from_secs(20))).expect("a time limit");
    let error = ours.read(&mut [0]).expect_err("nobody writes");
    assert_eq!(error.kind(), ErrorKind::Interrupted, "the alarm did not come: {error}");
}

#[cfg(not(target_os = "linux"))]
fn main() {}
