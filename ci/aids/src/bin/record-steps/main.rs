//! Records the calls of the book's loops for the step-by-step simulator.
//!
//! ```text
//! cargo run -p aids --bin record-steps [-- --check] [NAME...]
//! ```
//!
//! Each server runs under strace and is visited by three clients and a store that follow a
//! script, one thing after another: the next is done when the loop sleeps again. strace holds
//! the loop for a moment before each wait, so that two things can be there when it asks. What
//! happened stands in `static/recorded-steps/NAME.json`; `--check` records again and compares.
//!
//! A loop over io_uring makes hardly any call but its wait. Of this one the two queues are read
//! each time strace holds it, in the memory that it shares with the kernel (`rings.rs`). That
//! needs no privileges: the server is our child.

#[cfg(target_os = "linux")]
mod rings;

use std::process::ExitCode;

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    eprintln!("record-steps needs Linux and strace");
    ExitCode::from(2)
}

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    let mut names: Vec<String> = std::env::args().skip(1).collect();
    let check = names.iter().position(|word| word == "--check");
    if let Some(at) = check {
        names.remove(at);
    }
    if names.iter().any(|word| word.starts_with('-')) {
        eprintln!("usage: record-steps [--check] [NAME...]");
        return ExitCode::from(2);
    }
    match linux::run(&names, check.is_some()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(line) => {
            eprintln!("{line}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::fs;
    use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
    use std::net::{SocketAddr, TcpListener, TcpStream};
    use std::path::{Path, PathBuf};
    use std::process::{Child, Command, Stdio};
    use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

    use aids::steps::kernel::Kernel;
    use aids::steps::recording::{Arrival, Does, Need, Recording, Who};
    use aids::steps::rings;
    use aids::steps::trace::{self, Timed};
    use tempfile::TempDir;

    use crate::rings::Rings;

    /// The servers that are recorded.
    const SERVERS: [&str; 3] = ["poll-loop", "epoll-loop", OVER_RINGS];
    /// The one whose calls say little.
    const OVER_RINGS: &str = "uring-loop";
    /// The steps are those of one thread. The epoll server would hand files to others.
    const ONE_THREAD: [(&str, &str); 1] = [("epoll-loop", "--files-in-loop")];
    /// No deadline comes while we record, and no file is kept open for later.
    const FLAGS: [&str; 7] = [
        "--no-file-cache",
        "--header-timeout",
        "600000",
        "--store-timeout",
        "600000",
        "--listen",
        "127.0.0.1:0",
    ];
    /// For how long strace holds the loop before each wait.
    const HELD: Duration = Duration::from_millis(400);
    /// For how long it holds a loop over rings after it: what a worker of the kernel does is done
    /// when the loop looks.
    const HELD_AFTER: Duration = Duration::from_millis(25);
    /// Why a server of a machine that forbids io_uring is not recorded.
    const REFUSED: &str = "the kernel refuses it here";
    /// A machine that is busy may be late; then the recording is made again.
    const TRIES: usize = 3;

    const FILE: (&str, &str) = ("hello.txt", "Hello from a file.\n");
    const HALVES: [&str; 2] =
        ["GET /hello.txt HTTP/1.1\r\n", "Host: guestbook.example\r\n\r\n"];
    const ASKS: &str = "GET /guestbook HTTP/1.1\r\nHost: guestbook.example\r\n\r\n";
    /// Eight visitors, one remark.
    const REPLY: &str = ":8\r\n*1\r\n$5\r\nhello\r\n";

    /// What happens while the loop sleeps, or before it asks.
    struct Moment {
        asleep: bool,
        arrivals: Vec<Arrival>,
    }

    /// The script: A asks in two halves, B wants what only the store knows, C says nothing
    /// and leaves.
    fn script() -> Vec<Moment> {
        let connects = |who| Arrival { who, does: Does::Connects };
        let leaves = |who| Arrival { who, does: Does::Leaves };
        let sends = |who, text: &str, what: &str, asks| Arrival {
            who,
            does: Does::Sends { bytes: text.len() as u64, what: what.to_owned(), asks },
        };
        let at = |asleep, arrivals| Moment { asleep, arrivals };
        vec![
            at(true, vec![connects(Who::A)]),
            at(
                true,
                vec![sends(Who::A, HALVES[0], "the first half of GET /hello.txt", None)],
            ),
            at(false, vec![connects(Who::B), connects(Who::C)]),
            at(true, vec![sends(Who::B, ASKS, "GET /guestbook", Some(Need::Store))]),
            at(true, vec![sends(Who::A, HALVES[1], "the second half", Some(Need::File))]),
            at(
                false,
                vec![
                    leaves(Who::C),
                    sends(Who::Store, REPLY, "its reply to what B asked", None),
                ],
            ),
        ]
    }

    pub fn run(names: &[String], check: bool) -> Result<(), String> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .ancestors()
            .nth(2)
            .ok_or("the book's root is gone")?;
        if let Some(name) = names.iter().find(|name| !SERVERS.contains(&name.as_str())) {
            let known = SERVERS.join(", ");
            return Err(format!("{name} is not recorded; these are: {known}"));
        }
        if cfg!(not(target_arch = "x86_64")) {
            return Err("the recordings have the system calls of x86-64; \
                        other processors have other names for some of them"
                .to_owned());
        }
        'servers: for name in SERVERS {
            if !names.is_empty() && !names.iter().any(|wanted| wanted == name) {
                continue;
            }
            let file = root.join("static/recorded-steps").join(name).with_extension("json");
            let program = built(root, name)?;
            let known = fs::read_to_string(&file).ok();
            let mut tried: Vec<String> = Vec::new();
            // A second look where the first differs: it is late on a busy machine.
            let text = loop {
                let recorded = match name {
                    OVER_RINGS => record_rings(&program, name),
                    _ => record(&program, name),
                };
                match recorded {
                    Ok(text) if !check || is_known(known.as_deref(), &text) => break text,
                    Ok(text) => tried.push(differs(known.as_deref().unwrap_or(""), &text)),
                    Err(why) => tried.push(why),
                }
                if check && tried.last().is_some_and(|why| why == REFUSED) {
                    println!("skipped: {name}: {REFUSED}");
                    continue 'servers;
                }
                if tried.len() == TRIES {
                    return Err(format!(
                        "{name}: {}{}",
                        tried.pop().unwrap_or_default(),
                        if check {
                            format!(
                                "\n{} is not what {name} does; \
                                 record it again: cargo run -p aids --bin record-steps {name}",
                                file.strip_prefix(root).unwrap_or(&file).display()
                            )
                        } else {
                            String::new()
                        }
                    ));
                }
            };
            let steps = text.matches("\"answer\"").count();
            if check {
                println!("ok: {name} makes the {steps} recorded steps");
            } else {
                fs::create_dir_all(file.parent().unwrap_or(root))
                    .and_then(|()| fs::write(&file, text))
                    .map_err(|e| format!("cannot write {}: {e}", file.display()))?;
                println!("{name}: {steps} steps");
            }
        }
        Ok(())
    }

    /// Whether this was recorded before, but for what differs from run to run.
    fn is_known(known: Option<&str>, now: &str) -> bool {
        let settled = |text: &str| {
            let recording = serde_json::from_str::<rings::Recording>(text);
            recording.map(|recording| recording.settled()).ok()
        };
        let is_settled =
            |known: &str| settled(known).is_some_and(|it| Some(it) == settled(now));
        known.is_some_and(|known| known == now || is_settled(known))
    }

    /// Where two texts part, in words.
    fn differs(known: &str, now: &str) -> String {
        let (mut a, mut b) = (known.lines(), now.lines());
        for n in 1.. {
            match (a.next(), b.next()) {
                (None, None) => break,
                (a, b) if a == b => {}
                (a, b) => {
                    return format!(
                        "line {n}:\n  recorded: {}\n  now:      {}",
                        a.unwrap_or("(the end)").trim(),
                        b.unwrap_or("(the end)").trim()
                    );
                }
            }
        }
        "nothing differs".to_owned()
    }

    /// Builds a server and says where it is.
    fn built(root: &Path, package: &str) -> Result<PathBuf, String> {
        let run = runs::Run {
            name: package.to_owned(),
            package: package.to_owned(),
            bin: package.to_owned(),
            args: Vec::new(),
            kind: runs::Kind::Server,
            varies: Vec::new(),
            suggestions: Vec::new(),
            via: Vec::new(),
            ask: Vec::new(),
            seconds: 0,
            stderr: false,
        };
        let output = runs::build_command(root, [&run])
            .stderr(Stdio::inherit())
            .output()
            .map_err(|e| format!("cannot run cargo: {e}"))?;
        String::from_utf8_lossy(&output.stdout)
            .lines()
            .find_map(|line| runs::executable(&run, line))
            .ok_or_else(|| format!("{package} does not build"))
    }

    const HOW: &str = "cargo run -p aids --bin record-steps";

    /// Records one server, and says what its file is.
    fn record(program: &Path, name: &str) -> Result<String, String> {
        let one_thread = ONE_THREAD.into_iter().find(|(server, _)| *server == name);
        let flags: Vec<&str> = one_thread.into_iter().map(|(_, flag)| flag).collect();
        let scene = Scene::open(program, &flags, &trace::WAITS, Duration::ZERO)?;
        let Played { text, arrivals, store, end, .. } = scene.play()?;
        let mut steps = trace::steps(&text, &arrivals, store, end)?;
        all_are_there(
            &arrivals,
            steps.iter().map(|step| step.arrived.len() + step.meanwhile.len()),
        )?;
        let keeps = steps.iter().any(|step| step.call.starts_with("epoll"));
        let mut kernel = Kernel::new(keeps);
        for (n, step) in steps.iter_mut().enumerate() {
            kernel.step(step).map_err(|why| {
                format!("step {}, {} = {}: {why}", n + 1, step.shown(), step.answer)
            })?;
            step.after = kernel.after();
        }
        let recording = Recording {
            how: HOW.to_owned(),
            command: [&[name, "--no-file-cache"], &flags[..]].concat().join(" "),
            steps,
        };
        recording.to_file().map_err(|e| e.to_string())
    }

    /// Records the server whose two queues are read, and says what its file is.
    fn record_rings(program: &Path, name: &str) -> Result<String, String> {
        let mut scene = Scene::open(program, &[], &[rings::WAIT], HELD_AFTER)?;
        scene.rings =
            Some(Rings::new(scene.server.id(), &scene.folder.path().join("trace")));
        let Played { text, arrivals, end, rings: seen, .. } = scene.play()?;
        let seen = seen.ok_or("nobody has looked at the queues")?;
        let mut steps = rings::trace::steps(&text, &seen.looks, &arrivals, end)?;
        all_are_there(
            &arrivals,
            steps.iter().map(|step| step.arrived.len() + step.meanwhile.len()),
        )?;
        let mut kernel = rings::kernel::Kernel::default();
        for (n, step) in steps.iter_mut().enumerate() {
            kernel.step(step).map_err(|why| {
                format!("step {}, {} = {}: {why}", n + 1, step.shown(), step.answer)
            })?;
            step.after = kernel.after();
        }
        let command = format!("{name} --no-file-cache");
        rings::Recording::new(HOW.to_owned(), command, seen.room, steps)
            .to_file()
            .map_err(|e| e.to_string())
    }

    /// Whether all that was done is in the trace.
    fn all_are_there(
        arrivals: &[Timed],
        seen: impl Iterator<Item = usize>,
    ) -> Result<(), String> {
        match (seen.sum::<usize>(), arrivals.len()) {
            (seen, done) if seen == done => Ok(()),
            (seen, done) => Err(format!("{seen} of {done} arrivals are in the trace")),
        }
    }

    /// What a scene leaves behind.
    struct Played {
        /// strace's lines.
        text: String,
        /// What arrived, and when.
        arrivals: Vec<Timed>,
        /// The store's port.
        store: u16,
        /// When it was over.
        end: f64,
        /// What was read in the queues.
        rings: Option<Rings>,
    }

    /// A server under strace, its clients, and its store.
    struct Scene {
        server: Child,
        folder: TempDir,
        address: SocketAddr,
        store: TcpListener,
        clients: Vec<Option<TcpStream>>,
        /// How often the server had gone to sleep or was interrupted, when something was
        /// last done to it.
        switches: u64,
        arrivals: Vec<Timed>,
        /// Its queues, if they are to be read.
        rings: Option<Rings>,
    }

    impl Drop for Scene {
        fn drop(&mut self) {
            let _ = self.server.kill();
            let _ = self.server.wait();
        }
    }

    impl Scene {
        /// `waits`: the calls that it is held before, and `after` for how long after them.
        fn open(
            program: &Path,
            flags: &[&str],
            waits: &[&str],
            after: Duration,
        ) -> Result<Self, String> {
            let folder = tempfile::tempdir().map_err(|e| format!("no folder: {e}"))?;
            let file = folder.path().join(FILE.0);
            // Its entity tag, and with it the length of the response, comes from its time.
            let time = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
            fs::write(&file, FILE.1)
                .and_then(|()| fs::File::options().append(true).open(&file))
                .and_then(|file| file.set_modified(time))
                .map_err(|e| format!("no file: {e}"))?;
            let store =
                TcpListener::bind("127.0.0.1:0").map_err(|e| format!("no store: {e}"))?;
            store.set_nonblocking(true).map_err(|e| e.to_string())?;
            let at = store.local_addr().map_err(|e| e.to_string())?;
            // -D: the server is our child, and strace its.
            let mut server = Command::new("strace")
                .args(["-D", "-ttt", "-qq", "-s", "32", "-e", "signal=none", "-o"])
                .arg(folder.path().join("trace"))
                .arg("-e")
                .arg(format!(
                    "inject={}:delay_enter={}{}",
                    waits.join(","),
                    HELD.as_micros(),
                    match after.as_micros() {
                        0 => String::new(),
                        after => format!(":delay_exit={after}"),
                    }
                ))
                .arg(program)
                .args(FLAGS)
                .args(flags)
                .args(["--store", &format!("redis://{at}")])
                .arg("--root")
                .arg(folder.path())
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .spawn()
                .map_err(|e| format!("cannot run strace: {e}; is it installed?"))?;
            let mut line = String::new();
            let read = server
                .stdout
                .take()
                .map(|stdout| BufReader::new(stdout).read_line(&mut line));
            let address = line
                .trim_end()
                .strip_prefix("listening on http://")
                .and_then(|address| address.parse().ok());
            let mut scene = Self {
                server,
                folder,
                address: address.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0))),
                store,
                clients: vec![None, None, None],
                switches: 0,
                arrivals: Vec::new(),
                rings: None,
            };
            match (read, address) {
                (Some(Ok(_)), Some(_)) => Ok(scene),
                // It has said why, and exit code 2 is for that.
                _ if line.is_empty()
                    && scene.server.wait().is_ok_and(|status| status.code() == Some(2)) =>
                {
                    Err(REFUSED.to_owned())
                }
                _ => {
                    Err(format!("under strace it does not say where it listens: {line:?}"))
                }
            }
        }

        /// Plays the script.
        fn play(mut self) -> Result<Played, String> {
            let mut asked = None;
            for moment in script() {
                self.rests(moment.asleep)?;
                self.switches = self.switches()?;
                for arrival in moment.arrivals {
                    let timed = Timed { at: now(), asleep: moment.asleep, arrival };
                    self.act(&timed.arrival, &mut asked)?;
                    self.arrivals.push(timed);
                }
                if !moment.asleep && self.state()? != 't' {
                    return Err(
                        "the machine was too busy: the loop was not held".to_owned()
                    );
                }
            }
            self.rests(true)?;
            self.rings.as_mut().map_or(Ok(()), Rings::last)?;
            let end = now();
            let tracer = self.tracer()?;
            let _ = self.server.kill();
            let _ = self.server.wait();
            let text = self.trace(&tracer)?;
            let port = self.store.local_addr().map_err(|e| e.to_string())?.port();
            let (arrivals, rings) = (std::mem::take(&mut self.arrivals), self.rings.take());
            Ok(Played { text, arrivals, store: port, end, rings })
        }

        /// strace's place in /proc.
        fn tracer(&self) -> Result<PathBuf, String> {
            let status = self.proc("status")?;
            let id = status.lines().find_map(|line| line.strip_prefix("TracerPid:"));
            id.map(|id| Path::new("/proc").join(id.trim()))
                .ok_or_else(|| "no TracerPid in /proc".to_owned())
        }

        /// What strace has written, once it has ended.
        fn trace(&self, tracer: &Path) -> Result<String, String> {
            let since = Instant::now();
            while tracer.exists() {
                if since.elapsed() > Duration::from_secs(10) {
                    return Err("strace does not end".to_owned());
                }
                std::thread::sleep(Duration::from_millis(10));
            }
            fs::read_to_string(self.folder.path().join("trace"))
                .map_err(|e| format!("no trace: {e}"))
        }

        fn act(
            &mut self,
            arrival: &Arrival,
            asked: &mut Option<TcpStream>,
        ) -> Result<(), String> {
            let failed = |e: std::io::Error| format!("{arrival}: {e}");
            let place = Who::CLIENTS.iter().position(|who| *who == arrival.who);
            match (place, &arrival.does) {
                (Some(n), Does::Connects) => {
                    let client = TcpStream::connect(self.address).map_err(failed)?;
                    client.set_nodelay(true).map_err(failed)?;
                    self.clients[n] = Some(client);
                }
                (Some(n), Does::Leaves) => self.clients[n] = None,
                (Some(n), Does::Sends { bytes, .. }) => {
                    let texts = [HALVES[0], HALVES[1], ASKS];
                    let text = texts.iter().find(|text| text.len() as u64 == *bytes);
                    let (Some(client), Some(text)) = (&mut self.clients[n], text) else {
                        return Err(format!("{arrival}: it cannot"));
                    };
                    client.write_all(text.as_bytes()).map_err(failed)?;
                }
                // A server may have looked whether the store is there: the last connection
                // is the one that is used.
                (None, _) => {
                    loop {
                        match self.store.accept() {
                            Ok((stream, _)) => *asked = Some(stream),
                            Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                            Err(e) => return Err(failed(e)),
                        }
                    }
                    let stream = asked.as_mut().ok_or("nobody has asked the store")?;
                    stream
                        .set_read_timeout(Some(Duration::from_secs(5)))
                        .map_err(failed)?;
                    let n = stream.read(&mut [0; 4096]).map_err(failed)?;
                    if n == 0 {
                        return Err("nobody has asked the store".to_owned());
                    }
                    stream.write_all(REPLY.as_bytes()).map_err(failed)?;
                }
            }
            Ok(())
        }

        /// Waits until the loop sleeps, or is held before it waits; and not as it did before
        /// the last arrival.
        fn rests(&mut self, asleep: bool) -> Result<(), String> {
            let (since, wanted) = (Instant::now(), if asleep { 'S' } else { 't' });
            let mut times = 0;
            while times < 6 {
                if since.elapsed() > Duration::from_secs(20) {
                    return Err(format!("after 20 s the loop is not in state {wanted}"));
                }
                std::thread::sleep(Duration::from_millis(10));
                let (state, switches) = (self.state()?, self.switches()?);
                if let Some(rings) = &mut self.rings {
                    rings.glance(state, switches)?;
                }
                let rests = state == wanted && switches > self.switches;
                times = if rests { times + 1 } else { 0 };
            }
            match &mut self.rings {
                Some(rings) if asleep => rings.sleeps(),
                _ => Ok(()),
            }
        }

        /// proc_pid_stat(5): S sleeps, t is stopped by its tracer.
        fn state(&self) -> Result<char, String> {
            let stat = self.proc("stat")?;
            let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
            state.ok_or_else(|| "no state in /proc".to_owned())
        }

        /// How often it has given up a processor.
        fn switches(&self) -> Result<u64, String> {
            let status = self.proc("status")?;
            let counts = status.lines().filter(|line| line.contains("ctxt_switches"));
            Ok(counts
                .filter_map(|line| line.rsplit('\t').next()?.parse::<u64>().ok())
                .sum())
        }

        fn proc(&self, name: &str) -> Result<String, String> {
            fs::read_to_string(format!("/proc/{}/{name}", self.server.id()))
                .map_err(|_| "the server has ended".to_owned())
        }
    }

    fn now() -> f64 {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
    }
}
