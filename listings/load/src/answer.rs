//! Reading a response, as far as a client that checks it must: the status, how long the body
//! is, and whether it is the right one.
//!
//! RFC 9112, sections 4 and 6. A body in chunks is not read: every server of the book sends a
//! length, and a server that does not is refused before the run.

/// What every response must be.
#[derive(Clone, Debug)]
pub struct Expected {
    /// The body, if it is always the same. None: any body of the length that the head states.
    pub body: Option<Vec<u8>>,
}

/// What has come of a response so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// More must come.
    Part,
    /// It is whole and right.
    Whole {
        /// The server will take another request on this connection.
        stays: bool,
    },
    /// It is wrong.
    Wrong(Wrong),
}

/// In what way a response is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// It is no response, has no length, or goes on after its end.
    Garbled,
    /// Its status is not 200.
    Status,
    /// Its body is not the one that was expected.
    Body,
}

/// The last head that was parsed, and what it says. A server says the same to everybody, for a
/// second, until its Date changes; to compare is cheaper than to parse.
#[derive(Debug, Default)]
pub struct LastHead {
    bytes: Vec<u8>,
    says: Head,
}

impl LastHead {
    /// How long it is, in bytes.
    pub(crate) fn length(&self) -> usize {
        self.bytes.len()
    }
}

/// What of a head matters.
#[derive(Clone, Copy, Debug, Default)]
struct Head {
    body: usize,
    stays: bool,
}

/// One connection's response, while it comes.
#[derive(Debug, Default)]
pub struct Answer {
    /// A head that has come in part.
    head: Vec<u8>,
    body: Option<Body>,
}

#[derive(Clone, Copy, Debug)]
struct Body {
    came: usize,
    head: Head,
}

/// No server of any use sends more.
const LONGEST_HEAD: usize = 64 * 1024;

impl Answer {
    /// Whether nothing of the response has come.
    #[must_use]
    pub fn is_untouched(&self) -> bool {
        self.head.is_empty() && self.body.is_none()
    }

    /// Takes what was received. After [`Progress::Whole`] it is ready for the next response.
    pub fn received(
        &mut self,
        bytes: &[u8],
        last: &mut LastHead,
        expected: &Expected,
    ) -> Progress {
        let bytes = match self.body {
            Some(_) => bytes,
            None => match self.head_received(bytes, last) {
                Ok(Some(rest)) => rest,
                Ok(None) => return Progress::Part,
                Err(wrong) => return Progress::Wrong(wrong),
            },
        };
        self.body_received(bytes, expected)
    }

    /// Takes the bytes of a head; when it is whole, returns those that come after it.
    fn head_received<'a>(
        &mut self,
        bytes: &'a [u8],
        last: &mut LastHead,
    ) -> Result<Option<&'a [u8]>, Wrong> {
        if self.head.is_empty()
            && !last.bytes.is_empty()
            && let Some(rest) = bytes.strip_prefix(&last.bytes[..])
        {
            self.body = Some(Body { came: 0, head: last.says });
            return Ok(Some(rest));
        }
        let before = self.head.len();
        self.head.extend_from_slice(bytes);
        let Some((length, head)) = parse(&self.head)? else {
            return match self.head.len() {
                ..LONGEST_HEAD => Ok(None),
                _ => Err(Wrong::Garbled),
            };
        };
        last.bytes.clear();
        last.bytes.extend_from_slice(&self.head[..length]);
        last.says = head;
        self.head = Vec::new();
        self.body = Some(Body { came: 0, head });
        // What came before was no whole head, so its end is in these bytes.
        Ok(Some(&bytes[length - before..]))
    }

    fn body_received(&mut self, bytes: &[u8], expected: &Expected) -> Progress {
        let Some(body) = &mut self.body else { return Progress::Part };
        let from = body.came;
        body.came += bytes.len();
        if body.came > body.head.body {
            return Progress::Wrong(Wrong::Garbled);
        }
        if let Some(right) = &expected.body
            && (right.len() != body.head.body || right[from..body.came] != *bytes)
        {
            return Progress::Wrong(Wrong::Body);
        }
        if body.came < body.head.body {
            return Progress::Part;
        }
        let stays = body.head.stays;
        self.body = None;
        Progress::Whole { stays }
    }
}

/// A head's length and what it says, if it is whole.
fn parse(bytes: &[u8]) -> Result<Option<(usize, Head)>, Wrong> {
    let mut fields = [httparse::EMPTY_HEADER; 64];
    let mut response = httparse::Response::new(&mut fields);
    let length = match response.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err(Wrong::Garbled),
    };
    if response.code != Some(200) {
        return Err(Wrong::Status);
    }
    let field = |name: &str| {
        let same = |field: &&httparse::Header| field.name.eq_ignore_ascii_case(name);
        let value = response.headers.iter().find(same)?.value;
        std::str::from_utf8(value).ok()
    };
    let body = field("content-length").and_then(|length| length.parse().ok());
    let closes =
        field("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
    let body = body.ok_or(Wrong::Garbled)?;
    Ok(Some((length, Head { body, stays: !closes && response.version == Some(1) })))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

    fn expected(body: &[u8]) -> Expected {
        Expected { body: Some(body.to_vec()) }
    }

    fn whole(bytes: &[u8], expected: &Expected) -> Progress {
        Answer::default().received(bytes, &mut LastHead::default(), expected)
    }

    #[test]
    fn in_two_parts_cut_anywhere_and_twice_on_the_same_connection() {
        let (mut last, mut answer) = (LastHead::default(), Answer::default());
        for cut in 1..RESPONSE.len() {
            let (first, second) = RESPONSE.split_at(cut);
            let progress = answer.received(first, &mut last, &expected(b"hello"));
            assert_eq!(progress, Progress::Part, "cut after {cut}");
            assert!(!answer.is_untouched());
            let progress = answer.received(second, &mut last, &expected(b"hello"));
            assert_eq!(progress, Progress::Whole { stays: true }, "cut after {cut}");
            assert!(answer.is_untouched());
        }
    }

    #[test]
    fn a_head_that_is_known_says_what_it_said_and_not_what_another_says() {
        let (mut last, mut answer) = (LastHead::default(), Answer::default());
        let any = Expected { body: None };
        for (text, stays) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", true),
            ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", true),
            ("HTTP/1.1 200 OK\r\nConnection: close\r\ncontent-length: 2\r\n\r\nab", false),
            ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", true),
            ("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na", false),
        ] {
            let progress = answer.received(text.as_bytes(), &mut last, &any);
            assert_eq!(progress, Progress::Whole { stays }, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_apart() {
        let not_found = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
        let wrong = |bytes, body| match whole(bytes, &expected(body)) {
            Progress::Wrong(wrong) => wrong,
            other => panic!("{other:?}"),
        };
        assert_eq!(wrong(not_found, b""), Wrong::Status);
        assert_eq!(wrong(RESPONSE, b"hallo"), Wrong::Body);
        assert_eq!(wrong(RESPONSE, b"hell"), Wrong::Body);
        assert_eq!(wrong(b"220 ready\r\n", b""), Wrong::Garbled);
        let unmeasured = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert_eq!(wrong(unmeasured, b""), Wrong::Garbled);
        let longer = [RESPONSE, b"!"].concat();
        assert_eq!(whole(&longer, &expected(b"hello")), Progress::Wrong(Wrong::Garbled));
        let endless =
            [b"HTTP/1.1 200 OK\r\nA: ".as_slice(), &[b'a'; LONGEST_HEAD]].concat();
        assert_eq!(whole(&endless, &expected(b"")), Progress::Wrong(Wrong::Garbled));
    }
}
