//! The connections of a crowd, over one epoll instance.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::process;
use std::time::{Duration, Instant};

use conformance::{Response, responses};
use rustix::event::{Timespec, epoll};
use rustix::io::Errno;
use rustix::net::{self, AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

use crate::Command;

/// How often overdue clients are looked for, and new ones begin.
const TICK: Duration = Duration::from_millis(10);
/// Clients with the same source address, in 127.0.0.0/8. It has some 28,000 ports to give
/// (`ip_local_port_range` in ip(7)), and the fewer are left, the longer the kernel looks for
/// one.
const SAME_SOURCE: usize = 2_000;

/// What a client waits for.
#[derive(Debug)]
enum State {
    Connecting,
    /// So much of its request has been sent, this has come back.
    Asking(usize, Vec<u8>),
    /// It has its answer, and holds the connection.
    Idle,
    Gone,
}

#[derive(Debug)]
struct Client {
    socket: OwnedFd,
    state: State,
    since: Instant,
}

/// All of them.
pub struct Crowd {
    server: SocketAddr,
    request: Vec<u8>,
    expected: Vec<u8>,
    close: bool,
    timeout: Duration,
    epoll: OwnedFd,
    clients: Vec<Client>,
    answered: usize,
    /// Clients that wait for something.
    busy: usize,
    errors: BTreeMap<String, usize>,
    buffer: Vec<u8>,
}

/// What the server answers one client that is alone: the content that all must get.
pub fn reference(server: SocketAddr, path: &str) -> Result<Vec<u8>, String> {
    let response = conformance::get(server, path)
        .map_err(|why| format!("GET {path} from {server}: {why}; is a server there?"))?;
    match response.status {
        200 => Ok(response.body),
        status => Err(format!("GET {path} is answered {status}; choose another --path")),
    }
}

impl Crowd {
    /// Nobody yet. Each client must get `expected`.
    pub fn new(command: &Command, expected: Vec<u8>) -> Result<Self, String> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)
            .map_err(|error| format!("epoll: {}", io::Error::from(error)))?;
        let end = if command.close { "Connection: close\r\n" } else { "" };
        Ok(Self {
            server: command.server,
            request: format!("GET {} HTTP/1.1\r\nHost: crowd\r\n{end}\r\n", command.path)
                .into_bytes(),
            expected,
            close: command.close,
            timeout: command.timeout,
            epoll,
            clients: Vec::with_capacity(command.clients),
            answered: 0,
            busy: 0,
            errors: BTreeMap::new(),
            buffer: vec![0; 64 * 1024],
        })
    }

    /// How many right answers there were.
    pub fn answered(&self) -> usize {
        self.answered
    }

    /// How many connections are held.
    pub fn connected(&self) -> usize {
        self.clients.iter().filter(|c| !matches!(c.state, State::Gone)).count()
    }

    /// What went wrong, and how often.
    pub fn errors(&self) -> &BTreeMap<String, usize> {
        &self.errors
    }

    /// So many clients connect and ask, `rate` in a second; returns when each has its answer
    /// or has failed.
    pub fn arrive(&mut self, clients: usize, rate: usize) -> Result<(), String> {
        self.at_a_rate(clients, rate, |crowd, number| crowd.connect(number))
    }

    /// Everybody who is still connected asks once more.
    pub fn ask_again(&mut self, rate: usize) -> Result<(), String> {
        self.at_a_rate(self.clients.len(), rate, |crowd, number| {
            if matches!(crowd.clients[number].state, State::Idle) {
                crowd.busy += 1;
                crowd.ask(number);
            }
            Ok(())
        })
    }

    /// Nobody says anything for a while; who loses his connection is an error.
    pub fn hold(&mut self, time: Duration) -> Result<(), String> {
        let until = Instant::now() + time;
        while Instant::now() < until {
            self.turn()?;
        }
        Ok(())
    }

    fn at_a_rate(
        &mut self,
        clients: usize,
        rate: usize,
        begin: impl Fn(&mut Self, usize) -> Result<(), String>,
    ) -> Result<(), String> {
        let begun = Instant::now();
        let mut next = 0;
        while next < clients || self.busy > 0 {
            let due = (begun.elapsed().as_secs_f64() * rate as f64) as usize;
            while next < clients.min(due) {
                begin(self, next)?;
                next += 1;
            }
            self.turn()?;
        }
        Ok(())
    }

    /// Waits for at most a tick, and does what can be done.
    fn turn(&mut self) -> Result<(), String> {
        let mut events = Vec::with_capacity(1024);
        let tick = Timespec { tv_sec: 0, tv_nsec: TICK.subsec_nanos().into() };
        let room = rustix::buffer::spare_capacity(&mut events);
        match epoll::wait(&self.epoll, room, Some(&tick)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(format!("epoll_wait: {}", io::Error::from(error))),
        }
        for event in &events {
            let number = usize::try_from(event.data.u64()).map_err(|e| e.to_string())?;
            self.go_on(number);
        }
        if events.is_empty() {
            self.look_for_late_ones();
        }
        Ok(())
    }

    fn connect(&mut self, number: usize) -> Result<(), String> {
        let failed =
            |what: &str, error: Errno| format!("{what}: {}", io::Error::from(error));
        let family = match self.server {
            SocketAddr::V4(_) => AddressFamily::INET,
            SocketAddr::V6(_) => AddressFamily::INET6,
        };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = net::socket_with(family, SocketType::STREAM, flags, None)
            .map_err(|error| failed("socket", error))?;
        if let IpAddr::V4(address) = self.server.ip()
            && address.is_loopback()
        {
            // Connections of the crowd before this one may be in TIME-WAIT, with their ports.
            let [_, _, mine, too] = process::id().to_be_bytes();
            let last = u8::try_from(1 + number / SAME_SOURCE).unwrap_or(u8::MAX);
            let source = SocketAddr::from((Ipv4Addr::new(127, mine, too, last), 0));
            net::bind(&socket, &source).map_err(|error| failed("bind", error))?;
        }
        let outcome = match net::connect(&socket, &self.server) {
            Ok(()) | Err(Errno::INPROGRESS) => Ok(()),
            Err(error) => Err(error),
        };
        // Edges: each is told once, and everything that can be done is done then.
        let events = epoll::EventFlags::IN | epoll::EventFlags::OUT | epoll::EventFlags::ET;
        epoll::add(&self.epoll, &socket, epoll::EventData::new_u64(number as u64), events)
            .map_err(|error| failed("epoll_ctl", error))?;
        self.clients.push(Client {
            socket,
            state: State::Connecting,
            since: Instant::now(),
        });
        self.busy += 1;
        if let Err(error) = outcome {
            self.fail(number, failed("connect", error));
        }
        Ok(())
    }

    /// Something has happened to this client's socket.
    fn go_on(&mut self, number: usize) {
        let client = &mut self.clients[number];
        match &client.state {
            State::Connecting => match net::sockopt::socket_error(&client.socket) {
                Ok(Ok(())) if net::getpeername(&client.socket).is_ok() => self.ask(number),
                Ok(Ok(())) => {}
                Ok(Err(error)) | Err(error) => {
                    self.fail(number, format!("connect: {}", io::Error::from(error)));
                }
            },
            State::Asking(..) => self.talk(number),
            State::Idle => match net::recv(&client.socket, &mut [0; 1], RecvFlags::empty())
            {
                Err(Errno::AGAIN | Errno::INTR) => {}
                Ok((0, _)) => self.fail(number, "closed while it was idle".into()),
                Ok(_) => self.fail(number, "more than one response".into()),
                Err(error) => {
                    self.fail(
                        number,
                        format!("while it was idle: {}", io::Error::from(error)),
                    );
                }
            },
            State::Gone => {}
        }
    }

    fn ask(&mut self, number: usize) {
        let client = &mut self.clients[number];
        client.since = Instant::now();
        client.state = State::Asking(0, Vec::new());
        self.talk(number);
    }

    /// Sends what is left of the request, and reads what is there.
    fn talk(&mut self, number: usize) {
        let client = &mut self.clients[number];
        let State::Asking(sent, heard) = &mut client.state else { return };
        if *sent < self.request.len() {
            match net::send(&client.socket, &self.request[*sent..], SendFlags::NOSIGNAL) {
                Ok(n) => *sent += n,
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(error) => {
                    return self.fail(number, format!("send: {}", io::Error::from(error)));
                }
            }
        }
        let end = loop {
            match net::recv(&client.socket, &mut self.buffer[..], RecvFlags::empty()) {
                Ok((0, _)) => break Some(Ok(())),
                Ok((n, _)) => heard.extend_from_slice(&self.buffer[..n]),
                Err(Errno::AGAIN) => break None,
                Err(Errno::INTR) => {}
                Err(error) => break Some(Err(error)),
            }
        };
        let checked = check(heard, &self.expected);
        match (checked, end) {
            (_, Some(Err(error))) => {
                self.fail(number, format!("receive: {}", io::Error::from(error)));
            }
            (Some(Err(why)), _) => self.fail(number, why),
            (Some(Ok(response)), Some(Ok(()))) if self.close || response.closes() => {
                self.answered += 1;
                self.busy -= 1;
                self.let_go(number);
                if !self.close {
                    *self.errors.entry("closed after the response".into()).or_default() +=
                        1;
                }
            }
            (_, Some(Ok(()))) => {
                self.fail(number, "closed before the end of the response".into());
            }
            (Some(Ok(_)), None) if !self.close => {
                self.answered += 1;
                self.busy -= 1;
                client.state = State::Idle;
            }
            (_, None) => {}
        }
    }

    fn look_for_late_ones(&mut self) {
        for number in 0..self.clients.len() {
            let client = &self.clients[number];
            let what = match client.state {
                _ if client.since.elapsed() < self.timeout => continue,
                State::Connecting => "no connection in time",
                State::Asking(..) => "no response in time",
                State::Idle | State::Gone => continue,
            };
            self.fail(number, what.into());
        }
    }

    fn fail(&mut self, number: usize, why: String) {
        if !matches!(self.clients[number].state, State::Idle | State::Gone) {
            self.busy -= 1;
        }
        *self.errors.entry(why).or_default() += 1;
        self.let_go(number);
    }

    /// Ends the connection. Its descriptor stays until the end: there are enough for all.
    fn let_go(&mut self, number: usize) {
        let client = &mut self.clients[number];
        client.state = State::Gone;
        // Where the server has ended it, there is nothing left to shut down or to watch.
        let _ = net::shutdown(&client.socket, net::Shutdown::Both);
        let _ = epoll::delete(&self.epoll, &client.socket);
    }
}

/// The response, once it is whole; what is wrong with it.
fn check(heard: &[u8], expected: &[u8]) -> Option<Result<Response, String>> {
    // Until its head is there, nothing can be said.
    heard.windows(4).position(|end| end == b"\r\n\r\n")?;
    let mut all = match responses(heard, &[]) {
        Ok(all) => all,
        Err(why) => return Some(Err(why)),
    };
    let response = all.pop()?;
    match response {
        _ if !all.is_empty() => Some(Err("more than one response".into())),
        response if response.status != 200 => {
            Some(Err(format!("status {}", response.status)))
        }
        response if !response.whole => None,
        response if response.body != expected => Some(Err("not the content".into())),
        response => Some(Ok(response)),
    }
}
