//! What a call is about: the tracer sees its name and its arguments.

use crate::About;

/// What a call is about, by its name and its arguments.
pub(crate) fn about(name: &str, args: &[u64; 6]) -> About {
    match name {
        "read" | "write" | "readv" | "writev" | "recvfrom" | "recvmsg" | "sendto"
        | "sendmsg" | "sendfile" | "sendfile64" | "close" | "shutdown" | "setsockopt"
        | "getsockopt" | "fcntl" | "fcntl64" | "getpeername" => About::One(args[0] as i32),
        "epoll_ctl" => About::One(args[2] as i32),
        "accept" | "accept4" | "epoll_wait" | "epoll_pwait" | "epoll_pwait2" | "select"
        | "_newselect" | "pselect6" | "io_uring_enter" | "io_getevents" => About::Anybody,
        // The number of descriptors. For one of them it is a read with a deadline.
        "poll" | "ppoll" if args[1] > 1 => About::Anybody,
        _ => About::Nothing,
    }
}
