//! The cases of row 1: heads, and what RFC 9110 and RFC 9112 demand of them.
//!
//! Where the RFCs leave a choice, the case lists it; where they let a recipient either
//! refuse or repair, most cases ask for the refusal, since a repaired request may be
//! another request than the one that a proxy in front of us saw.

use crate::root::{INDEX, SMALL, SUB_INDEX};

/// What must come of a head.
#[derive(Clone, Copy, Debug)]
pub enum Want {
    /// The request is well-formed: a response with one of these statuses; the connection is
    /// usable afterwards, unless somebody said that it closes.
    Answer(&'static [u16]),
    /// The request is malformed: one of these statuses, then the connection closes and
    /// nothing else is answered.
    Refuse(&'static [u16]),
    /// The RFC leaves it to the server: served with this status, or refused as malformed.
    Either(u16),
}
pub use Want::{Answer, Either, Refuse};

/// What must also be true of the response.
#[derive(Clone, Copy, Debug)]
pub enum Also {
    /// The content is this.
    Body(&'static str),
    /// There is no content.
    Empty,
    /// A field is there and contains this.
    Field(&'static str, &'static str),
    /// A field is not there.
    Without(&'static str),
    /// A status 405 names the allowed methods (RFC 9110 section 15.5.6).
    AllowIf405,
    /// The connection ends.
    Closes,
}
pub use Also::{AllowIf405, Body, Closes, Empty, Field, Without};

pub struct Case {
    pub name: &'static str,
    /// The whole request. `{etag}`, `{date}`, `{rfc850}` and `{asctime}` stand for the
    /// validators of `/small.txt`.
    pub send: &'static [u8],
    pub want: Want,
    pub also: &'static [Also],
}

/// Cases that rest on one section of an RFC.
pub struct Group {
    pub source: &'static str,
    pub cases: &'static [Case],
}

const fn case(
    name: &'static str,
    send: &'static [u8],
    want: Want,
    also: &'static [Also],
) -> Case {
    Case { name, send, want, also }
}

#[rustfmt::skip]
pub static TABLE: &[Group] = &[
    Group { source: "RFC 9110 section 9, methods", cases: &[
        case("GET", b"GET /small.txt HTTP/1.1\r\nHost: a\r\n\r\n", Answer(&[200]), &[Body(SMALL), Field("Content-Type", "text/plain"), Field("Content-Length", "28"), Field("Date", " GMT")]),
        case("HEAD has the fields of GET and no content", b"HEAD /small.txt HTTP/1.1\r\nHost: a\r\n\r\n", Answer(&[200]), &[Empty, Field("Content-Length", "28"), Field("Content-Type", "text/plain")]),
        case("HEAD of what is not there", b"HEAD /missing HTTP/1.1\r\nHost: a\r\n\r\n", Answer(&[404]), &[Empty]),
        case("HEAD without Host", b"HEAD /small.txt HTTP/1.1\r\n\r\n", Refuse(&[400]), &[Empty]),
        case("HEAD of a target without its slash", b"HEAD small.txt HTTP/1.1\r\nHost: a\r\n\r\n", Answer(&[400, 404]), &[Empty]),
        case("HEAD of the guestbook", b"HEAD /guestbook HTTP/1.1\r\nHost: a\r\n\r\n", Answer(&[200]), &[Empty, Field("Content-Type", "text/html")]),
        case("GET of the guestbook", b"GET /guestbook HTTP/1.1\r\nHost: a\r\n\r\n", Answer(&[200]), &[Field("Content-Type", "text/html")]),
        case("POST to a file", b"POST /small.txt HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", Answer(&[405]), &[Field("Allow", "GET")]),
        case("PUT", b"PUT /small.txt HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx", Answer(&[405, 501]), &[AllowIf405]),
        case("DELETE", b"DELETE /small.txt HTTP/1.1\r\nHost: a\r\n\r\n", Answer(&[405, 501]), &[AllowIf405]),
        case("DELETE of the guestbook", b"DELETE /guestbook HTTP/1.1\r\nHost: a\r\n\r\n", Answer(&[405, 501]), &[AllowIf405]),
        case("PATCH", b"PATCH /small.txt HTTP/1.1\r\nHost: a\r\n\r\n", Answer(&[405, 501]), &[AllowIf405]),
        case("TRACE", b"TRACE /small.txt HTTP/1.1\r\nHost: a\r\n\r\n", Answer(&[405, 501]), &[AllowIf405]),
        case("OPTIONS", b"OPTIONS /small.txt HTTP/1.1\r\nHost: a\r\n\r\n", Answer(&[200, 204, 405, 501]), &[AllowIf405]),
        case("an unknown method", b"BREW /small.txt HTTP/1.1\r\nHost: a\r\n\r\n", Answer(&[405, 501]), &[AllowIf405]),
        case("a method in lower case is another method", b"get /small.txt HTTP/1.1\r\nHost: a\r\n\r\n", Answer(&[400, 405, 501]), &[AllowIf405]),
        case("a method that starts like one", b"GETS /small.txt HTTP/1.1\r\nHost: a\r\n\r\n", Answer(&[405, 501]), &[AllowIf405]),
        case("a method of every character that a token may have", b"!#$%&'*+-.^_`|~09aZ /small.txt HTTP/1.1\r\nHost: a\r\n\r\n", Answer(&[405, 501]), &[AllowIf405]),
        case("a method of 200 characters", b"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA /small.txt HTTP/1.1\r\nHost: a\r\n\r\n", Answer(&[400, 405, 501]), &[AllowIf405]),
        case("a method that is no token", b"G@T /small.txt HTTP/1.1\r\nHost: a\r\n\r\n", Refuse(&[400, 501]), &[]),
        case("a method with a delimiter", b"GE(T /small.txt HTTP/1.1\r\nHost: a\r\n\r\n", Refuse(&[400, 501]), &[]),
        case("a method with a control character", b"G\x01T /small.txt HTTP/1.1\r\nHost: a\r\n\r\n", Refuse(&[400, 501]), &[]),
        case("no method", b" /small.txt HTTP/1.1\r\nHost: a\r\n\r\n", Refuse(&[400, 501]), &[]),
    ]},
    Group { source: "RFC 9112 section 3, request line", cases: &[
        case("no target", b"GET HTTP/1.1\r\nHost: a\r\n\r\n", Refuse(&[400]), &[]),
        case("no version", b"GET /small.txt\r\nHost: a\r\n\r\n", Refuse(&[400, 505]), &[]),
        case("method alone", b"GET\r\nHost: a\r\n\r\n", Refuse(&[400]), &[]),
        case("a fourth word", b"GET /small.txt HTTP/1.1 x\r\nHost: a\r\n\r\n", Refuse(&[400, 505]), &[]),
        case("white space in the target", b"GET /with space.txt HTTP/1.1\r\nHost: a\r\n\r\n", Refuse(&[400, 505]), &[]),
        case("two spaces after the method", b"GET  /small.txt HTTP/1.1\r\nHost: a\r\n\r\n", Either(200), &[]),
        case("two spaces after the target", b"GET /small.txt  HTTP/1.1\r\nHost: a\r\n\r\n", Either(200), &[]),
        case("a tab for a space", b"GET\t/small.txt HTTP/1.1\r\nHost: a\r\n\r\n", Either(200), &[]),
        case("a space after the version", b"GET /small.txt HTTP/1.1 \r\nHost: a\r\n\r\n", Either(200), &[]),
        case("a space before the method", b" GET /small.txt HTTP/1.1\r\nHost: a\r\n\r\n", Either(200), &[]),
        case("a control character in the target", b"GET /small\x01.txt HTTP/1.1\r\nHost: a\r\n\r\n", Refuse(&[400]), &[]),
        case("a NUL in the target", b"GET /small.txt\0 HTTP/1.1\r\nHost: a\r\n\r\n", Refuse(&[400]), &[]),
        case("a CR in the target", b"GET /small.txt\rx HTTP/1.1\r\nHost: a\r\n\r\n", Refuse(&[400]), &[]),
        case("a byte above ASCII in the target", b"GET /small.txt\xff HTTP/1.1\r\nHost: a\r\n\r\n", Answer(&[400, 404]), &[]),
        case("a TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", Refuse(&[400]), &[]),
        case("the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Refuse(&[400, 501, 505]), &[]),
    ]},
    Group { source: "RFC 9112 section 2.2, empty lines and line ends", cases: &[
        case("an empty line before the request", b"\r\nGET /small.txt HTTP/1.1\r\nHost: a\r\n\r\n", Answer(&[200]), &[Body(SMALL)]),
        case("white space between request line and fields", b"GET /small.txt HTTP/1.1\r\n Host: a\r\nHost: a\r\n\r\n", Either(200), &[]),
        case("a bare LF after the request line", b"GET /small.txt HTTP/1.1\nHost: a\r\n\r\n", Either(200), &[]),
        case("a bare LF after a field", b"GET /small.txt HTTP/1.1\r\nHost: a\n\r\n", Either(200), &[]),
        case("a bare CR after the request line", b"GET /small.txt HTTP/1.1\rHost: a\r\n\r\n", Refuse(&[400, 505]), &[]),
        case("a bare CR after a field", b"GET /small.txt HTTP/1.1\r\nHost: a\rX: y\r\n\r\n", Refuse(&[400]), &[]),
    ]},
    Group { source: "RFC 9112 section 3.2, forms of the target", cases: &[
        case("absolute form", b"GET http://a/small.txt HTTP/1.1\r\nHost: a\r\n\r\n", Answer(&[200]), &[Body(SMALL)]),
        case("absolute form overrides Host", b"GET http://b:81/small.txt HTTP/1.1\r\nHost: a\r\n\r\n", Answer(&[200]), &[Body(SMALL)]),
        case("absolute form, scheme in upper case", b"GET HTTP://a/small.txt HTTP/1.1\r\nHost: a\r\n\r\n", Answer(&[200]), &[Body(SMALL)]),
        case("absolute form without a path", b"GET http://a HTTP/1.1\r\nHost: a\r\n\r\n", Answer(&[200]), &[Body(INDEX)]),
        case("absolute form without a host", b"GET http:///small.txt HTTP/1.1\r\nHost: a\r\n\r\n", Answer(&[400, 404]), &[]),
        case("absolute form still needs Host", b"GET http://a/small.txt HTTP/1.1\r\n\r\n", Refuse(&[400]), &[]),
        case("asterisk form", b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", Answer(&[200, 204, 400, 405, 501]), &[AllowIf405]),
        case("asterisk form is for OPTIONS", b"GET * HTTP/1.1\r\nHost: a\r\n\r\n", Answer(&[400, 404]), &[]),
        case("authority form is for CONNECT", b"GET a:80 HTTP/1.1\r\nHost: a\r\n\r\n", Answer(&[400, 404]), &[]),
        case("CONNECT", b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", Answer(&[400, 405, 501]), &[AllowIf405]),
        case("a target without its slash", b"GET small.txt HTTP/1.1\r\nHost: a\r\n\r\n", Answer(&[400, 404]), &[]),
        case("a query", b"GET /small.txt?a=b&c=%0d%0a HTTP/1.1\r\nHost: a\r\n\r\n", Answer(&[200]), &[Body(SMALL)]),
        case("an empty query", b"GET /small.txt? HTTP/1.1\r\nHost: a\r\n\r\n", Answer(&[200]), &[Body(SMALL)]),
        case("a fragment is no part of a target", b"GET /small.txt#x HTTP/1.1\r\nHost: a\r\n\r\n", Answer(&[200, 400, 404]), &[]),
    ]},
    Group { source: "RFC 9110 section 2.5, versions", cases: &[
        case("1.0 closes", b"GET /small.txt HTTP/1.0\r\nHost: a\r\n\r\n", Answer(&[200]), &[Body(SMALL), Closes]),
        case("1.0 needs no Host", b"GET /small.txt HTTP/1.0\r\n\r\n", Answer(&[200]), &[Body(SMALL), Closes]),
        case("1.0 with keep-alive", b"GET /small.txt HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n", Answer(&[200]), &[Body(SMALL)]),
        case("2.0", b"GET /small.txt HTTP/2.0\r\nHost: a\r\n\r\n", Refuse(&[505]), &[]),
        case("0.9", b"GET /small.txt HTTP/0.9\r\nHost: a\r\n\r\n", Refuse(&[400, 505]), &[]),
        case("9.9", b"GET /small.txt HTTP/9.9\r\nHost: a\r\n\r\n", Refuse(&[505]), &[]),
        case("1.2 is 1.1, or refused", b"GET /small.txt HTTP/1.2\r\nHost: a\r\n\r\n", Either(200), &[]),
        case("in lower case", b"GET /small.txt http/1.1\r\nHost: a\r\n\r\n", Refuse(&[400, 505]), &[]),
        case("two digits", b"GET /small.txt HTTP/1.10\r\nHost: a\r\n\r\n", Refuse(&[400, 505]), &[]),
        case("a leading zero", b"GET /small.txt HTTP/01.1\r\nHost: a\r\n\r\n", Refuse(&[400, 505]), &[]),
        case("no minor version", b"GET /small.txt HTTP/1\r\nHost: a\r\n\r\n", Refuse(&[400, 505]), &[]),
        case("a comma", b"GET /small.txt HTTP/1,1\r\nHost: a\r\n\r\n", Refuse(&[400, 505]), &[]),
        case("another protocol", b"GET /small.txt HTCPCP/1.1\r\nHost: a\r\n\r\n", Refuse(&[400, 505]), &[]),
    ]},
    Group { source: "RFC 9112 section 3.2, Host", cases: &[
        case("Host is missing", b"GET /small.txt HTTP/1.1\r\n\r\n", Refuse(&[400]), &[]),
        case("Host twice", b"GET /small.txt HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", Refuse(&[400]), &[]),
        case("Host twice, the same", b"GET /small.txt HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", Refuse(&[400]), &[]),
        case("Host twice in 1.0", b"GET /small.txt HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", Refuse(&[400]), &[]),
        case("an empty Host", b"GET /small.txt HTTP/1.1\r\nHost:\r\n\r\n", Either(200), &[]),
        case("Host with a port", b"GET /small.txt HTTP/1.1\r\nHost: a:8080\r\n\r\n", Answer(&[200]), &[Body(SMALL)]),
        case("Host with an IPv6 address", b"GET /small.txt HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n", Answer(&[200]), &[Body(SMALL)]),
        case("HOST in another case", b"GET /small.txt HTTP/1.1\r\nhOsT: a\r\n\r\n", Answer(&[200]), &[Body(SMALL)]),
        case("Host with a space", b"GET /small.txt HTTP/1.1\r\nHost: a b\r\n\r\n", Refuse(&[400]), &[]),
        case("Host with a path", b"GET /small.txt HTTP/1.1\r\nHost: a/b\r\n\r\n", Refuse(&[400]), &[]),
        case("Host with a user", b"GET /small.txt HTTP/1.1\r\nHost: u@a\r\n\r\n", Refuse(&[400]), &[]),
        case("Host with a control character", b"GET /small.txt HTTP/1.1\r\nHost: a\x01\r\n\r\n", Refuse(&[400]), &[]),
    ]},
    Group { source: "RFC 9112 section 5, field lines", cases: &[
        case("a space before the colon", b"GET /small.txt HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n", Refuse(&[400]), &[]),
        case("a tab before the colon", b"GET /small.txt HTTP/1.1\r\nHost: a\r\nX\t: y\r\n\r\n", Refuse(&[400]), &[]),
        case("a folded line", b"GET /small.txt HTTP/1.1\r\nHost: a\r\nX: y\r\n z\r\n\r\n", Refuse(&[400]), &[]),
        case("a line folded with a tab", b"GET /small.txt HTTP/1.1\r\nHost: a\r\nX: y\r\n\tz\r\n\r\n", Refuse(&[400]), &[]),
        case("a folded line that is empty", b"GET /small.txt HTTP/1.1\r\nHost: a\r\nX: y\r\n \r\n\r\n", Refuse(&[400]), &[]),
        case("no colon", b"GET /small.txt HTTP/1.1\r\nHost: a\r\nX\r\n\r\n", Refuse(&[400]), &[]),
        case("no name", b"GET /small.txt HTTP/1.1\r\nHost: a\r\n: y\r\n\r\n", Refuse(&[400]), &[]),
        case("a name with a space", b"GET /small.txt HTTP/1.1\r\nHost: a\r\nX Y: z\r\n\r\n", Refuse(&[400]), &[]),
        case("a name with a parenthesis", b"GET /small.txt HTTP/1.1\r\nHost: a\r\nX(Y): z\r\n\r\n", Refuse(&[400]), &[]),
        case("a name with an at sign", b"GET /small.txt HTTP/1.1\r\nHost: a\r\nX@Y: z\r\n\r\n", Refuse(&[400]), &[]),
        case("a name with a NUL", b"GET /small.txt HTTP/1.1\r\nHost: a\r\nX\0: z\r\n\r\n", Refuse(&[400]), &[]),
        case("a name with a byte above ASCII", b"GET /small.txt HTTP/1.1\r\nHost: a\r\nX\x80: z\r\n\r\n", Refuse(&[400]), &[]),
        case("a name of every character that a token may have", b"GET /small.txt HTTP/1.1\r\nHost: a\r\n!#$%&'*+-.^_`|~09aZ: y\r\n\r\n", Answer(&[200]), &[Body(SMALL)]),
        case("no white space after the colon", b"GET /small.txt HTTP/1.1\r\nHost:a\r\n\r\n", Answer(&[200]), &[Body(SMALL)]),
        case("much white space around the value", b"GET /small.txt HTTP/1.1\r\nHost: \t a \t \r\n\r\n", Answer(&[200]), &[Body(SMALL)]),
        case("an empty value", b"GET /small.txt HTTP/1.1\r\nHost: a\r\nX:\r\n\r\n", Answer(&[200]), &[Body(SMALL)]),
        case("the same field twice", b"GET /small.txt HTTP/1.1\r\nHost: a\r\nX: y\r\nX: z\r\n\r\n", Answer(&[200]), &[Body(SMALL)]),
        case("50 fields", b"GET /small.txt HTTP/1.1\r\nHost: a\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\n\r\n", Answer(&[200]), &[Body(SMALL)]),
    ]},
    Group { source: "RFC 9110 section 5.5, field values", cases: &[
        case("a NUL", b"GET /small.txt HTTP/1.1\r\nHost: a\r\nX: y\0z\r\n\r\n", Refuse(&[400]), &[]),
        case("a bare CR", b"GET /small.txt HTTP/1.1\r\nHost: a\r\nX: y\rz\r\n\r\n", Refuse(&[400]), &[]),
        case("another control character", b"GET /small.txt HTTP/1.1\r\nHost: a\r\nX: y\x01z\r\n\r\n", Either(200), &[]),
        case("a DEL", b"GET /small.txt HTTP/1.1\r\nHost: a\r\nX: y\x7fz\r\n\r\n", Either(200), &[]),
        case("a tab inside", b"GET /small.txt HTTP/1.1\r\nHost: a\r\nX: y\tz\r\n\r\n", Answer(&[200]), &[Body(SMALL)]),
        case("bytes above ASCII", b"GET /small.txt HTTP/1.1\r\nHost: a\r\nX: \xff\x80\r\n\r\n", Answer(&[200]), &[Body(SMALL)]),
    ]},
    Group { source: "RFC 9112 section 9, connections", cases: &[
        case("close", b"GET /small.txt HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", Answer(&[200]), &[Body(SMALL), Closes]),
        case("Close in another case", b"GET /small.txt HTTP/1.1\r\nHost: a\r\nConnection: Close\r\n\r\n", Answer(&[200]), &[Body(SMALL), Closes]),
        case("close in a list", b"GET /small.txt HTTP/1.1\r\nHost: a\r\nConnection: x, close\r\n\r\n", Answer(&[200]), &[Body(SMALL), Closes]),
        case("close beats keep-alive", b"GET /small.txt HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, close\r\n\r\n", Answer(&[200]), &[Body(SMALL), Closes]),
        case("an upgrade that we do not know is ignored", b"GET /small.txt HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n", Answer(&[200]), &[Body(SMALL)]),
    ]},
    Group { source: "RFC 9112 sections 6 and 7, content", cases: &[
        case("a form by its length", b"POST /guestbook HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 8\r\n\r\nremark=x", Answer(&[303]), &[Field("Location", "/guestbook")]),
        case("a form in chunks", b"POST /guestbook HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nrem\r\n5\r\nark=x\r\n0\r\n\r\n", Answer(&[303]), &[]),
        case("Chunked in another case", b"POST /guestbook HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: Chunked\r\n\r\n8\r\nremark=x\r\n0\r\n\r\n", Answer(&[303]), &[]),
        case("a chunk's size with zeros and in capitals", b"POST /guestbook HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n\r\n000A\r\nremark=xyz\r\n0\r\n\r\n", Answer(&[303]), &[]),
        case("a chunk extension", b"POST /guestbook HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n\r\n8;a=b;c=\"d\"\r\nremark=x\r\n0\r\n\r\n", Answer(&[303]), &[]),
        case("a trailer", b"POST /guestbook HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nremark=x\r\n0\r\nX: y\r\n\r\n", Answer(&[303]), &[]),
        case("a form without a length", b"POST /guestbook HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\n", Answer(&[303, 400, 411, 422]), &[]),
        case("content that is no form", b"POST /guestbook HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}", Answer(&[400, 415, 422]), &[]),
        case("a GET with content", b"GET /small.txt HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", Answer(&[200]), &[Body(SMALL)]),
        case("a length of 0", b"GET /small.txt HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", Answer(&[200]), &[Body(SMALL)]),
        case("a transfer coding that we do not know", b"POST /guestbook HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", Refuse(&[400, 501]), &[]),
        case("a transfer coding before chunked", b"POST /guestbook HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", Refuse(&[400, 501]), &[]),
        case("a transfer coding in 1.0 is faulty framing", b"GET /small.txt HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Answer(&[200, 400, 501]), &[Closes]),
        case("a length that is no number", b"GET /small.txt HTTP/1.1\r\nHost: a\r\nContent-Length: five\r\n\r\n", Refuse(&[400]), &[]),
    ]},
    Group { source: "RFC 3986 section 2.1 and RFC 9110 section 4.2.3, percent-encoding", cases: &[
        case("a letter", b"GET /%73mall.txt HTTP/1.1\r\nHost: a\r\n\r\n", Answer(&[200]), &[Body(SMALL)]),
        case("a dot, digits in either case", b"GET /small%2Etx%74 HTTP/1.1\r\nHost: a\r\n\r\n", Answer(&[200]), &[Body(SMALL)]),
        case("a space", b"GET /with%20space.txt HTTP/1.1\r\nHost: a\r\n\r\n", Answer(&[200]), &[Body("A name with a space.\n")]),
        case("UTF-8", b"GET /%C3%A9.txt HTTP/1.1\r\nHost: a\r\n\r\n", Answer(&[200]), &[Body("A name outside ASCII.\n")]),
        case("a plus is a plus", b"GET /a+b.txt HTTP/1.1\r\nHost: a\r\n\r\n", Answer(&[200]), &[Body("A name with a plus.\n")]),
        case("no digits", b"GET /small.txt%zz HTTP/1.1\r\nHost: a\r\n\r\n", Answer(&[400, 404]), &[]),
        case("half of one", b"GET /small.txt%2 HTTP/1.1\r\nHost: a\r\n\r\n", Answer(&[400, 404]), &[]),
        case("a percent sign alone", b"GET /% HTTP/1.1\r\nHost: a\r\n\r\n", Answer(&[400, 404]), &[]),
        case("a NUL", b"GET /small.txt%00 HTTP/1.1\r\nHost: a\r\n\r\n", Answer(&[400, 404]), &[]),
        case("decoded once", b"GET /%2573mall.txt HTTP/1.1\r\nHost: a\r\n\r\n", Answer(&[400, 404]), &[]),
    ]},
    Group { source: "the contract of our servers, files and folders", cases: &[
        case("the root's page", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", Answer(&[200]), &[Body(INDEX), Field("Content-Type", "text/html")]),
        case("a folder's page", b"GET /sub/ HTTP/1.1\r\nHost: a\r\n\r\n", Answer(&[200]), &[Body(SUB_INDEX)]),
        case("a folder without its slash", b"GET /sub HTTP/1.1\r\nHost: a\r\n\r\n", Answer(&[200, 301, 302, 307, 308]), &[]),
        case("a folder without a page", b"GET /empty/ HTTP/1.1\r\nHost: a\r\n\r\n", Answer(&[403, 404]), &[]),
        case("a file with a slash", b"GET /small.txt/ HTTP/1.1\r\nHost: a\r\n\r\n", Answer(&[403, 404]), &[]),
        case("an empty file", b"GET /zero.txt HTTP/1.1\r\nHost: a\r\n\r\n", Answer(&[200]), &[Empty, Field("Content-Length", "0")]),
        case("nothing", b"GET /missing HTTP/1.1\r\nHost: a\r\n\r\n", Answer(&[404]), &[]),
        case("a target of 7,000 bytes", LONG_TARGET, Answer(&[404, 414]), &[]),
    ]},
    Group { source: "RFC 9110 section 13, conditional requests", cases: &[
        case("If-None-Match", b"GET /small.txt HTTP/1.1\r\nHost: a\r\nIf-None-Match: {etag}\r\n\r\n", Answer(&[304]), &[Empty, Field("ETag", "\"")]),
        case("If-None-Match, weakly", b"GET /small.txt HTTP/1.1\r\nHost: a\r\nIf-None-Match: W/{etag}\r\n\r\n", Answer(&[304]), &[Empty]),
        case("If-None-Match in a list", b"GET /small.txt HTTP/1.1\r\nHost: a\r\nIf-None-Match: \"x, y\", {etag}\r\n\r\n", Answer(&[304]), &[Empty]),
        case("If-None-Match in two lines", b"GET /small.txt HTTP/1.1\r\nHost: a\r\nIf-None-Match: \"x\"\r\nIf-None-Match: {etag}\r\n\r\n", Answer(&[304]), &[Empty]),
        case("If-None-Match: *", b"GET /small.txt HTTP/1.1\r\nHost: a\r\nIf-None-Match: *\r\n\r\n", Answer(&[304]), &[Empty]),
        case("If-None-Match with another tag", b"GET /small.txt HTTP/1.1\r\nHost: a\r\nIf-None-Match: \"x\"\r\n\r\n", Answer(&[200]), &[Body(SMALL)]),
        case("If-None-Match of a HEAD", b"HEAD /small.txt HTTP/1.1\r\nHost: a\r\nIf-None-Match: {etag}\r\n\r\n", Answer(&[304]), &[Empty]),
        case("If-None-Match beats If-Modified-Since", b"GET /small.txt HTTP/1.1\r\nHost: a\r\nIf-None-Match: \"x\"\r\nIf-Modified-Since: {date}\r\n\r\n", Answer(&[200]), &[Body(SMALL)]),
        case("If-Modified-Since", b"GET /small.txt HTTP/1.1\r\nHost: a\r\nIf-Modified-Since: {date}\r\n\r\n", Answer(&[304]), &[Empty]),
        case("If-Modified-Since in the form of RFC 850", b"GET /small.txt HTTP/1.1\r\nHost: a\r\nIf-Modified-Since: {rfc850}\r\n\r\n", Answer(&[304]), &[Empty]),
        case("If-Modified-Since in the form of asctime", b"GET /small.txt HTTP/1.1\r\nHost: a\r\nIf-Modified-Since: {asctime}\r\n\r\n", Answer(&[304]), &[Empty]),
        case("If-Modified-Since, long ago", b"GET /small.txt HTTP/1.1\r\nHost: a\r\nIf-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n", Answer(&[200]), &[Body(SMALL)]),
        case("If-Modified-Since that is no date", b"GET /small.txt HTTP/1.1\r\nHost: a\r\nIf-Modified-Since: yesterday\r\n\r\n", Answer(&[200]), &[Body(SMALL)]),
        case("If-Match", b"GET /small.txt HTTP/1.1\r\nHost: a\r\nIf-Match: {etag}\r\n\r\n", Answer(&[200]), &[Body(SMALL)]),
        case("If-Match: *", b"GET /small.txt HTTP/1.1\r\nHost: a\r\nIf-Match: *\r\n\r\n", Answer(&[200]), &[Body(SMALL)]),
        case("If-Match with another tag", b"GET /small.txt HTTP/1.1\r\nHost: a\r\nIf-Match: \"x\"\r\n\r\n", Answer(&[412]), &[]),
        case("If-Unmodified-Since", b"GET /small.txt HTTP/1.1\r\nHost: a\r\nIf-Unmodified-Since: {date}\r\n\r\n", Answer(&[200]), &[Body(SMALL)]),
        case("If-Unmodified-Since, long ago", b"GET /small.txt HTTP/1.1\r\nHost: a\r\nIf-Unmodified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n", Answer(&[412]), &[]),
    ]},
    Group { source: "RFC 9110 section 14, ranges", cases: &[
        case("from and to", b"GET /small.txt HTTP/1.1\r\nHost: a\r\nRange: bytes=2-6\r\n\r\n", Answer(&[206]), &[Body("small"), Field("Content-Range", "bytes 2-6/28"), Field("Content-Length", "5")]),
        case("the unit in another case", b"GET /small.txt HTTP/1.1\r\nHost: a\r\nRange: BYTES=2-6\r\n\r\n", Answer(&[206, 200]), &[]),
        case("from", b"GET /small.txt HTTP/1.1\r\nHost: a\r\nRange: bytes=21-\r\n\r\n", Answer(&[206]), &[Body("whole.\n"), Field("Content-Range", "bytes 21-27/28")]),
        case("the last ones", b"GET /small.txt HTTP/1.1\r\nHost: a\r\nRange: bytes=-7\r\n\r\n", Answer(&[206]), &[Body("whole.\n"), Field("Content-Range", "bytes 21-27/28")]),
        case("more than there are", b"GET /small.txt HTTP/1.1\r\nHost: a\r\nRange: bytes=-99\r\n\r\n", Answer(&[206, 200]), &[Body(SMALL)]),
        case("beyond the end", b"GET /small.txt HTTP/1.1\r\nHost: a\r\nRange: bytes=21-999\r\n\r\n", Answer(&[206]), &[Body("whole.\n")]),
        case("one byte", b"GET /small.txt HTTP/1.1\r\nHost: a\r\nRange: bytes=0-0\r\n\r\n", Answer(&[206]), &[Body("A")]),
        case("from beyond the end", b"GET /small.txt HTTP/1.1\r\nHost: a\r\nRange: bytes=28-\r\n\r\n", Answer(&[416]), &[Field("Content-Range", "bytes */28")]),
        case("from far beyond the end", b"GET /small.txt HTTP/1.1\r\nHost: a\r\nRange: bytes=18446744073709551616-\r\n\r\n", Answer(&[416, 200]), &[]),
        case("the last none", b"GET /small.txt HTTP/1.1\r\nHost: a\r\nRange: bytes=-0\r\n\r\n", Answer(&[416]), &[]),
        case("of an empty file", b"GET /zero.txt HTTP/1.1\r\nHost: a\r\nRange: bytes=0-\r\n\r\n", Answer(&[416, 200]), &[]),
        case("backwards", b"GET /small.txt HTTP/1.1\r\nHost: a\r\nRange: bytes=6-2\r\n\r\n", Answer(&[200, 400, 416]), &[]),
        case("not a range", b"GET /small.txt HTTP/1.1\r\nHost: a\r\nRange: bytes=a-b\r\n\r\n", Answer(&[200, 400, 416]), &[]),
        case("another unit is ignored", b"GET /small.txt HTTP/1.1\r\nHost: a\r\nRange: lines=2-6\r\n\r\n", Answer(&[200]), &[Body(SMALL)]),
        case("several may be ignored", b"GET /small.txt HTTP/1.1\r\nHost: a\r\nRange: bytes=0-1, 4-5\r\n\r\n", Answer(&[200, 206, 416]), &[]),
        case("of a HEAD is ignored", b"HEAD /small.txt HTTP/1.1\r\nHost: a\r\nRange: bytes=2-6\r\n\r\n", Answer(&[200]), &[Empty, Without("Content-Range"), Field("Content-Length", "28")]),
        case("If-Range with the tag", b"GET /small.txt HTTP/1.1\r\nHost: a\r\nRange: bytes=2-6\r\nIf-Range: {etag}\r\n\r\n", Answer(&[206]), &[Body("small")]),
        case("If-Range with the date", b"GET /small.txt HTTP/1.1\r\nHost: a\r\nRange: bytes=2-6\r\nIf-Range: {date}\r\n\r\n", Answer(&[206]), &[Body("small")]),
        case("If-Range with another tag", b"GET /small.txt HTTP/1.1\r\nHost: a\r\nRange: bytes=2-6\r\nIf-Range: \"x\"\r\n\r\n", Answer(&[200]), &[Body(SMALL)]),
        case("If-Range compares strongly", b"GET /small.txt HTTP/1.1\r\nHost: a\r\nRange: bytes=2-6\r\nIf-Range: W/{etag}\r\n\r\n", Answer(&[200]), &[Body(SMALL)]),
        case("If-Range with another date", b"GET /small.txt HTTP/1.1\r\nHost: a\r\nRange: bytes=2-6\r\nIf-Range: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n", Answer(&[200]), &[Body(SMALL)]),
        case("If-None-Match beats Range", b"GET /small.txt HTTP/1.1\r\nHost: a\r\nRange: bytes=2-6\r\nIf-None-Match: {etag}\r\n\r\n", Answer(&[304]), &[Empty]),
    ]},
];

static LONG_TARGET: &[u8] = &{
    let mut request = [b'a'; 7026];
    let (start, end) = (b"GET /", b" HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut at = 0;
    while at < start.len() {
        request[at] = start[at];
        at += 1;
    }
    at = 0;
    while at < end.len() {
        request[request.len() - end.len() + at] = end[at];
        at += 1;
    }
    request
};
