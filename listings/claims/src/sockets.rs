//! A TCP connection: how it is closed and reset, what waits, and how long.

use crate::Claim;
use crate::Kernels::{All, Since};
#[cfg(target_os = "linux")]
use crate::kit::*;

/// The claims of this file.
pub const CLAIMS: &[Claim] = &[
    Claim {
        id: "close-with-unread-bytes-resets",
        sentence: "close(2) of a TCP socket with bytes unread sends a reset: the peer \
            sees ECONNRESET.",
        chapter: "the-application.md",
        kernels: All,
        source: "RFC 2525, section 2.17; the kernel's tcp_close",
        counter: "the bytes were read",
        check: linux!(|case| {
            let (mut client, mut server) = connection()?;
            client.write_all(b"request")?;
            readable(&server, LONG);
            if !case.is_counter() {
                drop(server);
            } else {
                server.read_exact(&mut [0; 7])?;
                drop(server);
            }
            let result = read(&client, &mut [0; 64]);
            seen(result == Err(Errno::ECONNRESET), word(result))
        }),
    },
    Claim {
        id: "reset-loses-what-was-on-its-way",
        sentence: "What a socket had still to send is lost when it is closed with bytes \
            unread.",
        chapter: "the-application.md",
        kernels: All,
        source: "RFC 1122, section 4.2.2.13; the kernel's tcp_close",
        counter: "the bytes were read",
        check: linux!(|case| {
            let (mut client, mut server) = connection()?;
            client.write_all(b"request")?;
            readable(&server, LONG);
            let mut sent = 0;
            while let Ok(n) =
                socket::send(server.as_raw_fd(), &[0; 65_536], MsgFlags::MSG_DONTWAIT)
            {
                sent += n;
            }
            if case.is_counter() {
                server.read_exact(&mut [0; 7])?;
            }
            drop(server);
            let mut got = 0;
            while let Ok(n @ 1..) = read(&client, &mut [0; 65_536]) {
                got += n;
            }
            seen(got < sent, format!("{sent} bytes sent, {got} arrived"))
        }),
    },
    Claim {
        id: "linger-zero-resets",
        sentence: "With a linger time of 0, close(2) sends a reset.",
        chapter: "iterative.md",
        kernels: All,
        source: "socket(7), SO_LINGER; the kernel's tcp_close",
        counter: "without the option",
        check: linux!(|case| {
            let (client, server) = connection()?;
            if !case.is_counter() {
                reset_at_close(&server)?;
            }
            drop(server);
            let result = read(&client, &mut [0; 64]);
            seen(result == Err(Errno::ECONNRESET), word(result))
        }),
    },
    Claim {
        id: "receive-timeout-is-eagain",
        sentence: "A recv(2) that has waited as long as SO_RCVTIMEO says fails with \
            EAGAIN.",
        chapter: "iterative.md",
        kernels: All,
        source: "socket(7), SO_RCVTIMEO",
        counter: "bytes arrive in time",
        check: linux!(|case| {
            let (client, server) = connection()?;
            server.set_read_timeout(Some(ms(MOMENT)))?;
            let mut sender = client.try_clone()?;
            after(50, move || drop(sender.write_all(case.pick(b"", b"hello"))));
            let begun = Instant::now();
            let result = read(&server, &mut [0; 64]);
            let waited = begun.elapsed();
            seen(
                result == Err(Errno::EAGAIN) && waited >= ms(MOMENT / 2),
                format!("{} after {waited:.0?}", word(result)),
            )
        }),
    },
    Claim {
        id: "receive-timeout-starts-anew",
        sentence: "SO_RCVTIMEO counts from the beginning of each call: a client that \
            drips is never late.",
        chapter: "iterative.md",
        kernels: All,
        source: "socket(7), SO_RCVTIMEO",
        counter: "it is set to the time that remains before each call",
        check: linux!(|case| {
            let (mut client, server) = connection()?;
            let limit = ms(600);
            thread::spawn(move || {
                for _ in 0..5 {
                    thread::sleep(ms(200));
                    let _ = client.write_all(b"x");
                }
                thread::sleep(ms(LONG));
            });
            server.set_read_timeout(Some(limit))?;
            let begun = Instant::now();
            let mut drops = 0;
            while drops < 5 {
                if case.is_counter() {
                    let left = limit.saturating_sub(begun.elapsed()).max(ms(1));
                    server.set_read_timeout(Some(left))?;
                }
                match read(&server, &mut [0; 1]) {
                    Ok(_) => drops += 1,
                    Err(_) => break,
                }
            }
            let waited = begun.elapsed();
            seen(
                drops == 5,
                format!("{drops} bytes in {waited:.0?}, with a limit of {limit:?}"),
            )
        }),
    },
    Claim {
        id: "blocking-send-waits-for-room",
        sentence: "A blocking send(2) waits for room, no longer than SO_SNDTIMEO, and \
            then fails with EAGAIN.",
        chapter: "iterative.md",
        kernels: All,
        source: "send(2); socket(7), SO_SNDTIMEO",
        counter: "the peer reads",
        check: linux!(|case| {
            let (mut client, server) = connection()?;
            fill(&server)?;
            server.set_write_timeout(Some(ms(MOMENT)))?;
            if case.is_counter() {
                after(50, move || drop(io::copy(&mut client, &mut io::sink())));
            }
            let result = socket::send(server.as_raw_fd(), &[0; 65_536], MsgFlags::empty());
            seen(result == Err(Errno::EAGAIN), word(result))
        }),
    },
    Claim {
        id: "sendfile-outlasts-the-send-timeout",
        sentence: "sendfile(2) to a client that reads nothing takes twice SO_SNDTIMEO or longer: \
            inside it is a loop of sends, and each of them may take the whole.",
        chapter: "iterative.md",
        kernels: Since {
            version: (6, 5),
            before: "the first send that is out of time ends it",
        },
        source: "the kernel's splice_to_socket, commit 2dc334f1a63a",
        counter: "send(2) in its place",
        check: linux!(|case| {
            let (_client, server) = connection()?;
            setsockopt(&server, sockopt::SndBuf, &65_536)?;
            let file = file(&[0; 1 << 20])?;
            let limit = ms(800);
            server.set_write_timeout(Some(limit))?;
            let begun = Instant::now();
            // Until it is out of time: the first calls may find room.
            loop {
                let one = Instant::now();
                let result = match case {
                    Case::Claimed => {
                        nix::sys::sendfile::sendfile(&server, &file, Some(&mut 0), 1 << 20)
                    }
                    Case::Counter => {
                        socket::send(server.as_raw_fd(), &[0; 1 << 20], MsgFlags::empty())
                    }
                };
                let took = one.elapsed();
                if took >= limit / 2 || begun.elapsed() > ms(LONG) {
                    return seen(
                        took > limit * 7 / 4,
                        format!(
                            "{} after {took:.1?}, with a limit of {limit:?}",
                            word(result)
                        ),
                    );
                }
            }
        }),
    },
    Claim {
        id: "reset-is-told-once",
        sentence: "What came before a reset can still be read. Then one call fails with \
            ECONNRESET, be it recv(2) or send(2); after it, recv(2) returns 0 and send(2) \
            fails with EPIPE.",
        chapter: "iterative.md",
        kernels: All,
        source: "RFC 9293, section 3.10.7.4; the kernel's tcp_recvmsg, sk_stream_error",
        counter: "the client closes without a reset",
        check: linux!(|case| {
            let send = |socket: &TcpStream| {
                socket::send(socket.as_raw_fd(), b"x", MsgFlags::MSG_NOSIGNAL)
            };
            let seen_by = |reads_first: bool| {
                let (mut client, server) = connection()?;
                client.write_all(b"bye")?;
                if !case.is_counter() {
                    reset_at_close(&client)?;
                }
                drop(client);
                readable(&server, LONG);
                let before = read(&server, &mut [0; 64]);
                // The reset may be on its way.
                readable(&server, LONG);
                let recv = || read(&server, &mut [0; 64]);
                let first = if reads_first { recv() } else { send(&server) };
                Ok::<_, Cannot>([before, first, recv(), send(&server)])
            };
            let once = [Ok(3), Err(Errno::ECONNRESET), Ok(0), Err(Errno::EPIPE)];
            let both = [seen_by(true)?, seen_by(false)?];
            let words = both.map(|all| all.map(word).join(" "));
            seen(both == [once; 2], words.join(", "))
        }),
    },
    Claim {
        id: "nosignal-is-epipe",
        sentence: "A send(2) with MSG_NOSIGNAL to a client that is gone fails with \
            EPIPE, where one without raises SIGPIPE and ends the process.",
        chapter: "iterative.md",
        kernels: All,
        source: "send(2), MSG_NOSIGNAL",
        counter: "without MSG_NOSIGNAL",
        check: linux!(|case| {
            let (client, server) = connection()?;
            client.shutdown(Shutdown::Both)?;
            reset_at_close(&client)?;
            drop(client);
            let flags = case.pick(MsgFlags::MSG_NOSIGNAL, MsgFlags::empty());
            let end = child(|| {
                raw::by_default(Signal::SIGPIPE);
                // The first one may be told of the reset.
                let _ = socket::send(server.as_raw_fd(), b"x", MsgFlags::MSG_NOSIGNAL);
                let result = socket::send(server.as_raw_fd(), b"x", flags);
                i32::from(result == Err(Errno::EPIPE))
            })?
            .end()?;
            let survived = matches!(end, WaitStatus::Exited(_, 1));
            either(survived, "EPIPE", "killed by SIGPIPE")
        }),
    },
    Claim {
        id: "rust-ignores-sigpipe",
        sentence: "A Rust program ignores SIGPIPE from its start.",
        chapter: "iterative.md",
        kernels: All,
        source: "the standard library's runtime; proc_pid_status(5), SigIgn",
        counter: "it has put the default back",
        check: linux!(|case| {
            if case.is_counter() {
                raw::by_default(Signal::SIGPIPE);
            }
            let status = fs::read_to_string("/proc/self/status")?;
            let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
            let mask = u64::from_str_radix(line.unwrap_or_default().trim(), 16)?;
            let ignored = mask & 1 << (libc::SIGPIPE - 1) != 0;
            seen(ignored, format!("SigIgn: {mask:016x}"))
        }),
    },
    Claim {
        id: "msg-more-holds-back",
        sentence: "Bytes sent with MSG_MORE are held back for what follows.",
        chapter: "iterative.md",
        kernels: All,
        source: "send(2), MSG_MORE; tcp(7), TCP_CORK: for at most 200 ms",
        counter: "without MSG_MORE",
        check: linux!(|case| {
            let (client, server) = connection()?;
            let flags =
                case.pick(MsgFlags::from_bits_retain(libc::MSG_MORE), MsgFlags::empty());
            socket::send(server.as_raw_fd(), b"head", flags)?;
            let early = readable(&client, 50);
            socket::send(server.as_raw_fd(), b"body", MsgFlags::empty())?;
            let n = read(&client, &mut [0; 64])?;
            seen(!early, format!("the first read returns {n} of 4 + 4 bytes"))
        }),
    },
    Claim {
        id: "last-descriptor-ends-the-connection",
        sentence: "A connection ends when the last descriptor that points to it is closed.",
        chapter: "forking.md",
        kernels: All,
        source: "close(2); fork(2)",
        counter: "a child still has it open",
        check: linux!(|case| {
            let (client, server) = connection()?;
            let child = child(|| {
                loop {
                    nix::unistd::pause();
                }
            })?;
            drop(server);
            let _alive = case.is_counter().then_some(&child);
            if !case.is_counter() {
                drop(child);
                return seen(readable(&client, LONG), "the end arrives");
            }
            let ended = readable(&client, MOMENT);
            drop(child);
            seen(ended, "nothing arrives")
        }),
    },
    Claim {
        id: "descriptors-close-however-a-process-ends",
        sentence: "However a process ends, by SIGKILL as well, its descriptors are \
            closed: the reader of its pipe reads the end.",
        chapter: "the-application.md",
        kernels: All,
        source: "_exit(2); signal(7)",
        counter: "it is stopped, by SIGSTOP",
        check: linux!(|case| {
            let (reader, writer) = pipe()?;
            let child = child(|| {
                loop {
                    nix::unistd::pause();
                }
            })?;
            drop(writer);
            kill(child.0, case.pick(Signal::SIGKILL, Signal::SIGSTOP))?;
            let ended = readable(&reader, case.pick(LONG, MOMENT));
            either(ended, "it reads the end", "no end comes")
        }),
    },
    Claim {
        id: "nonblocking-send-is-partial",
        sentence: "A non-blocking send(2) of 16 MiB takes a part of them.",
        chapter: "poll.md",
        kernels: All,
        source: "send(2); tcp(7), tcp_wmem",
        counter: "a blocking one, to a peer that reads",
        check: linux!(|case| {
            let (mut client, server) = connection()?;
            let bytes = vec![0; 16 << 20];
            let flags = case.pick(MsgFlags::MSG_DONTWAIT, MsgFlags::empty());
            if case.is_counter() {
                after(0, move || drop(io::copy(&mut client, &mut io::sink())));
            }
            let sent = socket::send(server.as_raw_fd(), &bytes, flags)?;
            seen(sent < bytes.len(), format!("{sent} of {} bytes", bytes.len()))
        }),
    },
    Claim {
        id: "nonblocking-connect-is-in-progress",
        sentence: "A non-blocking connect(2) fails with EINPROGRESS; when the socket \
            becomes writable, SO_ERROR is 0.",
        chapter: "poll.md",
        kernels: All,
        source: "connect(2), EINPROGRESS",
        counter: "a blocking one",
        check: linux!(|case| {
            let listener = listener(1)?;
            let client = unbound()?;
            nonblocking(&client, !case.is_counter())?;
            let result = connect(&client, listener.local_addr()?);
            let writable = !ready(&client, PollFlags::POLLOUT, LONG).is_empty();
            let error = socket::getsockopt(&client, sockopt::SocketError)?;
            seen(
                result == Err(Errno::EINPROGRESS) && writable && error == 0,
                format!("{}, then writable: {writable}, SO_ERROR {error}", word(result)),
            )
        }),
    },
    Claim {
        id: "refused-connect-shows-in-so-error",
        sentence: "A non-blocking connect(2) that is refused makes the socket writable, \
            and SO_ERROR says ECONNREFUSED, once.",
        chapter: "poll.md",
        kernels: All,
        source: "connect(2), EINPROGRESS; socket(7), SO_ERROR",
        counter: "it is not refused",
        check: linux!(|case| {
            let listener = listener(1)?;
            let port = listener.local_addr()?;
            let _listener = case.is_counter().then_some(listener);
            let client = unbound()?;
            nonblocking(&client, true)?;
            let _ = connect(&client, port);
            ready(&client, PollFlags::POLLOUT, LONG);
            let error = || socket::getsockopt(&client, sockopt::SocketError);
            let (first, second) = (Errno::from_raw(error()?), error()?);
            seen(
                first == Errno::ECONNREFUSED && second == 0,
                format!("SO_ERROR says {first:?}, then {second}"),
            )
        }),
    },
    Claim {
        id: "fresh-socket-is-writable",
        sentence: "A connected socket is reported writable at each call, as long as it \
            has room.",
        chapter: "poll.md",
        kernels: All,
        source: "poll(2), POLLOUT",
        counter: "it is full",
        check: linux!(|case| {
            let (_client, server) = connection()?;
            if case.is_counter() {
                fill(&server)?;
            }
            let reports = (0..100)
                .filter(|_| !ready(&server, PollFlags::POLLOUT, 0).is_empty())
                .count();
            seen(reports == 100, format!("reported {reports} times in 100 calls"))
        }),
    },
];
