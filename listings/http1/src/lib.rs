//! A server's end of one HTTP/1.1 connection, without I/O.
//!
//! Bytes that arrived go in, bytes and files to send come out, and the time is told from
//! outside. Nothing here owns a socket, opens a file, reads a clock or waits, so the same
//! connection works under a blocking `read`, under `epoll` and under a ring: who waits is
//! the driver's affair.
//!
//! | file | noun |
//! | --- | --- |
//! | `connection.rs` | [`Connection`]: the state machine that a driver talks to |
//! | `head.rs` | [`Request`]: one parsed head, and what its body's framing is |
//! | `body.rs` | a body as it arrives: by Content-Length or chunked |
//! | `response.rs` | [`Response`]: status, fields and body, and how they are written |
//! | `date.rs` | dates, and the last few that were written |
//! | `static_file.rs` | [`Meta`]: conditional requests, ranges and types of files |
//! | `file_cache.rs` | [`FileCache`]: open files and what was known of them a second ago |
//!
//! Rules that hold between connection and driver:
//! 1. What the driver takes with [`Connection::take_output`] it owns until it gives it back
//!    with [`Connection::sent`]. One piece is out at a time, and a small file behind it if
//!    it asks for one, which it gives back first: so replies cannot overtake each other.
//! 2. [`Connection::received`] may be called in any state and with any split of the bytes:
//!    the output is the same, but for `100 Continue`, which is for a client that waits.
//! 3. One request is with the application at a time. The next is not parsed before
//!    [`Connection::respond`].
//! 4. Memory is bounded: a head by 8 KiB, a body by [`Settings::max_body`], the output by
//!    [`OUTPUT_CAP`] plus one response. A driver that reads no more than
//!    [`Connection::room`] keeps the input at [`INPUT_CAP`] or below.
//! 5. After [`Connection::finished`] answers, the connection has nothing more to say.

mod body;
mod connection;
mod date;
mod file_cache;
mod head;
mod response;
mod static_file;

pub use connection::{
    Connection, Finish, INPUT_CAP, Now, OUTPUT_CAP, Out, SEND_QUOTA, Settings,
};
pub use file_cache::FileCache;
pub use head::{MAX_HEAD, Method, Request};
pub use response::{Body, Response, reason};
pub use static_file::{Kind, Meta, content_type, static_file};
