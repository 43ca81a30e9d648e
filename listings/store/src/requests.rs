//! Bytes become requests.
//!
//! A request is an array of bulk strings, for example
//! `*2\r\n$4\r\nINCR\r\n$6\r\nvisits\r\n`
//! (<https://redis.io/docs/latest/develop/reference/protocol-spec/>). `redis-protocol`
//! decodes it. That decoder starts again at the first byte whenever it is called, and it
//! follows arrays inside arrays by recursion, as deep as a client likes. So it is shown a
//! request only when all of it is here, and when it is flat and within the limits below.

use redis_protocol::resp2::decode::decode;
use redis_protocol::resp2::types::OwnedFrame;

/// Bytes of the longest request.
pub const MAX_REQUEST: usize = 1 << 20;
/// Arguments of the longest request, the command's name included.
pub const MAX_ARGUMENTS: i64 = 1024;
/// Bytes of the longest line that announces a length, `\r\n` included.
const MAX_LINE: usize = 32;
/// An empty buffer that has grown beyond this many bytes is given back.
const KEEP: usize = 64 << 10;

/// The bytes of one connection, or of one log, cut into requests.
#[derive(Debug, Default)]
pub struct Requests {
    bytes: Vec<u8>,
    /// Where the first request begins that was not handed out yet.
    start: usize,
    /// How far that request has been looked at.
    at: usize,
    /// How many of its arguments lie beyond `at`; 0 if its first line does, too.
    missing: i64,
    /// How many bytes were dropped in front of `bytes`.
    dropped: u64,
}

/// Why no further request can be read: the text behind Redis' `-ERR Protocol error: `.
#[derive(Debug, PartialEq, Eq)]
pub struct Broken(pub String);

// ANCHOR: requests
impl Requests {
    /// Takes what was read.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.start);
        self.dropped += self.start as u64;
        self.at -= self.start;
        self.start = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// The next request's arguments, or `None` until more bytes are pushed.
    pub fn next_request(&mut self) -> Result<Option<Vec<Vec<u8>>>, Broken> {
        if !self.complete()? {
            return Ok(None);
        }
        let request = arguments(&self.bytes[self.start..self.at])?;
        self.start = self.at;
        self.give_back();
        Ok(Some(request))
    }
    // ANCHOR_END: requests

    /// How many bytes were handed out as requests so far.
    pub fn offset(&self) -> u64 {
        self.dropped + self.start as u64
    }

    /// The bytes that are not a whole request yet.
    pub fn unfinished(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    // ANCHOR: complete
    /// Moves `at` to the request's end if it is here. What was looked at once is not looked
    /// at again.
    fn complete(&mut self) -> Result<bool, Broken> {
        while self.missing == 0 {
            let Some((count, after)) = self.length(b'*', MAX_ARGUMENTS)? else {
                return Ok(false);
            };
            self.at = after;
            self.missing = count.max(0);
            if self.missing == 0 {
                self.start = after; // Redis passes over an empty request without a reply.
            }
        }
        while self.missing > 0 {
            let Some(end) = self.argument()? else { return Ok(false) };
            self.at = end;
            self.missing -= 1;
        }
        Ok(true)
    }
    // ANCHOR_END: complete

    /// Where the argument at `at` ends, if all of it is here. Its announced length is
    /// checked, never reserved.
    fn argument(&self) -> Result<Option<usize>, Broken> {
        let Some((length, data)) = self.length(b'$', MAX_REQUEST as i64)? else {
            return Ok(None);
        };
        let Ok(length) = usize::try_from(length) else {
            return Err(broken("invalid bulk length"));
        };
        let end = data + length + 2;
        if end - self.start > MAX_REQUEST {
            return Err(Broken(format!("a request is at most {MAX_REQUEST} bytes")));
        }
        match self.bytes.get(data + length..end) {
            None => Ok(None),
            Some(b"\r\n") => Ok(Some(end)),
            Some(_) => Err(broken("bulk string without its end of line")),
        }
    }

    /// The line at `at`, such as `*3\r\n`: its number, and where the next line begins.
    fn length(&self, kind: u8, limit: i64) -> Result<Option<(i64, usize)>, Broken> {
        let rest = &self.bytes[self.at..];
        let Some(&first) = rest.first() else { return Ok(None) };
        if first != kind {
            return Err(unexpected(kind, first));
        }
        let what =
            if kind == b'*' { "invalid multibulk length" } else { "invalid bulk length" };
        let line = &rest[1..rest.len().min(MAX_LINE)];
        let Some(end) = line.windows(2).position(|pair| pair == b"\r\n") else {
            return if rest.len() < MAX_LINE { Ok(None) } else { Err(broken(what)) };
        };
        let number =
            str::from_utf8(&line[..end]).ok().and_then(|text| text.parse::<i64>().ok());
        match number.filter(|number| *number <= limit) {
            Some(number) => Ok(Some((number, self.at + 1 + end + 2))),
            None => Err(broken(what)),
        }
    }

    /// One large request is no reason to hold its memory for as long as the connection
    /// lasts.
    fn give_back(&mut self) {
        if self.start == self.bytes.len() && self.bytes.capacity() > KEEP {
            self.bytes = Vec::new();
            self.dropped += self.start as u64;
            (self.start, self.at) = (0, 0);
        }
    }
}

fn broken(text: &str) -> Broken {
    Broken(text.into())
}

fn unexpected(kind: u8, first: u8) -> Broken {
    if kind == b'*' {
        return broken(
            "a request is an array of bulk strings; inline commands are not supported",
        );
    }
    // Redis replaces what would break the line.
    let shown = if first.is_ascii_graphic() { char::from(first) } else { ' ' };
    Broken(format!("expected '$', got '{shown}'"))
}

/// Decodes one whole request.
fn arguments(request: &[u8]) -> Result<Vec<Vec<u8>>, Broken> {
    let Ok(Some((OwnedFrame::Array(frames), _))) = decode(request) else {
        return Err(broken("not a request"));
    };
    let bulk = |frame| match frame {
        OwnedFrame::BulkString(bytes) => Ok(bytes),
        _ => Err(broken("not a bulk string")),
    };
    frames.into_iter().map(bulk).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(requests: &mut Requests) -> Result<Vec<Vec<Vec<u8>>>, Broken> {
        let mut found = Vec::new();
        while let Some(request) = requests.next_request()? {
            found.push(request);
        }
        Ok(found)
    }

    fn error_of(bytes: &[u8]) -> String {
        let mut requests = Requests::default();
        requests.push(bytes);
        all(&mut requests).map(|_| "no error".to_owned()).unwrap_or_else(|broken| broken.0)
    }

    #[test]
    fn every_cut_of_a_pipelined_stream_gives_the_same_requests() {
        let stream =
            b"*1\r\n$4\r\nPING\r\n*0\r\n*-1\r\n*3\r\n$5\r\nLPUSH\r\n$1\r\nk\r\n$4\r\na\r\nb\r\n*1\r\n$0\r\n\r\n";
        let mut whole = Requests::default();
        whole.push(stream);
        let expected = all(&mut whole).unwrap();
        assert_eq!(expected.len(), 3);
        assert_eq!(whole.offset(), stream.len() as u64);
        for first in 0..=stream.len() {
            for second in first..=stream.len() {
                let mut requests = Requests::default();
                let mut found = Vec::new();
                for part in [&stream[..first], &stream[first..second], &stream[second..]] {
                    requests.push(part);
                    found.extend(all(&mut requests).unwrap());
                }
                assert_eq!(found, expected, "cut at {first} and {second}");
                assert_eq!(requests.offset(), stream.len() as u64);
            }
        }
    }

    #[test]
    fn what_is_no_request_is_named() {
        for (bytes, text) in [
            (&b"PING\r\n"[..], "inline commands are not supported"),
            (b"GET / HTTP/1.1\r\n", "inline"),
            (b"\0", "inline"),
            (b"*x\r\n", "invalid multibulk length"),
            (b"*\r\n", "invalid multibulk length"),
            (b"*1000000000\r\n", "invalid multibulk length"),
            (b"*99999999999999999999\r\n", "invalid multibulk length"),
            (b"*1025\r\n", "invalid multibulk length"),
            (b"*11111111111111111111111111111111111111111", "invalid multibulk length"),
            (b"*1\r\n*1\r\n*1\r\n", "expected '$', got '*'"),
            (b"*1\r\n+OK\r\n", "expected '$', got '+'"),
            (b"*1\r\n\n", "expected '$', got ' '"),
            (b"*1\r\n$-1\r\n", "invalid bulk length"),
            (b"*1\r\n$x\r\n", "invalid bulk length"),
            (b"*1\r\n$99999999999\r\n", "invalid bulk length"),
            (b"*1\r\n$1048576\r\n", "at most 1048576 bytes"),
            (b"*1\r\n$4\r\nPINGxx", "without its end of line"),
        ] {
            let error = error_of(bytes);
            assert!(
                error.contains(text),
                "{:?} gave {error}",
                String::from_utf8_lossy(bytes)
            );
        }
    }

    #[test]
    fn the_longest_request_is_taken_and_its_memory_given_back() {
        let head = b"*1\r\n$1048560\r\n";
        let mut longest = head.to_vec();
        longest.resize(MAX_REQUEST - 2, b'x');
        longest.extend(b"\r\n");
        let mut requests = Requests::default();
        for part in longest.chunks(1000) {
            assert_eq!(requests.next_request(), Ok(None));
            requests.push(part);
        }
        assert_eq!(
            requests.next_request().unwrap().unwrap()[0].len(),
            MAX_REQUEST - head.len() - 2
        );
        assert_eq!(requests.bytes.capacity(), 0);
        assert_eq!(requests.offset(), MAX_REQUEST as u64);
        assert_eq!(
            error_of(b"*2\r\n$1\r\na\r\n$1048560\r\n"),
            "a request is at most 1048576 bytes"
        );
    }

    #[test]
    fn garbage_neither_panics_nor_loops() {
        let alphabet = b"*$+-:0123456789\r\n\r\nab\0\xff";
        let mut state = 1_u64;
        for _ in 0..20_000 {
            let mut bytes = b"*2\r\n$3\r\nGET\r\n".to_vec();
            for _ in 0..40 {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                bytes.push(alphabet[(state >> 33) as usize % alphabet.len()]);
            }
            let mut requests = Requests::default();
            requests.push(&bytes);
            let _ = all(&mut requests); // Either answer is right; that there is one is what is tested.
        }
    }
}
