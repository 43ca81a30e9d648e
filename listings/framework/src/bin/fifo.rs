//! A pool of four threads for files, and four requests for a file that nobody writes.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    store::embedded::run_if_asked();
    match linux::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => flags::fail(flags::FAILED, error),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    flags::needs_linux("fifo")
}

#[cfg(target_os = "linux")]
mod linux {
    use std::error::Error;
    use std::fs::{self, File};
    use std::net::SocketAddr;
    use std::time::Duration;

    use framework::asked::{asks, status};
    use framework::easy::{routes, serve};
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    use store::embedded::Embedded;

    const POOL: usize = 4;
    const SOON: Duration = Duration::from_secs(1);

    pub fn run() -> Result<(), Box<dyn Error>> {
        let root = std::env::temp_dir().join(format!("fifo-{}", std::process::id()));
        fs::create_dir(&root)?;
        fs::write(root.join("small.txt"), "small\n")?;
        let fifo = root.join("fifo");
        mknodat(CWD, &fifo, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)?;
        let store = Embedded::start(Duration::ZERO, None)?;
        // ANCHOR: pool
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .max_blocking_threads(POOL)
            .enable_all()
            .build()?;
        // ANCHOR_END: pool
        let routes =
            runtime.block_on(routes(&format!("redis://{}/", store.address()), &root))?;
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))?;
        let server = listener.local_addr()?;
        runtime.spawn(async {
            serve(listener, routes).await.map_err(|error| error.to_string())
        });

        // ANCHOR: ask
        both(server)?;
        println!("{POOL} clients ask for the FIFO");
        let waiting = (0..POOL).map(|_| asks(server, "/fifo"));
        let waiting: Vec<_> = waiting.collect::<Result<_, _>>()?;
        // Each of them has a thread by now, which opens it, and waits.
        std::thread::sleep(Duration::from_millis(200));
        both(server)?;
        println!("somebody opens it and writes");
        drop(File::options().write(true).open(&fifo)?);
        for client in waiting {
            println!("  /fifo       {}", status(client, SOON));
        }
        both(server)?;
        // ANCHOR_END: ask
        runtime.shutdown_background();
        fs::remove_dir_all(&root)?;
        Ok(())
    }

    fn both(server: SocketAddr) -> Result<(), Box<dyn Error>> {
        for path in ["/small.txt", "/guestbook"] {
            println!("  {path:<11} {}", status(asks(server, path)?, SOON));
        }
        Ok(())
    }
}
