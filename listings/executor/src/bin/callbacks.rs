//! Two visitors, greeted by callbacks.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    match callbacks::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => flags::fail(flags::FAILED, format_args!("cannot greet: {error}")),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    flags::needs_linux("callbacks")
}

#[cfg(target_os = "linux")]
mod callbacks {
    use std::cell::RefCell;
    use std::collections::BTreeMap;
    use std::io::{self, Read, Write};
    use std::os::unix::net::UnixStream;
    use std::rc::Rc;
    use std::time::{Duration, Instant};

    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    // ANCHOR: loop
    type Callback = Box<dyn FnOnce(&mut Loop) -> io::Result<()>>;
    type Id = (Option<Instant>, u64);

    /// Who is called when: by time, or, without one, when the stream can be read.
    #[derive(Default)]
    struct Loop {
        waiting: BTreeMap<Id, (Option<Rc<UnixStream>>, Callback)>,
        begun: u64,
    }
    // ANCHOR_END: loop

    impl Loop {
        fn add(
            &mut self,
            at: Option<Instant>,
            stream: Option<Rc<UnixStream>>,
            callback: Callback,
        ) -> Id {
            self.begun += 1;
            self.waiting.insert((at, self.begun), (stream, callback));
            (at, self.begun)
        }

        fn after(&mut self, ms: u64, callback: Callback) -> Id {
            self.add(Some(Instant::now() + Duration::from_millis(ms)), None, callback)
        }

        fn on_readable(&mut self, stream: Rc<UnixStream>, callback: Callback) -> Id {
            self.add(None, Some(stream), callback)
        }

        fn cancel(&mut self, id: Option<Id>) {
            id.and_then(|id| self.waiting.remove(&id));
        }

        // ANCHOR: run
        /// Calls whom it is time to call, until nobody waits.
        fn run(&mut self) -> io::Result<()> {
            while !self.waiting.is_empty() {
                for id in self.wait()? {
                    // One of those before may have cancelled it.
                    if let Some((_, callback)) = self.waiting.remove(&id) {
                        callback(self)?;
                    }
                }
            }
            Ok(())
        }
        // ANCHOR_END: run

        fn wait(&self) -> io::Result<Vec<Id>> {
            let streams =
                self.waiting.iter().filter_map(|(id, (s, _))| Some((*id, s.as_ref()?)));
            let (ids, mut fds): (Vec<_>, Vec<_>) =
                streams.map(|(id, s)| (id, PollFd::new(s, PollFlags::IN))).unzip();
            let next = self.waiting.keys().find_map(|(at, _)| *at);
            let left = next.map(|at| at.saturating_duration_since(Instant::now()));
            let left = left.map(|left| Timespec {
                tv_sec: left.as_secs() as i64,
                tv_nsec: left.subsec_nanos().into(),
            });
            poll(&mut fds, left.as_ref())?;
            let now = Instant::now();
            let ready = ids.iter().zip(&fds).filter(|(_, fd)| !fd.revents().is_empty());
            let late = self.waiting.keys().filter(|(at, _)| at.is_some_and(|at| at <= now));
            Ok(ready.map(|(id, _)| id).chain(late).copied().collect())
        }
    }

    // ANCHOR: visitor
    /// What would be the locals of a function that could wait.
    struct Visitor {
        name: &'static str,
        stream: Rc<UnixStream>,
        line: Vec<u8>,
        reading: Option<Id>,
        limit: Option<Id>,
    }

    fn greet(every: &mut Loop, name: &'static str, stream: UnixStream) {
        let (stream, line) = (Rc::new(stream), Vec::new());
        let visitor = Visitor { name, stream, line, reading: None, limit: None };
        let visitor = Rc::new(RefCell::new(visitor));
        let late = Rc::clone(&visitor);
        let limit = every.after(300, Box::new(move |every| too_late(every, &late)));
        visitor.borrow_mut().limit = Some(limit);
        read_on(every, &visitor);
    }
    // ANCHOR_END: visitor

    fn read_on(every: &mut Loop, visitor: &Rc<RefCell<Visitor>>) {
        let (stream, next) = (Rc::clone(&visitor.borrow().stream), Rc::clone(visitor));
        let reading =
            every.on_readable(stream, Box::new(move |every| has_read(every, &next)));
        visitor.borrow_mut().reading = Some(reading);
    }

    // ANCHOR: steps
    fn has_read(every: &mut Loop, visitor: &Rc<RefCell<Visitor>>) -> io::Result<()> {
        let mut buffer = [0; 64];
        let n = (&*visitor.borrow().stream).read(&mut buffer)?;
        visitor.borrow_mut().line.extend_from_slice(&buffer[..n]);
        if !visitor.borrow().line.ends_with(b"\n") {
            read_on(every, visitor);
            return Ok(());
        }
        every.cancel(visitor.borrow_mut().limit.take());
        let next = Rc::clone(visitor);
        every.after(400, Box::new(move |_| answer(&next)));
        Ok(())
    }

    fn too_late(every: &mut Loop, visitor: &Rc<RefCell<Visitor>>) -> io::Result<()> {
        every.cancel(visitor.borrow_mut().reading.take());
        println!("{}: too late", visitor.borrow().name);
        Ok(())
    }
    // ANCHOR_END: steps

    fn answer(visitor: &RefCell<Visitor>) -> io::Result<()> {
        let visitor = visitor.borrow();
        write!(&*visitor.stream, "hello, {}", String::from_utf8_lossy(&visitor.line))?;
        println!("{}: answered", visitor.name);
        Ok(())
    }

    pub fn run() -> io::Result<()> {
        let mut every = Loop::default();
        let (mut anna, server) = UnixStream::pair()?;
        greet(&mut every, "Anna", server);
        let (mut ben, server) = UnixStream::pair()?;
        greet(&mut every, "Ben", server);
        anna.write_all(b"An")?;
        ben.write_all(b"Be")?; // and no more
        let mut rest = anna.try_clone()?;
        every.after(100, Box::new(move |_| rest.write_all(b"na\n")));
        every.run()?;
        let mut answer = String::new();
        anna.read_to_string(&mut answer)?;
        print!("Anna hears: {answer}");
        println!("callbacks: {}", every.begun);
        Ok(())
    }
}
