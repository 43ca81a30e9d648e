//! The queue in front of accept: whether somebody is in it, and how many.

use std::mem::offset_of;
use std::os::fd::{AsFd, AsRawFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Whether a connection is in the accept queue.
// ANCHOR: somebody-waits
pub fn somebody_waits(listener: impl AsFd) -> bool {
    let mut listener = [PollFd::new(&listener, PollFlags::IN)];
    poll(&mut listener, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
}
// ANCHOR_END: somebody-waits

/// How many connections are in the accept queue, as `ss -l` shows it: for a listener, TCP_INFO
/// (tcp(7)) has the length of its queue in the place of what is unacknowledged. None if this
/// is no TCP socket.
// ANCHOR: how-many-wait
#[expect(unsafe_code, reason = "neither rustix nor nix knows this option")]
pub fn how_many_wait(listener: impl AsFd) -> Option<u64> {
    let mut info = [0_u32; size_of::<libc::tcp_info>() / 4];
    let mut length = size_of_val(&info) as libc::socklen_t;
    // SAFETY: the kernel writes up to `length` bytes into `info` and what they were into
    // `length`. Both are ours and outlive the call, and it keeps no pointer to them.
    let result = unsafe {
        libc::getsockopt(
            listener.as_fd().as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            (&raw mut info).cast(),
            &raw mut length,
        )
    };
    (result == 0).then(|| info[offset_of!(libc::tcp_info, tcpi_unacked) / 4].into())
}
// ANCHOR_END: how-many-wait

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn those_who_have_connected_are_counted_until_they_are_accepted() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a listener");
        let address = listener.local_addr().expect("an address");
        assert_eq!(how_many_wait(&listener), Some(0));
        let _clients = [(); 3].map(|()| TcpStream::connect(address).expect("to connect"));
        assert_eq!(how_many_wait(&listener), Some(3));
        let _accepted = listener.accept().expect("to accept");
        assert_eq!(how_many_wait(&listener), Some(2));
        let (pipe, _) = std::io::pipe().expect("a pipe");
        assert_eq!(how_many_wait(pipe), None);
    }
}
