//! A body as it arrives: so many bytes (Content-Length), or chunk after chunk (RFC 9112
//! section 7.1).

use crate::head::{Framing, MAX_HEAD};

/// Longest line that opens a chunk, its extensions included. RFC 9112 section 7.1.1 asks
/// for a limit and names none.
const MAX_CHUNK_LINE: usize = 256;

/// Collects a request's body, at most `limit` bytes of it.
#[derive(Debug)]
pub(crate) struct BodyReader {
    body: Vec<u8>,
    limit: usize,
    step: Step,
    /// A line of the chunked framing that has not ended yet.
    line: Vec<u8>,
    trailers: usize,
}

#[derive(Debug, Clone, Copy)]
enum Step {
    /// So many bytes of a body whose length was told.
    Length(u64),
    ChunkLine,
    ChunkData(u64),
    /// The CRLF after a chunk's data: `true` once its CR was seen.
    ChunkEnd(bool),
    Trailers,
    Done,
}

impl BodyReader {
    /// `Err(413)` if the length that was told is already too much.
    pub fn new(framing: Framing, limit: usize) -> Result<Self, u16> {
        let step = match framing {
            Framing::Length(length) if length > limit as u64 => return Err(413),
            Framing::Length(length) => Step::Length(length),
            Framing::Chunked => Step::ChunkLine,
            Framing::None => Step::Done,
        };
        Ok(Self { body: Vec::new(), limit, step, line: Vec::new(), trailers: 0 })
    }

    pub fn is_done(&self) -> bool {
        matches!(self.step, Step::Done)
    }

    pub fn into_body(self) -> Vec<u8> {
        self.body
    }

    /// Takes what belongs to the body and returns how much that was; `Err` is the status
    /// that refuses the request.
    pub fn take(&mut self, mut input: &[u8]) -> Result<usize, u16> {
        let all = input.len();
        while !input.is_empty() && !self.is_done() {
            let used = match self.step {
                Step::Length(left) => self.data(input, left, Step::Length)?,
                Step::ChunkData(left) => self.data(input, left, Step::ChunkData)?,
                Step::ChunkLine => self.line(input, MAX_CHUNK_LINE, Self::chunk_line)?,
                Step::Trailers => self.line(input, MAX_HEAD, Self::trailer)?,
                Step::ChunkEnd(false) if input[0] == b'\r' => {
                    self.step = Step::ChunkEnd(true);
                    1
                }
                Step::ChunkEnd(true) if input[0] == b'\n' => {
                    self.step = Step::ChunkLine;
                    1
                }
                Step::ChunkEnd(_) => return Err(400),
                Step::Done => 0,
            };
            input = &input[used..];
        }
        Ok(all - input.len())
    }

    fn data(
        &mut self,
        input: &[u8],
        left: u64,
        again: fn(u64) -> Step,
    ) -> Result<usize, u16> {
        let n = input.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        if self.body.len() + n > self.limit {
            return Err(413);
        }
        self.body.extend_from_slice(&input[..n]);
        self.step = match (left - n as u64, self.step) {
            (0, Step::Length(_)) => Step::Done,
            (0, _) => Step::ChunkEnd(false),
            (rest, _) => again(rest),
        };
        Ok(n)
    }

    /// Gathers a line up to its CRLF and hands it, without the CRLF, to `complete`.
    fn line(
        &mut self,
        input: &[u8],
        limit: usize,
        complete: fn(&mut Self, &[u8]) -> Result<(), u16>,
    ) -> Result<usize, u16> {
        let used = memchr::memchr(b'\n', input).map_or(input.len(), |at| at + 1);
        if self.line.len() + used > limit {
            return Err(400);
        }
        self.line.extend_from_slice(&input[..used]);
        if self.line.last() != Some(&b'\n') {
            return Ok(used);
        }
        let line = std::mem::take(&mut self.line);
        match line.strip_suffix(b"\r\n") {
            Some(line) if !line.contains(&b'\r') => complete(self, line)?,
            _ => return Err(400),
        }
        Ok(used)
    }

    /// `chunk-size [ chunk-ext ]`: hexadecimal digits, then nothing or `;` and what we are
    /// free to ignore.
    fn chunk_line(&mut self, line: &[u8]) -> Result<(), u16> {
        let (digits, extension) = match memchr::memchr(b';', line) {
            Some(at) => line.split_at(at),
            None => (line, &line[..0]),
        };
        let is_text = |&b: &u8| b == b'\t' || (b >= b' ' && b != 0x7f);
        if digits.is_empty()
            || digits.len() > 16
            || !digits.iter().all(u8::is_ascii_hexdigit)
            || !extension.iter().all(is_text)
        {
            return Err(400);
        }
        let size = digits.iter().fold(0_u64, |size, &d| {
            size << 4 | u64::from((d as char).to_digit(16).unwrap_or(0))
        });
        if size > (self.limit - self.body.len()) as u64 {
            return Err(413);
        }
        self.step = if size == 0 { Step::Trailers } else { Step::ChunkData(size) };
        Ok(())
    }

    /// Trailer fields are checked and dropped: nothing here has a use for them (RFC 9112
    /// section 7.1.2).
    fn trailer(&mut self, line: &[u8]) -> Result<(), u16> {
        if line.is_empty() {
            self.step = Step::Done;
            return Ok(());
        }
        self.trailers += line.len() + 2;
        let mut field = [httparse::EMPTY_HEADER; 1];
        let whole = [line, b"\r\n\r\n"].concat();
        match httparse::parse_headers(&whole, &mut field) {
            Ok(httparse::Status::Complete(_)) if self.trailers <= MAX_HEAD => Ok(()),
            _ => Err(400),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The body and what was left, reading `cut` bytes at first and the rest afterwards.
    fn chunked(bytes: &[u8], cut: usize) -> Result<(Vec<u8>, usize), u16> {
        let mut reader = BodyReader::new(Framing::Chunked, 100)?;
        let mut used = 0;
        for end in [cut, bytes.len()] {
            used += reader.take(&bytes[used..end.max(used)])?;
        }
        assert!(reader.is_done(), "not done after {:?}", String::from_utf8_lossy(bytes));
        Ok((reader.into_body(), bytes.len() - used))
    }

    #[test]
    fn chunks_are_joined_wherever_they_are_cut() {
        let bytes =
            b"3;name=value\r\nabc\r\n00a\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\nnext";
        for cut in 0..bytes.len() {
            assert_eq!(
                chunked(bytes, cut),
                Ok((b"abc0123456789".to_vec(), 4)),
                "cut at {cut}"
            );
        }
    }

    #[test]
    fn chunks_that_are_not_exactly_chunks_are_refused() {
        for wrong in [
            "+3\r\nabc\r\n0\r\n\r\n",
            "0x3\r\nabc\r\n0\r\n\r\n",
            " 3\r\nabc\r\n0\r\n\r\n",
            "3 \r\nabc\r\n0\r\n\r\n",
            "-3\r\nabc\r\n0\r\n\r\n",
            "\r\nabc\r\n0\r\n\r\n",
            "3\nabc\r\n0\r\n\r\n",
            "3\r\nabc\n0\r\n\r\n",
            "3\r\nabcd\r\n0\r\n\r\n",
            "3;a\rb\r\nabc\r\n0\r\n\r\n",
            "3;\0\r\nabc\r\n0\r\n\r\n",
            "10000000000000000\r\nabc\r\n0\r\n\r\n",
            "0\r\nTrailer : x\r\n\r\n",
            "0\r\n folded\r\n\r\n",
        ] {
            assert_eq!(chunked(wrong.as_bytes(), 0), Err(400), "{wrong:?}");
        }
        for long in ["ffffffffffffffff\r\n", "65\r\n"] {
            assert_eq!(chunked(long.as_bytes(), 0), Err(413), "{long:?}");
        }
        assert_eq!(chunked(format!("3;{}\r\n", "x".repeat(300)).as_bytes(), 0), Err(400));
    }

    #[test]
    fn a_told_length_is_believed_up_to_the_limit() {
        assert_eq!(BodyReader::new(Framing::Length(101), 100).map(|_| ()), Err(413));
        let mut reader = BodyReader::new(Framing::Length(3), 100).expect("short enough");
        assert_eq!(reader.take(b"ab"), Ok(2));
        assert_eq!(reader.take(b"cd"), Ok(1));
        assert!(reader.is_done());
        assert_eq!(reader.into_body(), b"abc");
    }
}
