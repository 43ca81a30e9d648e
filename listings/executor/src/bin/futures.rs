//! The same two visitors, greeted by a function that waits.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    match futures::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => flags::fail(flags::FAILED, format_args!("cannot greet: {error}")),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    flags::needs_linux("futures")
}

#[cfg(target_os = "linux")]
mod futures {
    use std::io::{self, Read, Write};
    use std::os::unix::net::UnixStream;
    use std::time::Duration;

    use executor::{Epoll, Executor, Source, race};

    // ANCHOR: greet
    async fn greet(epoll: Epoll, name: &'static str, stream: Source) -> io::Result<()> {
        let sleep = |ms| {
            let now = epoll.timers().now();
            epoll.timers().sleep_until(now + Duration::from_millis(ms))
        };
        match race(read_line(&stream), sleep(300)).await {
            Ok(line) => {
                sleep(400).await;
                stream.write(&[b"hello, ", &line?[..]].concat()).await?;
                println!("{name}: answered");
            }
            Err(()) => println!("{name}: too late"),
        }
        Ok(())
    }

    async fn read_line(stream: &Source) -> io::Result<Vec<u8>> {
        let (mut line, mut buffer) = (Vec::new(), [0; 64]);
        while !line.ends_with(b"\n") {
            let n = stream.read(&mut buffer).await?;
            line.extend_from_slice(&buffer[..n]);
        }
        Ok(line)
    }
    // ANCHOR_END: greet

    pub fn run() -> io::Result<()> {
        let epoll = Epoll::new()?;
        let mut executor = Executor::new(epoll.clone())?;
        let mut peers = Vec::new();
        for (name, first) in [("Anna", "An"), ("Ben", "Be")] {
            let (mut peer, server) = UnixStream::pair()?;
            peer.write_all(first.as_bytes())?;
            server.set_nonblocking(true)?;
            let greeted = greet(epoll.clone(), name, epoll.hold(server.into()));
            if peers.is_empty() {
                println!("a visitor: {} bytes", size_of_val(&greeted));
            }
            executor.spawner().spawn(async move {
                if let Err(error) = greeted.await {
                    println!("{name}: {error}");
                }
            });
            peers.push(peer);
        }
        let timers = epoll.timers();
        let later = |ms| timers.sleep_until(timers.now() + Duration::from_millis(ms));
        executor.block_on(later(100))?;
        peers[0].write_all(b"na\n")?;
        executor.block_on(later(600))?;
        let mut answer = String::new();
        peers[0].read_to_string(&mut answer)?;
        print!("Anna hears: {answer}");
        Ok(())
    }
}
