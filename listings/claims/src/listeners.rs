//! The queue in front of accept(2), and those who sleep there.

use crate::Claim;
use crate::Kernels::{All, Since};
#[cfg(target_os = "linux")]
use crate::kit::*;

/// The claims of this file.
pub const CLAIMS: &[Claim] = &[
    Claim {
        id: "handshake-needs-no-accept",
        sentence: "The kernel completes the handshake for a listener whose program does \
            not call accept(2).",
        chapter: "iterative.md",
        kernels: All,
        source: "listen(2)",
        counter: "the socket is bound and does not listen",
        check: linux!(|case| {
            let bound = unbound()?;
            socket::bind(bound.as_raw_fd(), &any_port())?;
            if !case.is_counter() {
                socket::listen(&bound, socket::Backlog::new(1)?)?;
            }
            let listener = TcpListener::from(bound);
            let client = knock(&listener)?;
            either(connected(&client, LONG), "connected", "refused")
        }),
    },
    Claim {
        id: "bytes-arrive-before-accept",
        sentence: "A client may send before its connection was accepted.",
        chapter: "iterative.md",
        kernels: All,
        source: "listen(2); RFC 9293, section 3.5",
        counter: "the handshake is not complete, since the queue is full",
        check: linux!(|case| {
            let listener = listener(0)?;
            let _first = case.is_counter().then(|| knock(&listener)).transpose()?;
            let mut client = knock(&listener)?;
            connected(&client, MOMENT);
            let sent = client.write(b"early");
            let arrived = sent.is_ok() && readable(&listener.accept()?.0, LONG);
            seen(
                arrived,
                sent.map_or_else(|error| error.to_string(), |_| "arrived".to_owned()),
            )
        }),
    },
    Claim {
        id: "backlog-n-admits-n-plus-1",
        sentence: "A backlog of n admits n + 1 connections.",
        chapter: "iterative.md",
        kernels: All,
        source: "the kernel's sk_acceptq_is_full: longer than n is full",
        counter: "somebody accepts",
        check: linux!(|case| {
            let listener = listener(4)?;
            let mut clients = Vec::new();
            for _ in 0..8 {
                clients.push(knock(&listener)?);
                if case.is_counter() {
                    listener.accept()?;
                }
            }
            let number = clients.iter().filter(|client| connected(client, 50)).count();
            seen(number == 5, format!("with 4, {number} of 8 are connected"))
        }),
    },
    Claim {
        id: "backlog-is-cut-at-somaxconn",
        sentence: "listen(2) cuts the backlog at net.core.somaxconn, and reports no error.",
        chapter: "iterative.md",
        kernels: All,
        source: "listen(2), Notes",
        counter: "fewer are asked for",
        check: linux!(|case| {
            let cap: u32 =
                fs::read_to_string("/proc/sys/net/core/somaxconn")?.trim().parse()?;
            let asked = case.pick(i32::MAX, 3);
            let bound = unbound()?;
            socket::bind(bound.as_raw_fd(), &any_port())?;
            raw::listen(&bound, asked)?;
            let got = raw::backlog(&bound)?;
            seen(got == cap, format!("asked for {asked}, got {got}; somaxconn is {cap}"))
        }),
    },
    Claim {
        id: "somaxconn-is-4096",
        sentence: "net.core.somaxconn is 4096 if nobody has set it.",
        chapter: "iterative.md",
        kernels: Since { version: (5, 4), before: "it is 128" },
        source: "kernel commit 19f92a030ca6; tested in a network of its own",
        counter: "somebody has set it to 128",
        check: linux!(|case| {
            own_network()?;
            let path = "/proc/sys/net/core/somaxconn";
            if case.is_counter() {
                set(path, "128")?;
            }
            let cap = fs::read_to_string(path)?;
            seen(cap.trim() == "4096", cap.trim())
        }),
    },
    Claim {
        id: "full-queue-is-silent",
        sentence: "A client that finds the accept queue full is told nothing.",
        chapter: "iterative.md",
        kernels: All,
        source: "the kernel's tcp_conn_request; ip-sysctl, tcp_abort_on_overflow",
        counter: "nobody listens there",
        check: linux!(|case| {
            let (listener, _first) = full()?;
            let address = listener.local_addr()?;
            let _listener = (!case.is_counter()).then_some(listener);
            let client = unbound()?;
            nonblocking(&client, true)?;
            let _ = connect(&client, address);
            let told = ready(&client, PollFlags::POLLOUT, 500);
            seen(told.is_empty(), format!("reported within 500 ms: {}", names(told)))
        }),
    },
    Claim {
        id: "abort-on-overflow-is-silent-too",
        sentence: "With net.ipv4.tcp_abort_on_overflow a client whose SYN finds the \
            queue full is told nothing either.",
        chapter: "iterative.md",
        kernels: All,
        source: "the kernel's tcp_check_req, which is about the handshake's last ACK only",
        counter: "there is room",
        check: linux!(|case| {
            own_network()?;
            set("/proc/sys/net/ipv4/tcp_abort_on_overflow", "1")?;
            let listener = listener(0)?;
            let _first = (!case.is_counter()).then(|| knock(&listener)).transpose()?;
            let client = knock(&listener)?;
            let told = ready(&client, PollFlags::POLLOUT, 500);
            seen(told.is_empty(), format!("reported within 500 ms: {}", names(told)))
        }),
    },
    Claim {
        id: "dropped-syn-waits-for-a-timer",
        sentence: "A client whose SYN was dropped waits for its own timer, a second, \
            though there is room sooner.",
        chapter: "iterative.md",
        kernels: All,
        source: "RFC 6298, section 2; the kernel's TCP_TIMEOUT_INIT",
        counter: "there was room for its SYN",
        check: linux!(|case| {
            let (listener, _first) = full()?;
            if case.is_counter() {
                listener.accept()?;
            }
            let (begun, client) = (Instant::now(), knock(&listener)?);
            if !case.is_counter() {
                after(100, move || {
                    let _first = listener.accept();
                    thread::sleep(ms(LONG));
                });
            }
            let got_in = connected(&client, LONG);
            let waited = begun.elapsed();
            let late = waited >= ms(600);
            seen(got_in && late, format!("room after 100 ms, connected after {waited:.1?}"))
        }),
    },
    Claim {
        id: "late-client-overtakes",
        sentence: "A client that comes late and finds room overtakes one that waits to \
            repeat its SYN.",
        chapter: "iterative.md",
        kernels: All,
        source: "follows from the two above",
        counter: "the late one does not find room either",
        check: linux!(|case| {
            let (listener, _first) = full()?;
            let early = knock(&listener)?;
            thread::sleep(ms(100));
            if !case.is_counter() {
                listener.accept()?;
            }
            let late = knock(&listener)?;
            let overtaken = connected(&late, 300) && !connected(&early, 0);
            either(overtaken, "the late one is in", "the late one is not in first")
        }),
    },
    Claim {
        id: "syns-come-a-second-apart",
        sentence: "The first repetitions of a SYN come a second apart.",
        chapter: "iterative.md",
        kernels: Since {
            version: (6, 5),
            before: "they come 1, 3 and 7 s after the first",
        },
        source: "kernel commit ccce324dabfe; ip-sysctl, tcp_syn_linear_timeouts",
        counter: "tcp_syn_linear_timeouts is set to 0",
        check: linux!(|case| {
            own_network()?;
            if case.is_counter() {
                set("/proc/sys/net/ipv4/tcp_syn_linear_timeouts", "0")?;
            }
            let (listener, _first) = full()?;
            let (begun, client) = (Instant::now(), knock(&listener)?);
            after(1_300, move || {
                let _first = listener.accept();
                thread::sleep(ms(LONG));
            });
            let got_in = connected(&client, LONG);
            let waited = begun.elapsed();
            seen(
                got_in && (ms(1_900)..ms(2_700)).contains(&waited),
                format!("room after 1.3 s, connected after {waited:.1?}"),
            )
        }),
    },
    Claim {
        id: "connect-gives-up-with-etimedout",
        sentence: "A connect(2) that is never answered fails with ETIMEDOUT in the end.",
        chapter: "iterative.md",
        kernels: All,
        source: "connect(2); tcp(7), TCP_SYNCNT, which the test sets to 1",
        counter: "there is room in the queue in time",
        check: linux!(|case| {
            let (listener, _first) = full()?;
            let client = unbound()?;
            raw::set_option(&client, libc::IPPROTO_TCP, libc::TCP_SYNCNT, 1)?;
            let address = listener.local_addr()?;
            if case.is_counter() {
                after(100, move || {
                    let _first = listener.accept();
                    thread::sleep(ms(LONG));
                });
            }
            let (begun, result) = (Instant::now(), connect(&client, address));
            let waited = begun.elapsed();
            seen(
                result == Err(Errno::ETIMEDOUT),
                format!("{} after {waited:.1?}", word(result)),
            )
        }),
    },
    Claim {
        id: "overflows-are-counted",
        sentence: "A SYN that finds the accept queue full is counted in ListenOverflows.",
        chapter: "iterative.md",
        kernels: All,
        source: "proc_pid_net(5), netstat; the kernel's LINUX_MIB_LISTENOVERFLOWS. \
            Tested in a network of its own",
        counter: "it finds room",
        check: linux!(|case| {
            own_network()?;
            let (listener, _first) = full()?;
            if case.is_counter() {
                listener.accept()?;
            }
            let _second = knock(&listener)?;
            thread::sleep(ms(50));
            let text = fs::read_to_string("/proc/self/net/netstat")?;
            let mut lines = text.lines().filter_map(|line| line.strip_prefix("TcpExt:"));
            let mut next = || lines.next().unwrap_or_default().split_whitespace();
            let (mut names, mut numbers) = (next(), next());
            let place = names.position(|name| name == "ListenOverflows");
            let number = place.and_then(|place| numbers.nth(place)).unwrap_or("none");
            seen(number == "1", format!("ListenOverflows is {number}"))
        }),
    },
    Claim {
        id: "accept-queue-length-is-in-proc",
        sentence: "/proc/net/tcp shows how many wait in a listener's accept queue.",
        chapter: "iterative.md",
        kernels: All,
        source: "proc_pid_net(5), tcp; ss(8), Recv-Q",
        counter: "one of them was accepted",
        check: linux!(|case| {
            let listener = listener(4)?;
            let clients = [knock(&listener)?, knock(&listener)?, knock(&listener)?];
            for client in &clients {
                connected(client, LONG);
            }
            if case.is_counter() {
                listener.accept()?;
            }
            let here = format!(":{:04X}", listener.local_addr()?.port());
            let table = fs::read_to_string("/proc/self/net/tcp")?;
            let lines =
                table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
            let mut waiting = lines.filter_map(|words| match words[..] {
                [_, local, _, "0A", queues, ..] if local.ends_with(&here) => {
                    u32::from_str_radix(queues.split_once(':')?.1, 16).ok()
                }
                _ => None,
            });
            let number = waiting.next();
            seen(
                number == Some(3),
                format!("{} wait, after 3 have connected", number.unwrap_or(0)),
            )
        }),
    },
    Claim {
        id: "tcp-info-counts-a-listeners-queue",
        sentence: "For a listener, TCP_INFO says how many wait in its accept queue.",
        chapter: "iterative.md",
        kernels: All,
        source: "tcp(7), TCP_INFO; the kernel's tcp_get_info; ss(8), Recv-Q",
        counter: "one of them was accepted",
        check: linux!(|case| {
            let listener = listener(4)?;
            let clients = [knock(&listener)?, knock(&listener)?, knock(&listener)?];
            for client in &clients {
                connected(client, LONG);
            }
            if case.is_counter() {
                listener.accept()?;
            }
            let number = raw::unacknowledged(&listener)?;
            seen(number == 3, format!("{number} wait, after 3 have connected"))
        }),
    },
    Claim {
        id: "accept-hands-over-the-departed",
        sentence: "accept(2) hands over a connection that its client has already reset; \
            recv(2) tells, with ECONNRESET.",
        chapter: "iterative.md",
        kernels: All,
        source: "accept(2), Error handling; the kernel's inet_csk_accept",
        counter: "the client is still there",
        check: linux!(|case| {
            let listener = listener(4)?;
            let client = TcpStream::connect(listener.local_addr()?)?;
            reset_at_close(&client)?;
            let _client = case.is_counter().then_some(client);
            thread::sleep(ms(50));
            let accepted = listener.accept()?.0;
            nonblocking(&accepted, true)?;
            let result = read(&accepted, &mut [0; 64]);
            seen(result == Err(Errno::ECONNRESET), word(result))
        }),
    },
    Claim {
        id: "shutdown-wakes-accept",
        sentence: "shutdown(2) of a listener wakes who sleeps in accept(2), with EINVAL.",
        chapter: "iterative.md",
        kernels: All,
        source: "the kernel's inet_csk_wait_for_connect",
        counter: "close(2) of another descriptor of it",
        check: linux!(|case| {
            let listener = listener(4)?;
            let other = listener.try_clone()?;
            let sleeper = asleep(move || socket::accept(listener.as_raw_fd()))?;
            match case {
                Case::Claimed => {
                    socket::shutdown(other.as_raw_fd(), socket::Shutdown::Both)?
                }
                Case::Counter => drop(other),
            }
            let result = sleeper.wakes(case.pick(LONG, MOMENT));
            let words = result.map_or("it sleeps on".to_owned(), word);
            seen(result == Some(Err(Errno::EINVAL)), words)
        }),
    },
    Claim {
        id: "shut-listener-refuses",
        sentence: "After shutdown(2) of a listener new clients are refused and its port \
            is free, though others have it open.",
        chapter: "preforked.md",
        kernels: All,
        source: "the kernel's inet_shutdown, which disconnects a listener",
        counter: "close(2) in its place",
        check: linux!(|case| {
            let listener = listener(4)?;
            let address = listener.local_addr()?;
            let other = listener.try_clone()?;
            match case {
                Case::Claimed => {
                    socket::shutdown(other.as_raw_fd(), socket::Shutdown::Both)?
                }
                Case::Counter => drop(other),
            }
            let client = unbound()?;
            let refused = connect(&client, address) == Err(Errno::ECONNREFUSED);
            let SocketAddr::V4(port) = address else { return cannot("not IPv4") };
            let next = unbound()?;
            let bound = socket::bind(next.as_raw_fd(), &SockaddrIn::from(port));
            seen(
                refused && bound == Ok(()),
                format!(
                    "clients refused: {refused}; bind of the same port: {}",
                    word(bound)
                ),
            )
        }),
    },
    Claim {
        id: "emfile-keeps-the-connection",
        sentence: "accept(2) that fails with EMFILE leaves the connection in the queue.",
        chapter: "iterative.md",
        kernels: All,
        source: "accept(2), EMFILE; the kernel's do_accept",
        counter: "a descriptor is free",
        check: linux!(|case| {
            let listener = listener(4)?;
            let _client = TcpStream::connect(listener.local_addr()?)?;
            nonblocking(&listener, true)?;
            let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
            if !case.is_counter() {
                setrlimit(Resource::RLIMIT_NOFILE, 0, hard)?;
            }
            let first = socket::accept(listener.as_raw_fd());
            setrlimit(Resource::RLIMIT_NOFILE, soft, hard)?;
            let second = socket::accept(listener.as_raw_fd());
            seen(
                first == Err(Errno::EMFILE) && second.is_ok(),
                format!("{}, then {}", word(first), word(second.map(|_| "accepted"))),
            )
        }),
    },
    Claim {
        id: "lowest-free-descriptor",
        sentence: "accept(2) returns the lowest descriptor that is free.",
        chapter: "poll.md",
        kernels: All,
        source: "accept(2); POSIX, 2.6 File Descriptor Allocation",
        counter: "a lower one is taken than was free before",
        check: linux!(|case| {
            let listener = listener(4)?;
            let _client = TcpStream::connect(listener.local_addr()?)?;
            let (low, _high) = (dup(&listener)?, dup(&listener)?);
            let number = low.as_raw_fd();
            drop(low);
            let _taken = case.is_counter().then(|| dup(&listener)).transpose()?;
            let got = socket::accept(listener.as_raw_fd())?;
            seen(got == number, format!("{number} had been closed, accept returned {got}"))
        }),
    },
    Claim {
        id: "reuseaddr-gives-the-port-back",
        sentence: "With SO_REUSEADDR a restarted server has its old port back while old \
            connections linger in TIME-WAIT.",
        chapter: "iterative.md",
        kernels: All,
        source: "socket(7), SO_REUSEADDR; tcp(7)",
        counter: "without the option",
        check: linux!(|case| {
            let listen_at = |address: SockaddrIn| {
                let bound = unbound()?;
                setsockopt(&bound, sockopt::ReuseAddr, &!case.is_counter())?;
                socket::bind(bound.as_raw_fd(), &address)?;
                socket::listen(&bound, socket::Backlog::new(1)?)?;
                Ok::<TcpListener, Errno>(bound.into())
            };
            let first = listen_at(any_port())?;
            let address: SocketAddr = first.local_addr()?;
            let client = TcpStream::connect(address)?;
            // Whoever closes first keeps the TIME-WAIT.
            drop(first.accept()?);
            drop((client, first));
            thread::sleep(ms(50));
            let SocketAddr::V4(port) = address else { return cannot("not IPv4") };
            let result = listen_at(SockaddrIn::from(port)).map(drop);
            seen(result == Ok(()), word(result))
        }),
    },
    Claim {
        id: "accept-serves-in-turn",
        sentence: "Those who sleep in accept(2) are served in the order in which they \
            went to sleep.",
        chapter: "preforked.md",
        kernels: All,
        source: "the kernel's inet_csk_wait_for_connect, prepare_to_wait_exclusive",
        counter: "the first has gone to sleep anew",
        check: linux!(|case| {
            let listener = listener(4)?;
            raw::count(Signal::SIGUSR1, SaFlags::empty());
            let accept = || {
                let listener = listener.try_clone()?;
                asleep(move || {
                    loop {
                        match socket::accept(listener.as_raw_fd()) {
                            Err(Errno::EINTR) => {}
                            accepted => return accepted,
                        }
                    }
                })
            };
            let sleepers = [accept()?, accept()?, accept()?];
            if case.is_counter() {
                raw::signal_thread(sleepers[0].id, Signal::SIGUSR1)?;
                thread::sleep(ms(MOMENT));
            }
            let (mut clients, mut order) = (Vec::new(), Vec::new());
            for _ in 0..3 {
                clients.push(knock(&listener)?);
                until(|| {
                    let served =
                        sleepers.iter().position(|sleeper| sleeper.wakes(0).is_some());
                    order.extend(served.map(|n| n + 1));
                    served.is_some()
                });
            }
            seen(order == [1, 2, 3], format!("served: {order:?}"))
        }),
    },
    Claim {
        id: "accept-wakes-one",
        sentence: "One connection wakes one of those who sleep in accept(2).",
        chapter: "preforked.md",
        kernels: All,
        source: "the kernel's inet_csk_wait_for_connect, prepare_to_wait_exclusive",
        counter: "they sleep in poll(2), on the same listener",
        check: linux!(|case| {
            let listener = listener(4)?;
            let wait = || {
                let listener = listener.try_clone()?;
                asleep(move || match case {
                    Case::Claimed => socket::accept(listener.as_raw_fd()).is_ok(),
                    Case::Counter => readable(&listener, LONG),
                })
            };
            let sleepers = [wait()?, wait()?, wait()?, wait()?];
            let _client = knock(&listener)?;
            thread::sleep(ms(MOMENT));
            let woken =
                sleepers.iter().filter(|sleeper| sleeper.wakes(0).is_some()).count();
            seen(woken == 1, format!("{woken} of 4 are woken"))
        }),
    },
    Claim {
        id: "poll-wakes-everybody",
        sentence: "One connection wakes everybody who sleeps in poll(2) on the listener.",
        chapter: "poll.md",
        kernels: All,
        source: "the kernel's __pollwait, add_wait_queue",
        counter: "they sleep in accept(2)",
        check: linux!(|case| {
            let listener = listener(4)?;
            let wait = || {
                let listener = listener.try_clone()?;
                asleep(move || match case {
                    Case::Claimed => readable(&listener, LONG),
                    Case::Counter => socket::accept(listener.as_raw_fd()).is_ok(),
                })
            };
            let sleepers = [wait()?, wait()?, wait()?, wait()?];
            let _client = knock(&listener)?;
            thread::sleep(ms(MOMENT));
            let woken =
                sleepers.iter().filter(|sleeper| sleeper.wakes(0).is_some()).count();
            seen(woken == 4, format!("{woken} of 4 are woken"))
        }),
    },
    Claim {
        id: "reuseport-deals-without-looking",
        sentence: "With SO_REUSEPORT connections are dealt to all listeners of a port, \
            whether anybody accepts there or not.",
        chapter: "preforked.md",
        kernels: All,
        source: "socket(7), SO_REUSEPORT, since Linux 3.9",
        counter: "one of the two no longer listens",
        check: linux!(|case| {
            let busy = listen_beside(any_port())?;
            let SocketAddr::V4(port) = busy.local_addr()? else {
                return cannot("not IPv4");
            };
            let stuck = listen_beside(SockaddrIn::from(port))?;
            if case.is_counter() {
                socket::shutdown(stuck.as_raw_fd(), socket::Shutdown::Both)?;
            }
            let mut clients = Vec::new();
            for _ in 0..40 {
                clients.push(TcpStream::connect(port)?);
            }
            nonblocking(&busy, true)?;
            let served = std::iter::from_fn(|| busy.accept().ok()).count();
            let left = 40 - served;
            seen(
                (1..40).contains(&left),
                format!("{served} are served, {left} wait where nobody accepts"),
            )
        }),
    },
    Claim {
        id: "closed-listener-resets-its-queue",
        sentence: "When the last descriptor of a listener is closed, everybody in its \
            queue is reset.",
        chapter: "preforked.md",
        kernels: All,
        source: "the kernel's inet_csk_listen_stop",
        counter: "another descriptor of it is open",
        check: linux!(|case| {
            let listener = listener(4)?;
            let other = listener.try_clone()?;
            let mut client = TcpStream::connect(listener.local_addr()?)?;
            client.write_all(b"request")?;
            drop(listener);
            let _other = case.is_counter().then_some(other);
            nonblocking(&client, true)?;
            readable(&client, MOMENT);
            let result = read(&client, &mut [0; 64]);
            seen(result == Err(Errno::ECONNRESET), word(result))
        }),
    },
    Claim {
        id: "migrate-req-moves-the-queue",
        sentence: "With net.ipv4.tcp_migrate_req set, the connections in the queue of a listener that is \
            closed go to another listener of its SO_REUSEPORT group.",
        chapter: "preforked.md",
        kernels: Since {
            version: (5, 14),
            before: "they are reset, though some later 5.10 have the setting",
        },
        source: "ip-sysctl, tcp_migrate_req. Tested in a network of its own",
        counter: "it is as nobody has set it",
        check: linux!(|case| {
            own_network()?;
            if !case.is_counter() {
                let set = set("/proc/sys/net/ipv4/tcp_migrate_req", "1");
                if let Err(Cannot(why)) = set {
                    return seen(false, why);
                }
            }
            let first = listen_beside(any_port())?;
            let SocketAddr::V4(port) = first.local_addr()? else {
                return cannot("not IPv4");
            };
            let second = listen_beside(SockaddrIn::from(port))?;
            let mut clients = Vec::new();
            for _ in 0..16 {
                clients.push(TcpStream::connect(port)?);
            }
            drop(second);
            thread::sleep(ms(50));
            nonblocking(&first, true)?;
            let served = std::iter::from_fn(|| first.accept().ok()).count();
            either(
                served == 16,
                "all 16 are in the other queue",
                "not all 16 are in the other queue",
            )
        }),
    },
    Claim {
        id: "defer-accept-hides-the-silent",
        sentence: "With TCP_DEFER_ACCEPT a connection on which nothing was sent is not \
            handed over.",
        chapter: "preforked.md",
        kernels: All,
        source: "tcp(7), TCP_DEFER_ACCEPT",
        counter: "the client has sent something",
        check: linux!(|case| {
            let listener = listener(4)?;
            raw::set_option(&listener, libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT, 60)?;
            let mut client = TcpStream::connect(listener.local_addr()?)?;
            if case.is_counter() {
                client.write_all(b"request")?;
            }
            let handed = readable(&listener, MOMENT);
            either(!handed, "not handed over", "handed over")
        }),
    },
    Claim {
        id: "defer-accept-hands-over-in-the-end",
        sentence: "When the time of TCP_DEFER_ACCEPT is up, a connection is handed over, \
            silent as it is.",
        chapter: "preforked.md",
        kernels: All,
        source: "tcp(7), TCP_DEFER_ACCEPT; the kernel's syn_ack_recalc",
        counter: "it is not up yet",
        check: linux!(|case| {
            let listener = listener(4)?;
            let seconds = case.pick(1, 60);
            raw::set_option(&listener, libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT, seconds)?;
            let begun = Instant::now();
            let _client = TcpStream::connect(listener.local_addr()?)?;
            let handed = readable(&listener, 3_500);
            let waited = begun.elapsed();
            let words = if handed { "handed over" } else { "not handed over" };
            seen(handed, format!("asked for {seconds} s, {words} after {waited:.1?}"))
        }),
    },
    Claim {
        id: "defer-accept-is-rounded-up",
        sentence: "The time of TCP_DEFER_ACCEPT is rounded up to 1, 3, 7, 15, 31 … \
            seconds.",
        chapter: "preforked.md",
        kernels: All,
        source: "tcp(7), TCP_DEFER_ACCEPT; the kernel's secs_to_retrans",
        counter: "it is one of these",
        check: linux!(|case| {
            let listener = listener(4)?;
            let (level, name) = (libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT);
            let asked = case.pick(10, 7);
            raw::set_option(&listener, level, name, asked)?;
            let got = raw::option(&listener, level, name)?;
            seen(got > asked, format!("asked for {asked} s, got {got} s"))
        }),
    },
    Claim {
        id: "deferred-overflow-is-handed-over",
        sentence: "When as many are deferred as the backlog has room for, the next ones \
            are handed over at once.",
        chapter: "preforked.md",
        kernels: All,
        source: "the kernel's tcp_conn_request: SYN cookies",
        counter: "net.ipv4.tcp_syncookies is 0",
        check: linux!(|case| {
            own_network()?;
            set("/proc/sys/net/ipv4/tcp_syncookies", case.pick("1", "0"))?;
            let listener = listener(4)?;
            raw::set_option(&listener, libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT, 60)?;
            let mut clients = Vec::new();
            for _ in 0..8 {
                clients.push(knock(&listener)?);
            }
            let handed = readable(&listener, case.pick(LONG, MOMENT));
            let words = if handed { "handed over" } else { "not handed over" };
            seen(handed, format!("a backlog of 4; of 8 who say nothing, some were {words}"))
        }),
    },
    Claim {
        id: "accepted-sockets-block",
        sentence: "A socket from accept(2) does not inherit O_NONBLOCK from its listener.",
        chapter: "select.md",
        kernels: All,
        source: "accept(2): on other systems it does",
        counter: "accept4(2) with SOCK_NONBLOCK",
        check: linux!(|case| {
            let listener = listener(4)?;
            nonblocking(&listener, true)?;
            let _client = TcpStream::connect(listener.local_addr()?)?;
            let flags = case.pick(SockFlag::empty(), SockFlag::SOCK_NONBLOCK);
            let accepted = socket::accept4(listener.as_raw_fd(), flags)?;
            let nonblocking = is_nonblocking(raw::owned(accepted))?;
            seen(!nonblocking, format!("O_NONBLOCK: {nonblocking}"))
        }),
    },
    Claim {
        id: "nonblocking-belongs-to-the-description",
        sentence: "O_NONBLOCK belongs to the open file description: all descriptors of \
            it, in all processes, have it.",
        chapter: "preforked.md",
        kernels: All,
        source: "fcntl(2), F_SETFL; open(2), Open file descriptions",
        counter: "the other process has opened the file anew",
        check: linux!(|case| {
            let (reader, _writer) = pipe()?;
            let anew = File::open(format!("/proc/self/fd/{}", reader.as_raw_fd()))?;
            let child = child(|| match case {
                Case::Claimed => i32::from(nonblocking(&reader, true).is_err()),
                Case::Counter => i32::from(nonblocking(&anew, true).is_err()),
            })?;
            if child.code()? != 0 {
                return cannot("the child could not set it");
            }
            let nonblocking = is_nonblocking(&reader)?;
            seen(
                nonblocking,
                format!("after the child has set it, ours has it: {nonblocking}"),
            )
        }),
    },
];

/// A listener with SO_REUSEPORT.
#[cfg(target_os = "linux")]
fn listen_beside(address: SockaddrIn) -> nix::Result<TcpListener> {
    let bound = unbound()?;
    setsockopt(&bound, sockopt::ReusePort, &true)?;
    socket::bind(bound.as_raw_fd(), &address)?;
    socket::listen(&bound, socket::Backlog::new(64)?)?;
    Ok(bound.into())
}

/// A listener with a backlog of 0 whose one place is taken, and who has it.
#[cfg(target_os = "linux")]
fn full() -> Result<(TcpListener, TcpStream), Cannot> {
    let listener = listener(0)?;
    let first = knock(&listener)?;
    if !connected(&first, LONG) {
        return cannot("the first client is not connected");
    }
    Ok((listener, first))
}
