//! The store as a process of its own, started by a program that is this test itself.
//!
//! What it starts begins with the same `main` as a server: first the store's role, then its
//! own. The environment says which part of the test it plays, since the arguments belong to
//! the store and to cargo.

#[cfg(target_os = "linux")]
mod support;

#[cfg(not(target_os = "linux"))]
fn main() {
    flags::skipped(format_args!("the embedded store needs Linux"));
}

#[cfg(target_os = "linux")]
fn main() {
    linux::main();
}

#[cfg(target_os = "linux")]
mod linux {
    use std::env;
    use std::fs;
    use std::io::{self, BufRead, BufReader, Read};
    use std::net::SocketAddr;
    use std::os::unix::process::CommandExt;
    use std::path::Path;
    use std::process::{Child, Command, Stdio};
    use std::time::{Duration, Instant};

    use nix::sys::signal::{Signal, killpg};
    use nix::unistd::Pid;
    use redis_protocol::resp2::types::OwnedFrame;
    use store::embedded::{self, Embedded};

    use super::support::{AGES, Client, Scratch, answers, eventually};

    const PART: &str = "STORE_TEST_PART";

    pub fn main() {
        let part = env::var(PART).unwrap_or_default();
        if part != "forgetful" {
            embedded::run_if_asked();
        }
        match part.as_str() {
            "" => all(),
            "replaced" => fs::remove_file(env::current_exe().unwrap()).unwrap(),
            _ => {}
        }
        if !part.is_empty() {
            server();
        }
    }

    /// Starts a store, says where it is, and keeps it until standard input ends.
    fn server() {
        match Embedded::start(Duration::ZERO, None) {
            Ok(store) => {
                store::serve::block(&[Signal::SIGINT, Signal::SIGTERM]);
                println!("{}", store.address());
                io::stdin().read_to_end(&mut Vec::new()).unwrap();
            }
            Err(why) => println!("{why}"),
        }
    }

    fn all() {
        for (name, test) in [
            ("it answers and ends with its owner", answers_and_ends as fn()),
            ("it waits and it remembers", waits_and_remembers),
            ("it ends when its owner is killed", ends_with_a_killed_owner),
            ("it outlives the signals that a terminal sends to all", outlives_signals),
            ("it starts from a program that was replaced", starts_from_a_replaced_program),
            (
                "a main that forgets the role starts no endless row",
                a_forgotten_role_is_told,
            ),
            ("why it did not start is one line", a_failure_is_one_line),
        ] {
            test();
            println!("test {name} ... ok");
        }
    }

    /// This program again, in a part of its own, and the first line that it says.
    fn play(part: &str, program: &Path) -> (Child, String) {
        let mut command = Command::new(program);
        command
            .env(PART, part)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        (child, line.trim_end().to_owned())
    }

    fn myself() -> std::path::PathBuf {
        env::current_exe().unwrap()
    }

    fn answers_and_ends() {
        let store = Embedded::start(Duration::ZERO, None).unwrap();
        let address = store.address();
        assert_eq!(Client::new(address).ask("INCR n"), OwnedFrame::Integer(1));
        let idle = Client::new(address);
        drop(store);
        assert!(!answers(address), "it still answers");
        assert!(idle.ends(), "an idle connection stays");
    }

    fn waits_and_remembers() {
        let scratch = Scratch::new();
        let (file, delay) = (scratch.join("a log"), Duration::from_millis(80));
        for n in 1..3 {
            let store = Embedded::start(delay, Some(&file)).unwrap();
            let start = Instant::now();
            assert_eq!(
                Client::new(store.address()).ask("LPUSH list a"),
                OwnedFrame::Integer(n)
            );
            assert!(start.elapsed() >= delay);
            let why = Embedded::start(delay, Some(&file)).unwrap_err();
            assert!(why.contains("in use by another store"), "{why}");
        }
    }

    fn ends_with_a_killed_owner() {
        let (mut child, line) = play("server", &myself());
        let address: SocketAddr = line.parse().unwrap();
        assert!(answers(address));
        child.kill().unwrap();
        child.wait().unwrap();
        eventually("the store of a killed owner has ended", || !answers(address));
    }

    fn outlives_signals() {
        let (mut child, line) = play("server", &myself());
        let address: SocketAddr = line.parse().unwrap();
        let mut client = Client::new(address);
        for signal in [Signal::SIGINT, Signal::SIGTERM] {
            killpg(Pid::from_raw(child.id() as i32), signal).unwrap();
            std::thread::sleep(Duration::from_millis(50));
            assert_eq!(
                client.ask("PING"),
                OwnedFrame::SimpleString("PONG".into()),
                "after {signal}"
            );
        }
        drop(child.stdin.take());
        assert!(child.wait().unwrap().success());
        assert!(!answers(address), "it still answers");
    }

    fn starts_from_a_replaced_program() {
        let scratch = Scratch::new();
        let copy = scratch.join("copy");
        fs::copy(myself(), &copy).unwrap();
        let (mut child, line) = play("replaced", &copy);
        assert!(!copy.exists());
        let address: SocketAddr = line.parse().unwrap_or_else(|_| panic!("{line}"));
        assert!(answers(address));
        drop(child.stdin.take());
        assert!(child.wait().unwrap().success());
    }

    fn a_forgotten_role_is_told() {
        let (mut child, line) = play("forgetful", &myself());
        assert!(line.contains("run_if_asked"), "{line}");
        child.wait().unwrap();
    }

    fn a_failure_is_one_line() {
        let start = Instant::now();
        let why = Embedded::start(Duration::ZERO, Some(Path::new("/no/such/folder/log")))
            .unwrap_err();
        assert!(
            why.contains("/no/such/folder/log")
                && why.contains("No such file")
                && !why.contains('\n'),
            "{why}"
        );
        assert!(start.elapsed() < AGES);
    }
}
