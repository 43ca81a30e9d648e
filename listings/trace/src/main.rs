//! Traces a server of this book while clients ask it, and draws what it did.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    store::embedded::run_if_asked();
    match program::run(&flags::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err((code, line)) => flags::fail(code, line),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    flags::needs_linux("trace")
}

#[cfg(target_os = "linux")]
mod program {
    use std::fs;
    use std::io::{self, BufRead, BufReader, Write};
    use std::net::SocketAddr;
    use std::path::{Path, PathBuf};
    use std::process::{Command, Stdio};
    use std::thread;
    use std::time::Duration;

    use nix::sys::signal::{Signal, kill};
    use nix::sys::utsname::uname;
    use nix::unistd::Pid;
    use store::embedded::Embedded;
    use trace::tracer::{self, Seen, Tracer, refused};
    use trace::{Trace, ask, timeline};

    /// Traces a server of this book while clients ask it, and draws who waited
    #[derive(clap::Parser)]
    #[command(version)]
    pub struct Flags {
        /// The server: a package of this book
        #[arg(short, long, value_name = "NAME", required_unless_present = "from")]
        package: Option<String>,
        /// The package's program, if it has another name
        #[arg(long, requires = "package", value_name = "NAME")]
        bin: Option<String>,
        /// It is a small one, which has no flags but FLAGS
        #[arg(long, requires = "package")]
        bare: bool,
        /// Draw again what was recorded: the data of a trace
        #[arg(long, conflicts_with = "package", value_name = "FILE")]
        from: Option<PathBuf>,
        /// How many clients ask at about the same time
        #[arg(long, default_value = "3", value_name = "N")]
        clients: usize,
        /// What they ask for
        #[arg(long, default_value = "/guestbook", value_name = "PATH")]
        path: String,
        /// How long the store lets every reply wait, in milliseconds
        #[arg(long, default_value = "100", value_name = "MS")]
        store_delay: u64,
        /// How much time the drawing shows, in milliseconds; 0: as much as it took
        #[arg(long, default_value = "0", value_name = "MS")]
        span: u32,
        /// Where the data, the drawing and the words are written
        #[arg(long, default_value = "target/trace", value_name = "DIR")]
        out: PathBuf,
        /// The name of what is written; the program's if none is said
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
        /// Flags for the server
        #[arg(last = true, value_name = "FLAGS")]
        server: Vec<String>,
    }

    type Failure = (u8, String);

    /// After that everybody waits who has nothing to do.
    const SETTLED: Duration = Duration::from_millis(200);

    fn failed(what: &str) -> impl Fn(io::Error) -> Failure {
        move |error| (flags::FAILED, format!("{what}: {error}"))
    }

    pub fn run(flags: &Flags) -> Result<(), Failure> {
        let (path, trace) = match (&flags.from, &flags.package) {
            (Some(file), _) => (file.with_extension(""), recorded(file)?),
            (None, Some(package)) => {
                let name = flags.name.as_ref().or(flags.bin.as_ref()).unwrap_or(package);
                (flags.out.join(name), new(flags, package)?)
            }
            (None, None) => unreachable!("clap wants one of them"),
        };
        write(&path, &trace).map_err(failed("cannot write"))?;
        let (table, drawing) = (timeline::table(&trace), path.with_extension("svg"));
        // Whoever reads it may have read enough.
        let _ = writeln!(io::stdout(), "{table}{}", drawing.display());
        Ok(())
    }

    fn recorded(file: &Path) -> Result<Trace, Failure> {
        let text = fs::read_to_string(file).map_err(failed("cannot read"))?;
        serde_json::from_str(&text)
            .map_err(|error| (flags::REFUSED, format!("{}: {error}", file.display())))
    }

    fn new(flags: &Flags, package: &str) -> Result<Trace, Failure> {
        let bin = flags.bin.as_deref().unwrap_or(package);
        let program = build(bin)?;
        let delay = Duration::from_millis(flags.store_delay);
        // Not a child of the server: its threads would stand in the drawing as well.
        let store = Embedded::start(delay, None).map_err(|line| (flags::FAILED, line))?;
        let mut trace = traced(flags, &program, store.address())?;
        trace.program = format!("{bin} {}", flags.server.join(" ")).trim().to_owned();
        Ok(trace)
    }

    /// The folder of the workspace, under which cargo has built the listings.
    fn root() -> PathBuf {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        folder.ancestors().nth(2).unwrap_or(folder).to_owned()
    }

    /// The server's program, as cargo says when it has built it.
    fn build(bin: &str) -> Result<PathBuf, Failure> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let built = Command::new(cargo)
            .args(["build", "--quiet", "--workspace", "--bin", bin])
            .args(["--message-format", "json-render-diagnostics"])
            .stderr(Stdio::inherit())
            .output()
            .map_err(failed("cannot run cargo"))?;
        let messages = String::from_utf8_lossy(&built.stdout);
        let of_line = |line: &str| {
            let message: serde_json::Value = serde_json::from_str(line).ok()?;
            let is_it = message["target"]["name"] == bin;
            message["executable"].as_str().filter(|_| is_it).map(PathBuf::from)
        };
        let unknown = || (flags::REFUSED, format!("{bin} is no server of this book"));
        messages.lines().find_map(of_line).ok_or_else(unknown)
    }

    /// The server under the tracer, while the clients ask it.
    // ANCHOR: traced
    fn traced(flags: &Flags, program: &Path, store: SocketAddr) -> Result<Trace, Failure> {
        let mut command = Command::new(program);
        if !flags.bare {
            command.args(["--listen", "127.0.0.1:0", "--root", "src"]);
            command.args(["--store", &format!("redis://{store}")]);
        }
        command.args(&flags.server);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut tracer = Tracer::start(&mut command)
            .map_err(|error| (flags::REFUSED, refused(&error)))?;
        match tracer::FINDS_LINES {
            true => tracer.name_lines(&root()),
            false => eprintln!("trace: no lines: how this machine calls is not known here"),
        }
        let (zero, server) = (tracer.zero(), Pid::from_raw(tracer.child().id() as i32));
        let output = tracer.child().stdout.take().expect("it is piped");
        let (path, clients) = (flags.path.clone(), flags.clients);
        // The tracer is the thread that has started the server. So somebody else asks.
        let asking = thread::spawn(move || {
            let mut line = String::new();
            BufReader::new(output).read_line(&mut line)?;
            let address = line.trim().strip_prefix("listening on http://");
            let address = address.and_then(|address| address.parse().ok());
            let answers = match address {
                Some(address) => ask::ask(address, &path, clients, zero).and_then(|_| {
                    // That was for what is done once: threads, connections to the store.
                    thread::sleep(SETTLED);
                    ask::ask(address, &path, clients, zero)
                }),
                None => Err(io::Error::other("it does not say where it listens")),
            };
            // It may be gone by itself.
            let _ = kill(server, Signal::SIGTERM);
            answers
        });
        let Seen { lanes, accepted, no_operations, .. } =
            tracer.run().map_err(failed("cannot trace"))?;
        let requests =
            asking.join().expect("it does not panic").map_err(failed("asking"))?;
        // ANCHOR_END: traced
        // In a ring that cannot be read nobody is seen coming.
        if accepted != 2 * flags.clients && accepted > 0 {
            let line = format!("{accepted} connections for {} requests", 2 * flags.clients);
            return Err((flags::FAILED, line));
        }
        let mut trace = Trace {
            program: String::new(),
            asked: format!(
                "{} clients, GET {}, a store that takes {} ms for each reply",
                flags.clients, flags.path, flags.store_delay
            ),
            kernel: uname().map_or_else(
                |_| String::new(),
                |name| name.release().to_string_lossy().into_owned(),
            ),
            span: flags.span.into(),
            requests,
            lanes,
            no_operations,
        };
        trace.of_the_last_requests();
        Ok(trace)
    }

    /// The data, the drawing, and the words: files whose names differ in their endings.
    fn write(path: &Path, trace: &Trace) -> io::Result<()> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        fs::write(path.with_extension("json"), trace.to_json()?)?;
        fs::write(
            path.with_extension("svg"),
            timeline::svg(trace, &format!("trace-{name}")),
        )?;
        fs::write(path.with_extension("md"), timeline::words(trace))
    }
}
