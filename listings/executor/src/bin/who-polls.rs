//! How often tasks are polled that wait: with wakers, and without.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    match polls::compare() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => flags::fail(flags::FAILED, format_args!("cannot wait: {error}")),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    flags::needs_linux("who-polls")
}

#[cfg(target_os = "linux")]
mod polls {
    use std::cell::Cell;
    use std::future::poll_fn;
    use std::io::{self, Write};
    use std::os::unix::net::UnixStream;
    use std::pin::{Pin, pin};
    use std::rc::Rc;
    use std::task::{Context, Waker};

    use executor::{Epoll, Executor, Source};

    /// How many wait, and how often one of them is written to.
    const TASKS: usize = 400;
    const BYTES: usize = 10;

    // ANCHOR: counted
    /// The same future, which counts how often it is asked.
    async fn counted<F: Future>(polls: Rc<Cell<u32>>, future: F) -> F::Output {
        let mut future = pin!(future);
        poll_fn(|context| {
            polls.set(polls.get() + 1);
            future.as_mut().poll(context)
        })
        .await
    }
    // ANCHOR_END: counted

    /// Reads bytes for ever, and counts them.
    async fn read(source: Source, bytes: Rc<Cell<usize>>) {
        while source.read(&mut [0; 1]).await.is_ok_and(|n| n == 1) {
            bytes.set(bytes.get() + 1);
        }
    }

    fn pairs(epoll: &Epoll) -> io::Result<Vec<(UnixStream, Source)>> {
        let pair = |_| {
            let (peer, server) = UnixStream::pair()?;
            server.set_nonblocking(true)?;
            Ok((peer, epoll.hold(server.into())))
        };
        (0..TASKS).map(pair).collect()
    }

    pub fn compare() -> io::Result<()> {
        println!("{TASKS} tasks wait, {BYTES} bytes come");
        println!("                    polls");
        let (at_first, later) = with_wakers()?;
        println!("at the beginning {at_first:8}");
        println!("with wakers      {later:8}");
        println!("without          {:8}", without()?);
        Ok(())
    }

    fn with_wakers() -> io::Result<(u32, u32)> {
        let epoll = Epoll::new()?;
        let mut executor = Executor::new(epoll.clone())?;
        let (polls, bytes) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let mut peers = Vec::new();
        for (peer, source) in pairs(&epoll)? {
            let task = read(source, Rc::clone(&bytes));
            executor.spawner().spawn(counted(Rc::clone(&polls), task));
            peers.push(peer);
        }
        executor.block_on(epoll.timers().sleep_until(epoll.timers().now()))?;
        executor.block_on(executor::yield_now())?;
        let at_first = polls.replace(0);
        for peer in &mut peers[..BYTES] {
            let wanted = bytes.get() + 1;
            peer.write_all(b"!")?;
            while bytes.get() < wanted {
                executor.block_on(executor::yield_now())?;
            }
        }
        Ok((at_first, polls.get()))
    }

    // ANCHOR: without
    /// Whoever does not know who was meant has to ask everybody.
    fn without() -> io::Result<u32> {
        let epoll = Epoll::new()?;
        let (polls, bytes) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let mut peers = Vec::new();
        let mut tasks: Vec<Pin<Box<dyn Future<Output = ()>>>> = Vec::new();
        for (peer, source) in pairs(&epoll)? {
            let task = read(source, Rc::clone(&bytes));
            tasks.push(Box::pin(counted(Rc::clone(&polls), task)));
            peers.push(peer);
        }
        let mut ask_all = || {
            let mut context = Context::from_waker(Waker::noop());
            tasks.iter_mut().all(|task| task.as_mut().poll(&mut context).is_pending())
        };
        // ANCHOR_END: without
        assert!(ask_all());
        polls.set(0);
        for (number, peer) in peers[..BYTES].iter_mut().enumerate() {
            peer.write_all(b"!")?;
            executor::Reactor::wait(&epoll, true)?; // somebody is ready
            assert!(ask_all());
            if bytes.get() != number + 1 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(polls.get())
    }
}
