//! What a server sent, taken apart strictly: a response that a careful client would refuse
//! is a failure of the server.

use memchr::memmem;

/// One response.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Minor version: 1 for HTTP/1.1.
    pub minor: u8,
    /// Header fields in their order.
    pub fields: Vec<(String, String)>,
    /// The content, out of its chunks.
    pub body: Vec<u8>,
    /// All of it has arrived.
    pub whole: bool,
}

impl Response {
    /// The value of a field; the name's case does not matter.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// Whether it announces that the connection ends after it.
    #[must_use]
    pub fn closes(&self) -> bool {
        let tokens = || self.field("Connection").unwrap_or("").split(',').map(str::trim);
        let has = |wanted: &str| tokens().any(|token| token.eq_ignore_ascii_case(wanted));
        has("close") || (self.minor == 0 && !has("keep-alive"))
    }

    /// An interim response, before the real one (RFC 9110 section 15.2).
    #[must_use]
    pub fn interim(&self) -> bool {
        (100..200).contains(&self.status)
    }
}

/// Takes apart everything that a server sent. `heads` says for each request in its order
/// whether it was a HEAD, whose response has no content; requests beyond its end were not.
pub fn responses(bytes: &[u8], heads: &[bool]) -> Result<Vec<Response>, String> {
    let mut found: Vec<Response> = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let request = found.iter().filter(|response| !response.interim()).count();
        let (response, used) = one(rest, heads.get(request).copied().unwrap_or(false))?;
        found.push(response);
        rest = &rest[used..];
    }
    Ok(found)
}

fn one(bytes: &[u8], to_head: bool) -> Result<(Response, usize), String> {
    let mut fields = [httparse::EMPTY_HEADER; 64];
    let mut parsed = httparse::Response::new(&mut fields);
    let at = match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(at)) => at,
        Ok(httparse::Status::Partial) => {
            return Err(format!("a head that ends halfway: {}", excerpt(bytes)));
        }
        Err(error) => return Err(format!("not a response ({error}): {}", excerpt(bytes))),
    };
    let mut response = Response {
        status: parsed.code.unwrap_or(0),
        minor: parsed.version.unwrap_or(0),
        fields: parsed
            .headers
            .iter()
            .map(|field| {
                (field.name.to_string(), String::from_utf8_lossy(field.value).into_owned())
            })
            .collect(),
        body: Vec::new(),
        whole: true,
    };
    // RFC 9112 section 6.3, in its order.
    if to_head || response.interim() || matches!(response.status, 204 | 304) {
        return Ok((response, at));
    }
    let rest = &bytes[at..];
    if let Some(coding) = response.field("Transfer-Encoding") {
        if !coding.eq_ignore_ascii_case("chunked") {
            return Err(format!("a transfer coding that nobody asked for: {coding}"));
        }
        let used = chunks(rest, &mut response)?;
        return Ok((response, at + used));
    }
    let Some(length) = response.field("Content-Length") else {
        response.body = rest.to_vec();
        return Ok((response, bytes.len()));
    };
    let length: usize = length.parse().map_err(|_| format!("Content-Length: {length}"))?;
    response.whole = rest.len() >= length;
    let taken = length.min(rest.len());
    response.body = rest[..taken].to_vec();
    Ok((response, at + taken))
}

/// Chunks and trailers (RFC 9112 section 7.1); returns how many bytes they took.
fn chunks(bytes: &[u8], response: &mut Response) -> Result<usize, String> {
    let mut at = 0;
    loop {
        let (skipped, size) = match httparse::parse_chunk_size(&bytes[at..]) {
            Ok(httparse::Status::Complete((skipped, size))) => (skipped, size as usize),
            Ok(httparse::Status::Partial) => {
                response.whole = false;
                return Ok(bytes.len());
            }
            Err(_) => return Err(format!("not a chunk: {}", excerpt(&bytes[at..]))),
        };
        at += skipped;
        let taken = size.min(bytes.len() - at);
        response.body.extend_from_slice(&bytes[at..at + taken]);
        at += taken;
        let end = &bytes[at..];
        if end.len() < 2 {
            response.whole = false;
            return Ok(bytes.len());
        }
        if !end.starts_with(b"\r\n") {
            return Err(format!("a chunk without its end, or trailers: {}", excerpt(end)));
        }
        at += 2;
        if size == 0 {
            return Ok(at);
        }
    }
}

/// Whether a text is somewhere in there.
#[must_use]
pub fn holds(bytes: &[u8], text: &str) -> bool {
    memmem::find(bytes, text.as_bytes()).is_some()
}

/// The beginning of something, printable.
#[must_use]
pub fn excerpt(bytes: &[u8]) -> String {
    let shown = &bytes[..bytes.len().min(120)];
    let dots = if bytes.len() > shown.len() { "…" } else { "" };
    format!("\"{}{dots}\"", shown.escape_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn responses_one_after_another() {
        let bytes = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc\
            HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n\
            HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nde\r\n1\r\nf\r\n0\r\n\r\n\
            HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\nConnection: close\r\n\r\ngh";
        let all = responses(bytes, &[false, true]).unwrap();
        let seen: Vec<(u16, &[u8], bool)> =
            all.iter().map(|r| (r.status, r.body.as_slice(), r.whole)).collect();
        assert_eq!(
            seen,
            [
                (100, b"".as_slice(), true),
                (200, b"abc", true),
                (200, b"", true),
                (200, b"def", true),
                (404, b"gh", false)
            ]
        );
        assert!(all[4].closes() && !all[3].closes());
    }

    #[test]
    fn what_follows_the_last_response_is_refused() {
        assert!(
            responses(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nleftover", &[])
                .is_err()
        );
        assert!(responses(b"HTTP/1.1 200", &[]).is_err());
        assert!(responses(b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", &[]).is_err());
    }
}
