//! Two hundred clients have each asked for a file, and read nothing of it. Another one comes.
//!
//! The server is this program, started again; what it has is read from /proc.

#[cfg(target_os = "linux")]
mod linux {
    use std::fs;
    use std::io::{self, BufRead, BufReader, Read, Write};
    use std::net::TcpStream;
    use std::path::Path;
    use std::process::{Child, Command, Stdio};
    use std::time::Duration;

    use ftp::start::{Wanted, get_ready};
    use ftp::{EpollFtp, RingFtp};
    use uring_loop::start::Failure;
    use uring_loop::{Ring, Setup, Work};

    const CLIENTS: usize = 200;
    const FILE: usize = 8 * 1024 * 1024;

    /// What the server has open, and how many threads.
    #[derive(Default)]
    pub struct Found {
        served: bool,
        threads: usize,
        workers: usize,
        sockets: usize,
        files: usize,
    }

    /// The server, in a process of its own.
    struct Server(Child);

    impl Drop for Server {
        fn drop(&mut self) {
            // It has nothing to lose.
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    /// The part of the process that was started again.
    pub fn serve(over: &str, root: &str) -> Result<(), Failure> {
        let second = Duration::from_secs(60);
        let wanted = Wanted {
            listen: ([127, 0, 0, 1], 0).into(),
            root: root.into(),
            uploads: None,
            upload_limit: 0,
            clients: 4096,
            idle: second,
            stall: second,
            grace: second,
        };
        let ready = get_ready(&wanted)?;
        println!("{}", ready.address);
        let served = match over {
            "epoll" => EpollFtp::new(ready, 4).and_then(EpollFtp::run),
            _ => {
                let setup = Setup { entries: 1024, as_of: None, work: Work::default() };
                let ring = Ring::new(&setup);
                let ring =
                    ring.map_err(|error| Failure::Refused(uring_loop::refused(&error)))?;
                RingFtp::new(ready, ring).and_then(RingFtp::run)
            }
        };
        served.map_err(|error| error.to_string().into())
    }

    /// Two connections, and on the second one the file has begun.
    fn begin(address: &str) -> io::Result<(BufReader<TcpStream>, TcpStream)> {
        let mut control = BufReader::new(TcpStream::connect(address)?);
        control.get_mut().write_all(b"USER ftp\r\nPASS x\r\nEPSV\r\nRETR file\r\n")?;
        let mut data = None;
        loop {
            let mut line = String::new();
            if control.read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if let Some(port) = line.split("|||").nth(1).and_then(|at| at.split('|').next())
            {
                let host = address.rsplit_once(':').map_or("", |(host, _)| host);
                data = Some(TcpStream::connect(format!("{host}:{port}"))?);
            }
            if line.starts_with("150")
                && let Some(mut data) = data.take()
            {
                data.read_exact(&mut [0; 1])?;
                return Ok((control, data));
            }
        }
    }

    pub fn look(over: &str, root: &Path) -> io::Result<Found> {
        let mut command = Command::new(std::env::current_exe()?);
        let mut child =
            command.arg(over).arg(root).stdout(Stdio::piped()).spawn().map(Server)?;
        let out = child.0.stdout.take().ok_or(io::ErrorKind::Other)?;
        let mut address = String::new();
        if BufReader::new(out).read_line(&mut address)? == 0 {
            let code = child.0.wait()?.code().unwrap_or(1);
            std::process::exit(code); // it has said why
        }
        let stalled: Vec<_> =
            (0..CLIENTS).map(|_| begin(address.trim())).collect::<Result<_, _>>()?;
        let (_control, mut data) = begin(address.trim())?;
        let mut rest = Vec::new();
        data.read_to_end(&mut rest)?;
        drop((_control, data));
        std::thread::sleep(Duration::from_millis(200)); // until the server has closed them, too

        let of = |what: &str| fs::read_dir(format!("/proc/{}/{what}", child.0.id()));
        let mut found = Found { served: rest.len() + 1 == FILE, ..Found::default() };
        for entry in of("task")? {
            let name = fs::read_to_string(entry?.path().join("comm"))?;
            // Of those the kernel starts and ends as many as it needs.
            match name.starts_with("iou-wrk") {
                true => found.workers += 1,
                false => found.threads += 1,
            }
        }
        for entry in of("fd")? {
            let Ok(target) = fs::read_link(entry?.path()) else { continue };
            let target = target.to_string_lossy().into_owned();
            found.sockets += usize::from(target.starts_with("socket:"));
            found.files += usize::from(target.ends_with("/file"));
        }
        drop(stalled);
        Ok(found)
    }

    /// Looks at both servers.
    pub fn compare() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        fs::write(folder.path().join("file"), vec![7; FILE])?;
        let [a, b] = [look("epoll", folder.path())?, look("io_uring", folder.path())?];
        let yes = |found: &Found| if found.served { "yes" } else { "no" };
        println!("{CLIENTS} clients read nothing");
        println!("{:<22} {:>9} {:>9}", "over", "epoll", "io_uring");
        println!("{:<22} {:>9} {:>9}", "another is served", yes(&a), yes(&b));
        println!("{:<22} {:>9} {:>9}", "sockets", a.sockets, b.sockets);
        println!("{:<22} {:>9} {:>9}", "open files", a.files, b.files);
        println!("{:<22} {:>9} {:>9}", "threads", a.threads, b.threads);
        println!("{:<22} {:>9} {:>9}", "workers of the kernel", a.workers, b.workers);
        Ok(())
    }
}

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    use uring_loop::start::Failure;

    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match &arguments[..] {
        [over, root] => linux::serve(over, root),
        _ => linux::compare().map_err(|error| Failure::Failed(error.to_string())),
    };
    match done {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(Failure::Failed(line)) => flags::fail(flags::FAILED, line),
        Err(Failure::Refused(line)) => flags::fail(flags::REFUSED, line),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> std::process::ExitCode {
    flags::needs_linux("stalled")
}
