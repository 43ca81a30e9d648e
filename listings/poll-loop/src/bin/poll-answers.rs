//! One call of poll(2) for everything that it may be asked about: what it was asked, and what
//! it said.

#[cfg(target_os = "linux")]
#[path = "support/bits.rs"]
mod bits;

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    match answers::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => flags::fail(
            flags::FAILED,
            format_args!(
                "cannot ask: {error}; is the loopback interface up, and /proc mounted?"
            ),
        ),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    flags::needs_linux("poll-answers")
}

#[cfg(target_os = "linux")]
mod answers {
    use std::fs::File;
    use std::io::{self, PipeReader, PipeWriter, Read, Seek, SeekFrom, Write, pipe};
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::{AsRawFd, OwnedFd, RawFd};
    use std::thread;
    use std::time::Duration;

    use libc::{POLLIN, POLLOUT, POLLRDHUP, c_short, pollfd};
    use poll_loop::poll;
    use rustix::fs::{OFlags, fcntl_setfl};
    use rustix::net::sockopt::set_socket_linger;

    use crate::bits::in_words;

    /// What is asked about, under a name.
    struct Question {
        what: &'static str,
        fd: RawFd,
        events: c_short,
    }

    #[derive(Default)]
    struct Questions {
        all: Vec<Question>,
        /// What has to stay open until the answers are there.
        open: Vec<OwnedFd>,
    }

    impl Questions {
        fn ask(&mut self, what: &'static str, fd: impl Into<OwnedFd>, events: c_short) {
            let fd = fd.into();
            self.all.push(Question { what, fd: fd.as_raw_fd(), events });
            self.open.push(fd);
        }

        fn keep(&mut self, fd: impl Into<OwnedFd>) {
            self.open.push(fd.into());
        }

        // ANCHOR: answer
        /// One call for all of them, which does not wait.
        fn answer(&self) -> io::Result<()> {
            let mut entries: Vec<pollfd> = self
                .all
                .iter()
                .map(|question| pollfd {
                    fd: question.fd,
                    events: question.events,
                    revents: 0,
                })
                .collect();
            let ready = poll(&mut entries, Some(Duration::ZERO))?;
            println!("{:<29}{:<8}said", "", "asked");
            for (question, entry) in self.all.iter().zip(&entries) {
                let (asked, said) = (in_words(entry.events), in_words(entry.revents));
                println!("{:<29}{asked:<8}{said}", question.what);
            }
            println!("poll returned {ready} of {}", entries.len());
            Ok(())
        }
        // ANCHOR_END: answer
    }

    pub fn run() -> io::Result<()> {
        let both = POLLIN | POLLOUT;
        let mut questions = Questions::default();
        pipes(&mut questions)?;
        sockets(&mut questions)?;

        let mut file = File::open(std::env::current_exe()?)?;
        file.seek(SeekFrom::End(0))?;
        questions.ask("a file, at its end", file, both);
        questions.ask("a folder", File::open("/")?, both);
        questions.ask("/dev/null", File::open("/dev/null")?, both);

        questions.all.push(Question { what: "the number -1", fd: -1, events: both });
        // The last to be opened and closed: its number is nobody's.
        let closed = File::open("/")?.as_raw_fd();
        questions.all.push(Question {
            what: "a number that is closed",
            fd: closed,
            events: 0,
        });
        // What the other sides have done takes a moment to arrive, on loopback too.
        thread::sleep(Duration::from_millis(50));
        questions.answer()
    }

    fn pipes(questions: &mut Questions) -> io::Result<()> {
        let with = |bytes: &[u8]| -> io::Result<(PipeReader, PipeWriter)> {
            let (from, mut to) = pipe()?;
            to.write_all(bytes)?;
            Ok((from, to))
        };
        let (from, to) = with(b"")?;
        questions.ask("a pipe, empty", from, POLLIN);
        questions.keep(to);
        let (from, to) = with(b"hello")?;
        questions.ask("with 5 bytes in it", from, POLLIN);
        questions.keep(to);
        let (from, _) = with(b"hello")?;
        questions.ask("and its last writer gone", from, POLLIN);
        let (mut from, _) = with(b"hello")?;
        from.read_exact(&mut [0; 5])?;
        questions.ask("and its 5 bytes read", from, POLLIN);

        let (from, to) = with(b"")?;
        questions.ask("the writing end, room in it", to, POLLOUT);
        questions.keep(from);
        let (from, mut to) = with(b"")?;
        fcntl_setfl(&to, OFlags::NONBLOCK)?;
        while to.write(&[0; 4096]).is_ok() {}
        questions.ask("full", to, POLLOUT);
        questions.keep(from);
        let (_, to) = with(b"")?;
        questions.ask("its last reader gone", to, 0);
        Ok(())
    }

    fn sockets(questions: &mut Questions) -> io::Result<()> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let pair = || -> io::Result<(TcpStream, TcpStream)> {
            let near = TcpStream::connect(address)?;
            Ok((near, listener.accept()?.0))
        };
        let both = POLLIN | POLLOUT;
        let (near, far) = pair()?;
        questions.ask("a connection", near, both);
        questions.keep(far);
        let (near, _) = pair()?;
        questions.ask("closed by the other side", near, both);
        let (near, _) = pair()?;
        questions.ask("the same, asked differently", near, POLLRDHUP);
        let (near, far) = pair()?;
        set_socket_linger(&far, Some(Duration::ZERO))?;
        drop(far);
        questions.ask("reset by the other side", near, 0);
        questions.keep(TcpStream::connect(address)?);
        questions.ask("a listener, a client queues", listener, POLLIN);
        Ok(())
    }
}
