//! The server as a client finds it, over epoll and over io_uring: real connections, real files.
#![cfg(target_os = "linux")]

#[path = "../../uring-read/tests/confined/mod.rs"]
mod confined;
mod ftp_client;

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use ftp_client::Client;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

const CANARY: &str = "the canary is outside";
const LONG: Duration = Duration::from_secs(30);

/// Where the server waits. Over io_uring only where there is one.
fn each(test: impl Fn(&str)) {
    test("epoll");
    let setup = uring_loop::Setup { entries: 4, as_of: None, work: Default::default() };
    match uring_loop::Ring::new(&setup) {
        Ok(_) => test("io_uring"),
        Err(error) => flags::skipped(uring_loop::refused(&error)),
    }
}

struct Server {
    child: Child,
    address: SocketAddr,
    folder: TempDir,
}

impl Server {
    fn start(over: &str, more: &[&str]) -> Self {
        Self::start_by(Command::new(env!("CARGO_BIN_EXE_ftp")), over, more)
    }

    /// Under a limit of the shell's: `ulimit -n 40`.
    fn start_under(limit: &str, over: &str) -> Self {
        let mut command = Command::new("sh");
        let program = env!("CARGO_BIN_EXE_ftp");
        command.args(["-c", &format!("{limit}; exec \"$0\" \"$@\""), program]);
        Self::start_by(command, over, &[])
    }

    fn start_by(mut command: Command, over: &str, more: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let root = folder.path().join("root");
        fs::create_dir_all(root.join("in")).expect("a folder");
        fs::create_dir_all(root.join("sub/deep")).expect("a folder");
        fs::write(root.join("sub/a b"), "with a space").expect("a file");
        fs::write(folder.path().join("secret"), CANARY).expect("a file");
        let mut child = command
            .args(["--listen", "127.0.0.1:0", "--uploads", "in", "--over", over, "--root"])
            .arg(&root)
            .args(more)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let mut line = Vec::new();
        let mut out = child.stdout.take().expect("its output");
        while !line.ends_with(b"\n") {
            let mut byte = [0];
            assert_eq!(out.read(&mut byte).expect("its output"), 1, "it has ended");
            line.push(byte[0]);
        }
        let line = String::from_utf8(line).expect("text");
        let address = line.trim().strip_prefix("listening on ftp://").expect("its address");
        Self { child, address: address.parse().expect("an address"), folder }
    }

    fn guest(&self) -> Client {
        let mut client = Client::connect(self.address);
        assert_eq!(client.reply().0, 220);
        client.expect("USER anonymous", 331);
        client.expect("PASS test", 230);
        client
    }

    fn root(&self) -> std::path::PathBuf {
        self.folder.path().join("root")
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).expect("a pid"));
        kill(pid, signal).expect("to signal");
    }

    /// How many descriptors it has while nobody is there: known once it has served somebody,
    /// since it says where it listens before it is ready for anything else.
    fn descriptors_when_empty(&self) -> usize {
        let guest = self.guest();
        let with_one = self.descriptors();
        drop(guest);
        with_one - 1
    }

    fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.child.id())).expect("its table").count()
    }

    /// All that clients had open is closed again.
    fn comes_back_to(&self, descriptors: usize) {
        let since = Instant::now();
        while self.descriptors() > descriptors && since.elapsed() < LONG {
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(self.descriptors() <= descriptors, "{} are open", self.descriptors());
    }

    fn wait(&mut self) -> ExitStatus {
        let since = Instant::now();
        while since.elapsed() < LONG {
            if let Some(status) = self.child.try_wait().expect("to wait") {
                return status;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("it does not end");
    }

    fn stop(mut self) {
        self.signal(Signal::SIGTERM);
        assert!(self.wait().success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has ended, unless a test has failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn bytes(len: usize, seed: u32) -> Vec<u8> {
    let mut state = seed | 1;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 8) as u8
    };
    (0..len).map(next).collect()
}

#[test]
fn files_of_every_size_arrive_as_they_are_whole_and_resumed() {
    each(|over| {
        let server = Server::start(over, &[]);
        let mut client = server.guest();
        let piece = 128 * 1024;
        for len in [0, 1, 2, 4096, piece - 1, piece, piece + 1, 5 * piece + 77, 20_000_000]
        {
            let content = bytes(len, len as u32);
            fs::write(server.root().join("file"), &content).expect("a file");
            assert!(client.get("RETR file", 0) == (226, content.clone()), "{len} bytes");
            let (begin, end) = content.split_at(len / 3);
            assert!(client.get("RETR file", begin.len()) == (226, end.to_vec()), "{len}");
            assert_eq!(client.put("STOR in/file", 0, &content), 226);
            assert!(fs::read(server.root().join("in/file")).expect("it") == content);
            assert_eq!(client.put("STOR in/file", 0, begin), 226);
            assert_eq!(client.put("STOR in/file", begin.len(), end), 226);
            assert!(fs::read(server.root().join("in/file")).expect("it") == content);
            assert_eq!(client.put("STOR in/file", 0, begin), 226);
            assert_eq!(client.put("APPE in/file", 0, end), 226);
            assert!(fs::read(server.root().join("in/file")).expect("it") == content);
        }
        client.expect("QUIT", 221);
        drop(client);
        server.stop();
    });
}

#[test]
fn folders_are_shown() {
    each(|over| {
        let server = Server::start(over, &[]);
        let outside = server.folder.path().join("secret");
        symlink(&outside, server.root().join("out")).expect("a link");
        symlink("sub", server.root().join("inside")).expect("a link");
        fs::write(server.root().join(".hidden"), "x").expect("a file");
        fs::write(server.root().join("two\r\nlines"), "x").expect("a file");
        let mut client = server.guest();
        let text = |client: &mut Client, command: &str| {
            let (code, bytes) = client.get(command, 0);
            assert_eq!(code, 226, "{command}");
            String::from_utf8(bytes).expect("UTF-8")
        };
        assert_eq!(text(&mut client, "NLST"), "in\r\ninside\r\nsub\r\n");
        assert_eq!(text(&mut client, "NLST sub"), "a b\r\ndeep\r\n");
        let facts = text(&mut client, "MLSD sub");
        assert!(facts.starts_with("type=file;size=12;modify=2"), "{facts}");
        assert!(text(&mut client, "LIST -la sub/a b").ends_with(" a b\r\n"));
        client.expect("CWD sub/deep", 250);
        assert_eq!(text(&mut client, "LIST"), "");
        client.expect("CWD ../..", 250);
        client.expect("MDTM sub/a b", 213);
        assert_eq!(client.get("LIST none", 0).0, 550);
        drop(client);
        server.stop();
    });
}

#[test]
fn nobody_gets_out_of_the_root() {
    each(|over| {
        let server = Server::start(over, &[]);
        let root = server.root();
        let outside = server.folder.path();
        symlink(outside.join("secret"), root.join("link")).expect("a link");
        symlink("../secret", root.join("relative")).expect("a link");
        symlink(outside, root.join("folder")).expect("a link");
        symlink("/", root.join("slash")).expect("a link");
        symlink("/proc/self/root", root.join("magic")).expect("a link");
        symlink(outside.join("new"), root.join("in/new")).expect("a link");
        symlink("..", root.join("sub/up")).expect("a link");
        symlink("loop", root.join("loop")).expect("a link");
        symlink("../sub", root.join("in/sub")).expect("a link");
        symlink("../sub/new", root.join("in/dangling")).expect("a link");
        let absolute = format!("{}", outside.join("secret").display());
        let mut client = server.guest();
        let mut tried = 0;
        for here in ["/", "sub", "in"] {
            client.expect("CWD /", 250);
            client.expect(&format!("CWD {here}"), 250);
            let names = [
                "../secret",
                "../../secret",
                "/../secret",
                "sub/../../secret",
                "in/../../secret",
                "....//secret",
                "..\\secret",
                "%2e%2e/secret",
                "/link",
                "link",
                "/relative",
                "/folder/secret",
                "/folder/../secret",
                "/slash/etc/passwd",
                "/magic/etc/passwd",
                "/sub/up/up/secret",
                "/sub/up/../secret",
                "/loop",
                "~/secret",
                "~root",
                &absolute,
                &format!("/{absolute}"),
            ];
            for name in names {
                let (code, bytes) = client.get(&format!("RETR {name}"), 0);
                assert!(code >= 500 && bytes.is_empty(), "{name} from {here}: {code}");
                for verb in ["SIZE", "MDTM", "MLST"] {
                    client.expect(&format!("{verb} {name}"), 550);
                }
                tried += 4;
            }
            for name in ["../secret", "/folder/x", "/in/new", "/in/../x", "/sub/up/x", "/x"]
            {
                let code = client.put(&format!("STOR {name}"), 0, b"overwritten");
                assert!(code >= 500, "{name} from {here}: {code}");
                tried += 1;
            }
            for name in ["/folder", "/slash", "/magic", "..\\..", "/folder/.."] {
                let code = client.say(&format!("CWD {name}")).0;
                assert!(code == 550 || name == "/folder/..", "{name} from {here}: {code}");
                let (code, listing) = client.get(&format!("LIST {name}"), 0);
                let listing = String::from_utf8_lossy(&listing).into_owned();
                assert!(code == 550 || !listing.contains("secret"), "{name}: {listing}");
                tried += 2;
            }
        }
        assert!(tried > 60);
        assert_eq!(fs::read_to_string(outside.join("secret")).expect("it"), CANARY);
        assert!(!outside.join("new").exists());
        assert!(!root.join("sub/x").exists() && !root.join("sub/new").exists());
        // A data connection that leads elsewhere is not offered.
        client.expect("PORT 127,0,0,1,0,22", 502);
        client.expect("EPRT |1|127.0.0.1|22|", 502);
        drop(client);
        server.stop();
    });
}

#[test]
fn two_hundred_clients_move_files_at_once() {
    each(|over| {
        let server = Server::start(over, &[]);
        let content = bytes(300_000, 7);
        fs::write(server.root().join("file"), &content).expect("a file");
        let before = server.descriptors_when_empty();
        let mut clients: Vec<Client> = (0..200).map(|_| server.guest()).collect();
        // All of them have a download on the way, of which nobody has read anything.
        let mut downloads: Vec<TcpStream> = clients
            .iter_mut()
            .map(|client| {
                let data = client.passive();
                client.expect("RETR file", 150);
                data
            })
            .collect();
        // One that comes now is served at once, with 200 that do not go on.
        assert!(server.guest().get("RETR file", 0) == (226, content.clone()));
        for (data, client) in downloads.iter_mut().zip(&mut clients) {
            let mut got = Vec::new();
            data.read_to_end(&mut got).expect("to read");
            assert!(got == content, "it arrived otherwise");
            assert_eq!(client.reply().0, 226);
        }
        // And now all store at once, each its own, a byte first.
        let mut uploads: Vec<TcpStream> = Vec::new();
        for (number, client) in clients.iter_mut().enumerate() {
            let mut data = client.passive();
            client.expect(&format!("STOR in/{number}"), 150);
            data.write_all(&content[..1]).expect("to send");
            uploads.push(data);
        }
        for (number, mut data) in uploads.into_iter().enumerate() {
            data.write_all(&content[1..=number * 1000]).expect("to send");
        }
        for (number, client) in clients.iter_mut().enumerate() {
            assert_eq!(client.reply().0, 226);
            let stored = fs::read(server.root().join(format!("in/{number}"))).expect("it");
            assert!(stored == content[..=number * 1000], "{number}");
        }
        drop(clients);
        server.comes_back_to(before);
        server.stop();
    });
}

#[test]
fn a_port_is_for_the_client_that_asked_for_it() {
    each(|over| {
        let server = Server::start(over, &[]);
        fs::write(server.root().join("file"), "mine").expect("a file");
        let mut client = server.guest();
        let address = client.passive_address();
        // Somebody else is faster.
        let mut thief = ftp_client::connect_from([127, 0, 0, 2], address);
        let mut data = TcpStream::connect(address).expect("to connect");
        client.expect("RETR file", 150);
        let mut got = String::new();
        data.read_to_string(&mut got).expect("to read");
        assert_eq!(got, "mine");
        assert_eq!(client.reply().0, 226);
        let mut stolen = Vec::new();
        let end = thief.read_to_end(&mut stolen).map_err(|error| error.kind());
        assert!(matches!(end, Ok(0) | Err(ErrorKind::ConnectionReset)), "{end:?}");
        drop(client);
        server.stop();
    });
}

#[test]
fn a_transfer_is_given_up_with_an_urgent_byte() {
    each(|over| {
        let server = Server::start(over, &[]);
        fs::write(server.root().join("file"), bytes(8_000_000, 3)).expect("a file");
        let mut client = server.guest();
        let mut data = client.passive();
        client.expect("RETR file", 150);
        data.read_exact(&mut [0; 1000]).expect("to read");
        // As ftplib does it: the line end is the urgent byte.
        client.send_urgent(b"ABOR\r\n");
        assert_eq!(client.reply().0, 426);
        assert_eq!(client.reply().0, 226);
        let end = data.read_to_end(&mut Vec::new()).map_err(|error| error.kind());
        assert_eq!(
            end,
            Err(ErrorKind::ConnectionReset),
            "that looks like the end of the file"
        );
        client.expect("NOOP", 200);
        assert_eq!(client.get("RETR sub/a b", 0), (226, b"with a space".to_vec()));
        drop(client);
        server.stop();
    });
}

#[test]
fn who_does_not_go_on_is_let_go() {
    each(|over| {
        let server =
            Server::start(over, &["--idle-timeout", "400", "--data-timeout", "300"]);
        fs::write(server.root().join("file"), bytes(30_000_000, 3)).expect("a file");
        let before = server.descriptors_when_empty();
        let mut silent = Client::connect(server.address);
        assert_eq!(silent.reply().0, 220);
        let mut idle = server.guest();
        assert_eq!((silent.reply().0, idle.reply().0), (421, 421));
        assert!(silent.is_at_its_end() && idle.is_at_its_end());

        let mut client = server.guest();
        let _ = client.passive_address();
        client.expect("LIST", 150);
        assert_eq!(client.reply().0, 425, "nobody came in");
        let data = client.passive();
        client.expect("RETR file", 150);
        assert_eq!(client.reply().0, 426, "nobody read");
        drop(data);
        let data = client.passive();
        client.expect("STOR in/x", 150);
        assert_eq!(client.reply().0, 426, "nobody wrote");
        drop(data);
        // One that drips is no better: bytes are no commands.
        let dripping = Instant::now();
        while client.drip(b'N') && dripping.elapsed() < LONG {
            std::thread::sleep(Duration::from_millis(50));
        }
        assert!(dripping.elapsed() < LONG);
        drop((silent, idle, client));
        server.comes_back_to(before);
        server.stop();
    });
}

#[test]
fn odd_files_are_refused_and_a_short_one_is_not_complete() {
    each(|over| {
        let server = Server::start(over, &[]);
        let root = server.root();
        nix::unistd::mkfifo(&root.join("fifo"), nix::sys::stat::Mode::S_IRWXU)
            .expect("a FIFO");
        nix::unistd::mkfifo(&root.join("in/fifo"), nix::sys::stat::Mode::S_IRWXU)
            .expect("a FIFO");
        let _socket = UnixListener::bind(root.join("socket")).expect("a socket");
        let mut client = server.guest();
        for name in ["fifo", "socket", "sub"] {
            assert_eq!(client.get(&format!("RETR {name}"), 0), (550, Vec::new()), "{name}");
        }
        assert_eq!(client.put("STOR in/fifo", 0, b"x"), 550);
        fs::write(root.join("file"), bytes(20_000_000, 3)).expect("a file");
        let mut data = client.passive();
        client.expect("RETR file", 150);
        data.read_exact(&mut [0; 1000]).expect("to read");
        let file = fs::OpenOptions::new().write(true).open(root.join("file")).expect("it");
        file.set_len(500_000).expect("to cut it");
        let end = data.read_to_end(&mut Vec::new()).map_err(|error| error.kind());
        assert_eq!(end, Err(ErrorKind::ConnectionReset));
        assert_eq!(client.reply().0, 451);
        client.expect("NOOP", 200);
        drop(client);
        server.stop();
    });
}

/// However a transfer ends that is not complete, its data connection ends in a reset.
#[test]
fn what_is_cut_never_looks_complete() {
    each(|over| {
        let mut server = Server::start(over, &["--grace", "300"]);
        fs::write(server.root().join("file"), bytes(30_000_000, 3)).expect("a file");
        let begin = |client: &mut Client| {
            let mut data = client.passive();
            client.expect("RETR file", 150);
            data.read_exact(&mut [0; 1000]).expect("to read");
            data
        };
        let end = |mut data: TcpStream| {
            data.read_to_end(&mut Vec::new()).map_err(|error| error.kind())
        };
        let mut client = server.guest();
        let data = begin(&mut client);
        client.will_reset();
        drop(client);
        assert_eq!(
            end(data),
            Err(ErrorKind::ConnectionReset),
            "its control connection was reset"
        );
        let mut client = server.guest();
        let data = begin(&mut client);
        server.signal(Signal::SIGTERM);
        assert!(server.wait().success());
        assert_eq!(end(data), Err(ErrorKind::ConnectionReset), "the grace was over");
        drop(client);
    });
}

#[test]
fn a_time_beyond_all_calendars_stops_nobody() {
    each(|over| {
        let server = Server::start(over, &[]);
        let file = fs::File::create(server.root().join("odd")).expect("a file");
        let far = std::time::UNIX_EPOCH + Duration::from_secs(400_000_000_000);
        if file.set_modified(far).is_err() {
            return flags::skipped("this file system has no such time");
        }
        let mut client = server.guest();
        client.expect("MDTM odd", 213);
        assert_eq!(client.get("LIST", 0).0, 226);
        assert_eq!(client.get("MLSD", 0).0, 226);
        drop(client);
        server.stop();
    });
}

#[test]
fn a_client_that_is_gone_leaves_nothing_behind() {
    each(|over| {
        let server = Server::start(over, &[]);
        fs::write(server.root().join("file"), bytes(8_000_000, 3)).expect("a file");
        let before = server.descriptors_when_empty();
        for round in 0..60 {
            let mut client = server.guest();
            let data = match round % 3 {
                0 => None,
                _ => Some(client.passive()),
            };
            match round % 4 {
                0 => client.send(b"RETR file\r\n"),
                1 => client.send(b"STOR in/x\r\n"),
                2 => client.send(b"LIST\r\nLIST\r\nRETR"),
                _ => {}
            }
            if round % 2 == 0 {
                client.will_reset();
            }
            drop(client);
            drop(data);
        }
        server.comes_back_to(before);
        // Nobody claims the file any more.
        assert_eq!(server.guest().put("STOR in/x", 0, b"x"), 226);
        server.stop();
    });
}

#[test]
fn on_sigterm_transfers_end_first() {
    each(|over| {
        let mut server = Server::start(over, &[]);
        let content = bytes(6_000_000, 9);
        fs::write(server.root().join("file"), &content).expect("a file");
        let (mut busy, mut storing, mut idle) =
            (server.guest(), server.guest(), server.guest());
        let mut download = busy.passive();
        busy.expect("RETR file", 150);
        let mut upload = storing.passive();
        storing.expect("STOR in/x", 150);
        upload.write_all(&content[..3_000_000]).expect("to send");
        server.signal(Signal::SIGTERM);
        assert_eq!(idle.reply().0, 421);
        upload.write_all(&content[3_000_000..]).expect("to send");
        drop(upload);
        let mut got = Vec::new();
        download.read_to_end(&mut got).expect("to read");
        assert!(got == content);
        assert_eq!((busy.reply().0, busy.reply().0), (226, 421));
        assert_eq!((storing.reply().0, storing.reply().0), (226, 421));
        drop((busy, storing, idle));
        assert!(server.wait().success());
        let stored = fs::read(server.root().join("in/x")).expect("it");
        assert!(stored == content);
    });
}

/// No more of a file than a limit of the kernel's allows: the client is told, and the server
/// lives.
#[test]
fn what_cannot_be_written_is_told() {
    each(|over| {
        let server = Server::start_under("ulimit -f 64", over);
        let mut client = server.guest();
        assert_eq!(client.put("STOR in/x", 0, &bytes(1_000_000, 1)), 552);
        assert_eq!(client.put("STOR in/x", 0, b"small"), 226);
        drop(client);
        server.stop();
    });
}

#[test]
fn without_descriptors_others_wait() {
    each(|over| {
        let server = Server::start_under("ulimit -n 44", over);
        fs::write(server.root().join("file"), "x").expect("a file");
        let mut clients: Vec<Client> =
            (0..20).map(|_| Client::connect(server.address)).collect();
        // There is room for three at a time; each that leaves makes room for another.
        while !clients.is_empty() {
            let mut client = clients.remove(0);
            assert_eq!(client.reply().0, 220);
            client.expect("USER ftp", 331);
            client.expect("PASS x", 230);
            assert_eq!(client.get("RETR file", 0), (226, b"x".to_vec()));
        }
        server.stop();
    });
}

#[test]
fn half_a_connection_has_its_answers() {
    each(|over| {
        let server = Server::start(over, &[]);
        let mut socket = TcpStream::connect(server.address).expect("to connect");
        socket
            .write_all(b"USER ftp\r\nPASS x\r\nPWD\r\nSIZE sub/a b\r\n")
            .expect("to send");
        socket.shutdown(Shutdown::Write).expect("to end");
        let mut said = String::new();
        socket.read_to_string(&mut said).expect("to read");
        let codes: Vec<&str> = said.lines().filter_map(|line| line.get(..3)).collect();
        assert_eq!(codes, ["220", "331", "230", "257", "213"]);
        server.stop();
    });
}

#[test]
fn what_is_refused_is_one_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let start = |arguments: &[&str], deny: Option<(i64, i32)>| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ftp"));
        command.args(["--listen", "127.0.0.1:0", "--root"]).arg(folder.path());
        command.args(arguments);
        if let Some((call, errno)) = deny {
            confined::deny(&mut command, call, errno);
        }
        let output = command.output().expect("it starts");
        let said = String::from_utf8(output.stderr).expect("text");
        assert_eq!(said.lines().count(), 1, "{said}");
        (output.status.code(), said)
    };
    let ring = &["--over", "io_uring"];
    for (errno, cause) in [
        (libc::EPERM, "a seccomp filter"),
        (libc::ENOSYS, "the kernel has no io_uring"),
        (libc::ENOMEM, "locked memory"),
    ] {
        let (code, said) = start(ring, Some((libc::SYS_io_uring_setup, errno)));
        assert!(code == Some(2) && said.contains(cause), "{said}");
    }
    let (code, said) = start(&[], Some((libc::SYS_openat2, libc::ENOSYS)));
    assert!(code == Some(2) && said.contains("Linux 5.6"), "{said}");
    let (code, said) = start(&["--uploads", "none"], None);
    assert!(code == Some(1) && said.contains("--uploads"), "{said}");
    let (code, said) = start(&["--over", "select"], None);
    assert!(code == Some(2) && said.contains("epoll"), "{said}");
    assert!(Path::new(env!("CARGO_BIN_EXE_ftp")).exists());
}
