//! A loop over epoll that answers whatever it is sent with the same 612 bytes: what is left of
//! a server when there is no application. The floor under every figure of this chapter.
//!
//! It reads no request (one read, one response), has no deadline and no limit. Not for use.

#[cfg(target_os = "linux")]
fn main() -> std::io::Result<()> {
    bare::run()
}

#[cfg(not(target_os = "linux"))]
fn main() -> std::process::ExitCode {
    flags::needs_linux("bare")
}

#[cfg(target_os = "linux")]
mod bare {
    use std::collections::HashMap;
    use std::io;
    use std::os::fd::{AsRawFd, OwnedFd};

    use rustix::buffer::spare_capacity;
    use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
    use rustix::io::Errno;
    use rustix::net::{RecvFlags, SendFlags, SocketFlags, accept_with, recv, send};

    const LISTENER: u64 = u64::MAX;

    pub fn run() -> io::Result<()> {
        let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:0".into());
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        println!("listening on http://{}", listener.local_addr()?);
        let body = "x".repeat(612);
        let reply = format!("HTTP/1.1 200 OK\r\nContent-Length: 612\r\n\r\n{body}");
        serve(listener.into(), reply.as_bytes())
    }

    // ANCHOR: bare
    fn serve(listener: OwnedFd, reply: &[u8]) -> io::Result<()> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
        let mut clients: HashMap<u64, OwnedFd> = HashMap::new();
        let mut events = Vec::with_capacity(256);
        let mut request = [0; 4096];
        loop {
            epoll::wait(&epoll, spare_capacity(&mut events), None)?;
            for event in events.drain(..) {
                let who = event.data.u64();
                if who == LISTENER {
                    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
                    while let Ok(client) = accept_with(&listener, flags) {
                        let who = client.as_raw_fd() as u64;
                        let data = EventData::new_u64(who);
                        epoll::add(&epoll, &client, data, EventFlags::IN)?;
                        clients.insert(who, client);
                    }
                } else if let Some(client) = clients.get(&who) {
                    match recv(client, &mut request, RecvFlags::empty()) {
                        Ok((1.., _)) => _ = send(client, reply, SendFlags::NOSIGNAL),
                        Err(Errno::AGAIN) => {}
                        Ok(_) | Err(_) => _ = clients.remove(&who),
                    }
                }
            }
        }
    }
    // ANCHOR_END: bare
}
