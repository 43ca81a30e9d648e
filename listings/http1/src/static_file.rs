//! What HTTP asks of a file: its type, its validators, conditions on them, and ranges of
//! it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::{Body, Method, Request, Response};

/// What an opened path turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file: it can be sent.
    File,
    /// A folder.
    Folder,
    /// A FIFO, a device, a socket: never sent.
    Other,
}

/// What the driver learned about a file when it opened it (`fstat(2)`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meta {
    /// What it is.
    pub kind: Kind,
    /// Length in bytes.
    pub len: u64,
    /// Time of the last change to its content.
    pub modified: SystemTime,
}

impl Meta {
    /// Whole seconds: HTTP's dates have no finer unit.
    fn seconds(&self) -> u64 {
        self.since_epoch().as_secs()
    }

    fn since_epoch(&self) -> Duration {
        self.modified.duration_since(UNIX_EPOCH).unwrap_or_default()
    }

    /// A strong validator of time and length: a file that is written twice within the
    /// clock's tick at the same length keeps its tag, as it does in other servers that do
    /// not read the content.
    fn etag(&self) -> String {
        let nanoseconds = u64::try_from(self.since_epoch().as_nanos()).unwrap_or(u64::MAX);
        let mut tag = String::with_capacity(LONGEST_TAG);
        tag.push('"');
        push_hex(&mut tag, nanoseconds);
        tag.push('-');
        push_hex(&mut tag, self.len);
        tag.push('"');
        tag
    }
}

/// Two numbers of 64 bits, two quotes and a hyphen.
const LONGEST_TAG: usize = 16 + 16 + 3;

/// What `{number:x}` writes. Every response has two of them, and `format!` showed in a profile.
fn push_hex(text: &mut String, number: u64) {
    let digits = (64 - number.leading_zeros()).div_ceil(4).max(1);
    for place in (0..digits).rev() {
        let digit = (number >> (4 * place)) as usize & 0xf;
        text.push(char::from(b"0123456789abcdef"[digit]));
    }
}

/// The response to a GET or HEAD of a regular file: 200, 206, 304, 412 or 416.
///
/// Conditions are evaluated in the order of RFC 9110 section 13.2.2, the range last. Of
/// several ranges in one request none is served: the whole file is a correct answer, and a
/// response in parts is not worth its weight here.
pub fn static_file<F>(
    request: &Request,
    file: F,
    meta: &Meta,
    content_type: &'static str,
) -> Response<F> {
    let etag = meta.etag();
    let answer = |status, body| {
        Response::new(status, body)
            .field("ETag", &etag)
            .dated("Last-Modified", meta.modified)
            .field("Accept-Ranges", "bytes")
    };
    match precondition(request, meta, &etag) {
        Some(304) => return answer(304, Body::None),
        Some(status) => return Response::plain(status),
        None => {}
    }
    match range(request, meta, &etag) {
        Range::Whole => answer(200, Body::File { file, at: 0, len: meta.len })
            .field("Content-Type", content_type),
        Range::Part { first, last } => {
            answer(206, Body::File { file, at: first, len: last - first + 1 })
                .field("Content-Type", content_type)
                .field("Content-Range", format!("bytes {first}-{last}/{}", meta.len))
        }
        Range::Beyond => {
            Response::plain(416).field("Content-Range", format!("bytes */{}", meta.len))
        }
    }
}

/// The status that a condition asks for instead of the file, if one does.
fn precondition(request: &Request, meta: &Meta, etag: &str) -> Option<u16> {
    let after = |date: &Option<String>| {
        let date = date.as_deref().and_then(|text| httpdate::parse_http_date(text).ok())?;
        Some(meta.seconds() > date.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs())
    };
    match &request.if_match {
        Some(list) if !lists(list, etag, false) => return Some(412),
        None if after(&request.if_unmodified_since) == Some(true) => return Some(412),
        _ => {}
    }
    match &request.if_none_match {
        Some(list) => lists(list, etag, true).then_some(304),
        None => (after(&request.if_modified_since) == Some(false)).then_some(304),
    }
}

/// Whether a list of entity tags has ours. Weak comparison lets `W/` in front of a tag pass
/// (RFC 9110 section 8.8.3.2).
fn lists(list: &str, etag: &str, weak: bool) -> bool {
    let mut rest = list.trim();
    if rest == "*" {
        return true;
    }
    while let Some((before, after)) = rest.split_once('"') {
        // A comma inside the quotes belongs to the tag.
        let Some((tag, after)) = after.split_once('"') else { return false };
        let is_weak = before.trim_end().ends_with("W/");
        if etag.trim_matches('"') == tag && (weak || !is_weak) {
            return true;
        }
        rest = after;
    }
    false
}

#[derive(Debug, PartialEq, Eq)]
enum Range {
    Whole,
    Part { first: u64, last: u64 },
    Beyond,
}

/// Which part is asked for (RFC 9110 section 14.2). A range that cannot be read counts as
/// none.
fn range(request: &Request, meta: &Meta, etag: &str) -> Range {
    let unchanged = match request.if_range.as_deref() {
        None => true,
        Some(tag) if tag.starts_with('"') => tag == etag,
        Some(date) => httpdate::parse_http_date(date).is_ok_and(|date| {
            date.duration_since(UNIX_EPOCH)
                .is_ok_and(|since| since.as_secs() == meta.seconds())
        }),
    };
    let asked =
        request.range.as_deref().filter(|_| unchanged && request.method == Method::Get);
    let Some((first, last)) = asked
        .and_then(|text| text.split_once('='))
        .filter(|(unit, _)| unit.eq_ignore_ascii_case("bytes"))
        .and_then(|(_, spec)| spec.split_once('-'))
    else {
        return Range::Whole;
    };
    match (position(first), position(last), meta.len) {
        (None, None, _) | (Some(None), _, _) | (_, Some(None), _) => Range::Whole,
        (Some(Some(first)), Some(Some(last)), _) if last < first => Range::Whole,
        (None, Some(Some(0)), _) => Range::Beyond,
        // The last so many bytes of nothing are nothing, and all of it.
        (None, Some(Some(_)), 0) => Range::Whole,
        (_, _, 0) => Range::Beyond,
        (None, Some(Some(suffix)), len) => {
            Range::Part { first: len - suffix.min(len), last: len - 1 }
        }
        (Some(Some(first)), _, len) if first >= len => Range::Beyond,
        (Some(Some(first)), None, len) => Range::Part { first, last: len - 1 },
        (Some(Some(first)), Some(Some(last)), len) => {
            Range::Part { first, last: last.min(len - 1) }
        }
    }
}

/// A position in a range: absent, unreadable (`Some(None)`), or a number. One too large to
/// count is past every end.
fn position(text: &str) -> Option<Option<u64>> {
    match text {
        "" => None,
        _ if text.bytes().all(|b| b.is_ascii_digit()) => {
            Some(Some(text.parse().unwrap_or(u64::MAX)))
        }
        _ => Some(None),
    }
}

/// The type of a file by the ending of its name.
pub fn content_type(path: &str) -> &'static str {
    // What stands behind the last dot; one in the name of a folder leaves a slash in it.
    match path.rsplit_once('.').map_or("", |(_, ending)| ending) {
        "html" | "htm" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "json" | "map" => "application/json",
        "txt" | "md" | "rs" | "toml" => "text/plain; charset=utf-8",
        "xml" => "application/xml",
        "csv" => "text/csv; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "ico" => "image/x-icon",
        "woff" => "font/woff",
        "woff2" => "font/woff2",
        "ttf" => "font/ttf",
        "pdf" => "application/pdf",
        "wasm" => "application/wasm",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::head;

    const ETAG: &str = "\"de0b6b3a7640000-64\"";

    /// A file of 100 bytes, changed one billion seconds after the epoch.
    fn meta(len: u64) -> Meta {
        Meta {
            kind: Kind::File,
            len,
            modified: UNIX_EPOCH + Duration::from_secs(1_000_000_000),
        }
    }

    fn ask(fields: &str, len: u64) -> Response<()> {
        let head =
            head::parse(format!("GET /f HTTP/1.1\r\nHost: a\r\n{fields}\r\n").as_bytes())
                .expect(fields);
        static_file(&head.request, (), &meta(len), "text/plain")
    }

    #[test]
    fn conditions_come_before_the_file() {
        assert_eq!(meta(100).etag(), ETAG);
        for (fields, status) in [
            (String::new(), 200),
            (format!("If-None-Match: {ETAG}\r\n"), 304),
            (format!("If-None-Match: \"x\", W/{ETAG}\r\n"), 304),
            (format!("If-None-Match: \"x\"\r\nIf-None-Match: {ETAG}\r\n"), 304),
            ("If-None-Match: *\r\n".into(), 304),
            ("If-None-Match: \"a,*,b\"\r\n".into(), 200),
            ("If-Match: \"a,*,b\"\r\n".into(), 412),
            ("If-Match: *\r\n".into(), 200),
            ("If-None-Match: \"x\"\r\n".into(), 200),
            ("If-Modified-Since: Sun, 09 Sep 2001 01:46:40 GMT\r\n".into(), 304),
            ("If-Modified-Since: Sun, 09 Sep 2001 01:46:39 GMT\r\n".into(), 200),
            ("If-Modified-Since: yesterday\r\n".into(), 200),
            ("If-None-Match: \"x\"\r\nIf-Modified-Since: Sun, 09 Sep 2001 01:46:40 GMT\r\n".into(), 200),
            ("If-Match: \"x\"\r\n".into(), 412),
            (format!("If-Match: {ETAG}\r\n"), 200),
            (format!("If-Match: W/{ETAG}\r\n"), 412),
            ("If-Unmodified-Since: Sun, 09 Sep 2001 01:46:39 GMT\r\n".into(), 412),
            ("If-Unmodified-Since: Sun, 09 Sep 2001 01:46:40 GMT\r\n".into(), 200),
        ] {
            assert_eq!(ask(&fields, 100).status, status, "{fields}");
        }
    }

    #[test]
    fn a_file_comes_with_the_time_of_its_last_change() {
        let fields = ask("", 100).fields;
        let line = b"\r\nLast-Modified: Sun, 09 Sep 2001 01:46:40 GMT\r\n";
        assert!(fields.windows(line.len()).any(|part| part == line));
    }

    #[test]
    fn a_tag_is_written_as_the_standard_library_writes_numbers() {
        for shift in 0..64 {
            let (len, nanoseconds) = (u64::MAX >> shift, 0x1234_5678_9abc_def0 >> shift);
            let modified = UNIX_EPOCH + Duration::from_nanos(nanoseconds);
            let tag = Meta { modified, ..meta(len) }.etag();
            assert_eq!(tag, format!("\"{nanoseconds:x}-{len:x}\""));
        }
        assert_eq!(Meta { modified: UNIX_EPOCH, ..meta(0) }.etag(), "\"0-0\"");
    }

    #[test]
    fn ranges_are_cut_to_the_file() {
        for (range, len, answer) in [
            ("bytes=0-0", 100, (206, 0, 1)),
            ("bytes=10-", 100, (206, 10, 90)),
            ("bytes=90-200", 100, (206, 90, 10)),
            ("bytes=-10", 100, (206, 90, 10)),
            ("bytes=-1000", 100, (206, 0, 100)),
            ("bytes=100-", 100, (416, 0, 0)),
            ("bytes=99999999999999999999-", 100, (416, 0, 0)),
            ("bytes=-0", 100, (416, 0, 0)),
            ("bytes=0-", 0, (416, 0, 0)),
            ("bytes=-5", 0, (200, 0, 0)),
            ("Bytes=0-0", 100, (206, 0, 1)),
            ("bytes=5-1", 100, (200, 0, 100)),
            ("bytes=0-0,5-5", 100, (200, 0, 100)),
            ("bytes=a-", 100, (200, 0, 100)),
            ("bytes=-", 100, (200, 0, 100)),
            ("lines=0-1", 100, (200, 0, 100)),
            (&format!("bytes=0-0\r\nIf-Range: {ETAG}"), 100, (206, 0, 1)),
            ("bytes=0-0\r\nIf-Range: \"x\"", 100, (200, 0, 100)),
            (&format!("bytes=0-0\r\nIf-Range: W/{ETAG}"), 100, (200, 0, 100)),
            ("bytes=0-0\r\nIf-Range: Sun, 09 Sep 2001 01:46:40 GMT", 100, (206, 0, 1)),
            ("bytes=0-0\r\nIf-Range: Sun, 09 Sep 2001 01:46:41 GMT", 100, (200, 0, 100)),
        ] {
            let response = ask(&format!("Range: {range}\r\n"), len);
            let (at, sent) = match response.body {
                Body::File { at, len, .. } => (at, len),
                _ => (0, 0),
            };
            assert_eq!((response.status, at, sent), answer, "{range} of {len}");
        }
    }
}
