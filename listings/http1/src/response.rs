//! A response: status, fields and body. How long it is and whether the connection stays is
//! the connection's to say.

use std::io::Write;
use std::time::SystemTime;

use crate::date;

/// What follows a response's head.
#[derive(Debug)]
pub enum Body<F> {
    /// Nothing, and no Content-Length either: 304.
    None,
    /// Bytes in memory.
    Bytes(Vec<u8>),
    /// `len` bytes of a file, from the offset `at` on. The driver sends them.
    File {
        /// The driver's handle.
        file: F,
        /// Offset of the first byte.
        at: u64,
        /// How many bytes.
        len: u64,
    },
}

/// A response on its way from the application to the connection.
#[derive(Debug)]
pub struct Response<F> {
    /// Status code, 200 to 599.
    pub status: u16,
    /// Field lines as they will be sent, each with its CRLF.
    pub(crate) fields: Vec<u8>,
    /// What follows the head.
    pub body: Body<F>,
}

impl<F> Response<F> {
    /// A response without fields of its own.
    pub fn new(status: u16, body: Body<F>) -> Self {
        // Enough for what is usual, so that it is allocated once.
        Self { status, fields: Vec::with_capacity(256), body }
    }

    /// A short text that says the status to a person.
    pub fn plain(status: u16) -> Self {
        let text = format!("{status} {}\n", reason(status));
        Self::new(status, Body::Bytes(text.into_bytes()))
            .field("Content-Type", "text/plain; charset=utf-8")
    }

    /// Adds a field. The connection itself writes Date, Content-Length and Connection.
    ///
    /// # Panics
    /// If the value contains a line end: a field that a client can break in two is a
    /// response that a client can write. (The name is the program's own.)
    #[must_use]
    pub fn field(mut self, name: &'static str, value: impl AsRef<str>) -> Self {
        let value = value.as_ref();
        let breaks = value.bytes().any(|byte| matches!(byte, b'\r' | b'\n'));
        assert!(!breaks, "a line end in the field {name}");
        // Every response has half a dozen of them, and `write!` showed in a profile.
        self.fields.reserve(name.len() + value.len() + 4);
        for part in [name, ": ", value, "\r\n"] {
            self.fields.extend_from_slice(part.as_bytes());
        }
        self
    }

    /// Adds a field whose value is a date.
    #[must_use]
    pub(crate) fn dated(mut self, name: &'static str, time: SystemTime) -> Self {
        self.fields.extend_from_slice(name.as_bytes());
        self.fields.extend_from_slice(b": ");
        date::write(&mut self.fields, time);
        self.fields.extend_from_slice(b"\r\n");
        self
    }

    /// How many bytes the body has; `None` where there is no length to tell.
    pub(crate) fn length(&self) -> Option<u64> {
        match &self.body {
            Body::None => None,
            Body::Bytes(bytes) => Some(bytes.len() as u64),
            Body::File { len, .. } => Some(*len),
        }
    }

    /// Writes the head: `connection` is what the Connection field says, if it is sent.
    pub(crate) fn write_head(
        &self,
        out: &mut Vec<u8>,
        now: SystemTime,
        connection: Option<&str>,
    ) {
        let digit = |n: u16| b'0' + (n % 10) as u8;
        let status =
            [digit(self.status / 100), digit(self.status / 10), digit(self.status)];
        let phrase = reason(self.status).as_bytes();
        for part in [b"HTTP/1.1 ", &status[..], b" ", phrase, b"\r\nDate: "] {
            out.extend_from_slice(part);
        }
        date::write_now(out, now);
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(&self.fields);
        if let Some(length) = self.length() {
            out.extend_from_slice(b"Content-Length: ");
            let written = write!(out, "{length}");
            debug_assert!(written.is_ok(), "writing to a Vec does not fail");
            out.extend_from_slice(b"\r\n");
        }
        if let Some(connection) = connection {
            for part in ["Connection: ", connection, "\r\n"] {
                out.extend_from_slice(part.as_bytes());
            }
        }
        out.extend_from_slice(b"\r\n");
    }
}

/// The phrase that goes with a status (RFC 9110 section 15).
pub fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        206 => "Partial Content",
        301 => "Moved Permanently",
        303 => "See Other",
        304 => "Not Modified",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        416 => "Range Not Satisfiable",
        417 => "Expectation Failed",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use std::panic;

    use super::*;

    #[test]
    fn a_value_with_a_line_end_is_no_field() {
        for value in ["a\rb", "a\nb", "\r\nX: y", "\n"] {
            let field = || Response::<()>::new(200, Body::None).field("Location", value);
            assert!(panic::catch_unwind(field).is_err(), "{value:?}");
        }
        let response = Response::<()>::new(200, Body::None).field("Location", "/a b\t\\r");
        assert_eq!(response.fields, b"Location: /a b\t\\r\r\n");
    }
}
