//! Row 4: request smuggling. Bytes that two readers could take for different requests are
//! refused, and the request that hides in them is not answered. Sources: RFC 9112 sections
//! 2.2, 5, 6, 7 and 11.2.

use crate::client::{be_refused, exchange_and_shut};
use crate::model::Model;
use crate::patience::{deadline, milliseconds};
use crate::report::{Report, Tally};
use crate::response::holds;
use crate::root::SMUGGLED;
use crate::server::Server;

/// The request that hides in the others. Its answer would hold [`SMUGGLED`].
const CANARY: &str = "GET /canary-request HTTP/1.1\r\nHost: a\r\n\r\n";
/// A form that the guestbook would accept, so that only its framing can be the reason for a
/// refusal.
const FORM: &str = "remark=x";
const POST: &str = "POST /guestbook HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\n";
const GET: &str = "GET /small.txt HTTP/1.1\r\nHost: a\r\n";

/// What must come of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Want {
    /// 4xx or 5xx, and the server closes.
    Refused,
    /// One response, whichever: the framing is valid or may be repaired, but hides a
    /// request from a careless reader.
    OneResponse,
}
use Want::{OneResponse, Refused};

/// Field lines that frame 8 bytes of content, or pretend to.
static LENGTHS: &[(&str, &str, Want)] = &[
    ("two lengths", "Content-Length: 8\r\nContent-Length: 49\r\n", Refused),
    (
        "two lengths, the longer first",
        "Content-Length: 49\r\nContent-Length: 8\r\n",
        Refused,
    ),
    ("two lengths, one of them 0", "Content-Length: 0\r\nContent-Length: 8\r\n", Refused),
    ("two equal lengths", "Content-Length: 8\r\nContent-Length: 8\r\n", Refused),
    (
        "two lengths in different case",
        "Content-Length: 8\r\ncOnTeNt-LeNgTh: 9\r\n",
        Refused,
    ),
    (
        "two lengths with another field between",
        "Content-Length: 8\r\nX: y\r\nContent-Length: 9\r\n",
        Refused,
    ),
    (
        "three lengths",
        "Content-Length: 8\r\nContent-Length: 8\r\nContent-Length: 9\r\n",
        Refused,
    ),
    ("a list of equal lengths", "Content-Length: 8, 8\r\n", Refused),
    ("a list of different lengths", "Content-Length: 8, 49\r\n", Refused),
    ("a list without a space", "Content-Length: 8,8\r\n", Refused),
    ("a list with an empty element", "Content-Length: 8,\r\n", Refused),
    ("a length and an empty one", "Content-Length: 8\r\nContent-Length:\r\n", Refused),
    ("a plus", "Content-Length: +8\r\n", Refused),
    ("a minus", "Content-Length: -8\r\n", Refused),
    ("minus zero", "Content-Length: -0\r\n", Refused),
    ("plus zero", "Content-Length: +0\r\n", Refused),
    ("hexadecimal", "Content-Length: 0x8\r\n", Refused),
    ("hexadecimal without a mark", "Content-Length: 8h\r\n", Refused),
    ("octal", "Content-Length: 0o10\r\n", Refused),
    ("a fraction", "Content-Length: 8.0\r\n", Refused),
    ("an exponent", "Content-Length: 8e0\r\n", Refused),
    ("an underscore", "Content-Length: 0_8\r\n", Refused),
    ("quotes", "Content-Length: \"8\"\r\n", Refused),
    ("a parameter", "Content-Length: 8;x\r\n", Refused),
    ("two numbers", "Content-Length: 8 49\r\n", Refused),
    ("an empty length", "Content-Length:\r\n", Refused),
    ("a length of white space", "Content-Length:  \t \r\n", Refused),
    ("digits that are not ASCII", "Content-Length: \u{0668}\r\n", Refused),
    ("full-width digits", "Content-Length: \u{ff18}\r\n", Refused),
    ("a superscript", "Content-Length: \u{00b2}\r\n", Refused),
    ("2 to the 64", "Content-Length: 18446744073709551616\r\n", Refused),
    ("2 to the 64 and 8", "Content-Length: 18446744073709551624\r\n", Refused),
    ("2 to the 63", "Content-Length: 9223372036854775808\r\n", Refused),
    ("2 to the 32 and 8", "Content-Length: 4294967304\r\n", Refused),
    ("100 digits", HUNDRED_NINES, Refused),
    ("a vertical tab before", "Content-Length: \u{b}8\r\n", Refused),
    ("a vertical tab after", "Content-Length: 8\u{b}\r\n", Refused),
    ("a form feed after", "Content-Length: 8\u{c}\r\n", Refused),
    ("a NUL after", "Content-Length: 8\0\r\n", Refused),
    ("a no-break space before", "Content-Length: \u{a0}8\r\n", Refused),
    ("a space before the colon of the length", "Content-Length : 8\r\n", Refused),
    ("a tab before the colon of the length", "Content-Length\t: 8\r\n", Refused),
    ("a NUL in the name of the length", "Content-Length\0: 8\r\n", Refused),
    ("a folded length", "Content-Length:\r\n 8\r\n", Refused),
    ("a length that goes on in the next line", "Content-Length: 8\r\n 9\r\n", Refused),
    ("a length in a folded line", "X: y\r\n Content-Length: 8\r\n", Refused),
    ("a length behind a bare CR", "X: y\rContent-Length: 8\r\n", Refused),
    ("a length behind a bare LF", "X: y\nContent-Length: 8\r\n", Refused),
    ("a length that ends in a bare LF", "Content-Length: 8\n", Refused),
    ("a length that ends in a bare CR", "Content-Length: 8\r", Refused),
];

const HUNDRED_NINES: &str = "Content-Length: \
    9999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999\r\n";

/// Field lines that announce chunks, or pretend to.
static CODINGS: &[(&str, &str, Want)] = &[
    ("a length and chunks", "Content-Length: 8\r\nTransfer-Encoding: chunked\r\n", Refused),
    ("chunks and a length", "Transfer-Encoding: chunked\r\nContent-Length: 8\r\n", Refused),
    (
        "chunks and a length of 0",
        "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n",
        Refused,
    ),
    (
        "chunks and a length that is none",
        "Transfer-Encoding: chunked\r\nContent-Length: x\r\n",
        Refused,
    ),
    (
        "a length and an unknown coding",
        "Content-Length: 8\r\nTransfer-Encoding: xchunked\r\n",
        Refused,
    ),
    (
        "a length and identity",
        "Content-Length: 8\r\nTransfer-Encoding: identity\r\n",
        Refused,
    ),
    (
        "a length and an empty coding",
        "Content-Length: 8\r\nTransfer-Encoding:\r\n",
        Refused,
    ),
    ("something before the word", "Transfer-Encoding: xchunked\r\n", Refused),
    ("something after the word", "Transfer-Encoding: chunkedx\r\n", Refused),
    ("half of the word", "Transfer-Encoding: chunk\r\n", Refused),
    ("a space in the word", "Transfer-Encoding: chu nked\r\n", Refused),
    ("identity", "Transfer-Encoding: identity\r\n", Refused),
    ("identity, chunked", "Transfer-Encoding: identity, chunked\r\n", Refused),
    ("chunked, identity", "Transfer-Encoding: chunked, identity\r\n", Refused),
    ("chunked twice", "Transfer-Encoding: chunked, chunked\r\n", Refused),
    ("chunked twice without a space", "Transfer-Encoding: chunked,chunked\r\n", Refused),
    ("chunked, then gzip", "Transfer-Encoding: chunked, gzip\r\n", Refused),
    ("gzip, then chunked", "Transfer-Encoding: gzip, chunked\r\n", Refused),
    ("gzip", "Transfer-Encoding: gzip\r\n", Refused),
    ("a parameter of the coding", "Transfer-Encoding: chunked;x\r\n", Refused),
    ("a quality", "Transfer-Encoding: chunked;q=1\r\n", Refused),
    ("a coding in quotes", "Transfer-Encoding: \"chunked\"\r\n", Refused),
    ("a coding in single quotes", "Transfer-Encoding: 'chunked'\r\n", Refused),
    ("a coding in brackets", "Transfer-Encoding: [chunked]\r\n", Refused),
    ("a comma after the coding", "Transfer-Encoding: chunked,\r\n", OneResponse),
    ("a comma before the coding", "Transfer-Encoding: ,chunked\r\n", OneResponse),
    ("a vertical tab before the coding", "Transfer-Encoding: \u{b}chunked\r\n", Refused),
    ("a vertical tab for a space", "Transfer-Encoding:\u{b}chunked\r\n", Refused),
    ("a vertical tab after the coding", "Transfer-Encoding: chunked\u{b}\r\n", Refused),
    ("a form feed after the coding", "Transfer-Encoding: chunked\u{c}\r\n", Refused),
    ("a NUL after the coding", "Transfer-Encoding: chunked\0\r\n", Refused),
    (
        "a byte order mark before the coding",
        "Transfer-Encoding: \u{feff}chunked\r\n",
        Refused,
    ),
    (
        "a tab before the coding is white space",
        "Transfer-Encoding:\tchunked\r\n",
        OneResponse,
    ),
    (
        "a tab after the coding is white space",
        "Transfer-Encoding: chunked\t\r\n",
        OneResponse,
    ),
    ("the coding in capitals", "Transfer-Encoding: CHUNKED\r\n", OneResponse),
    (
        "two lines of chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        Refused,
    ),
    (
        "chunked and identity in two lines",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        Refused,
    ),
    (
        "identity and chunked in two lines",
        "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n",
        Refused,
    ),
    (
        "chunked and nonsense in two lines",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n",
        Refused,
    ),
    (
        "nonsense and chunked in two lines",
        "Transfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n",
        Refused,
    ),
    (
        "chunked and nothing in two lines",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding:\r\n",
        Refused,
    ),
    ("a space before the colon of the coding", "Transfer-Encoding : chunked\r\n", Refused),
    ("a tab before the colon of the coding", "Transfer-Encoding\t: chunked\r\n", Refused),
    ("a vertical tab before the colon", "Transfer-Encoding\u{b}: chunked\r\n", Refused),
    ("a NUL before the colon", "Transfer-Encoding\0: chunked\r\n", Refused),
    ("a space before the name", " Transfer-Encoding: chunked\r\n", Refused),
    ("a folded coding", "Transfer-Encoding:\r\n chunked\r\n", Refused),
    ("a coding folded with a tab", "Transfer-Encoding:\r\n\tchunked\r\n", Refused),
    (
        "a coding that goes on in the next line",
        "Transfer-Encoding: chunked\r\n , identity\r\n",
        Refused,
    ),
    ("a coding in a folded line", "X: y\r\n Transfer-Encoding: chunked\r\n", Refused),
    ("a coding behind a bare LF", "X: y\nTransfer-Encoding: chunked\r\n", Refused),
    ("a coding behind a bare CR", "X: y\rTransfer-Encoding: chunked\r\n", Refused),
    ("a coding that ends in a bare LF", "Transfer-Encoding: chunked\n", Refused),
    ("a coding that ends in a bare CR", "Transfer-Encoding: chunked\r", Refused),
];

/// What follows `Transfer-Encoding: chunked` and an empty line.
static CHUNKS: &[(&str, &str, Want)] = &[
    ("a size with a plus", "+8\r\nremark=x\r\n0\r\n\r\n", Refused),
    ("a size with a minus", "-8\r\nremark=x\r\n0\r\n\r\n", Refused),
    ("a size with a mark", "0x8\r\nremark=x\r\n0\r\n\r\n", Refused),
    ("a size with an underscore", "0_8\r\nremark=x\r\n0\r\n\r\n", Refused),
    ("a size with a fraction", "8.0\r\nremark=x\r\n0\r\n\r\n", Refused),
    ("a size with a comma", "8,8\r\nremark=x\r\n0\r\n\r\n", Refused),
    ("a size with a space before it", " 8\r\nremark=x\r\n0\r\n\r\n", Refused),
    ("a size with a tab before it", "\t8\r\nremark=x\r\n0\r\n\r\n", Refused),
    ("two sizes", "8 8\r\nremark=x\r\n0\r\n\r\n", Refused),
    ("a size that is no number", "g\r\nremark=x\r\n0\r\n\r\n", Refused),
    ("a size with something after it", "8g\r\nremark=x\r\n0\r\n\r\n", Refused),
    ("a size with a NUL after it", "8\0\r\nremark=x\r\n0\r\n\r\n", Refused),
    ("a size with a vertical tab after it", "8\u{b}\r\nremark=x\r\n0\r\n\r\n", Refused),
    ("an empty size", "\r\nremark=x\r\n0\r\n\r\n", Refused),
    ("only an extension", ";x=y\r\nremark=x\r\n0\r\n\r\n", Refused),
    ("a size of 2 to the 64 and 8", "10000000000000008\r\nremark=x\r\n0\r\n\r\n", Refused),
    ("a size of 2 to the 64 less 1", "FFFFFFFFFFFFFFFF\r\nremark=x\r\n0\r\n\r\n", Refused),
    ("a size of 2 to the 63", "8000000000000000\r\nremark=x\r\n0\r\n\r\n", Refused),
    ("a size of 2 to the 32 and 8", "100000008\r\nremark=x\r\n0\r\n\r\n", Refused),
    (
        "a size of 40 digits",
        "FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF\r\nremark=x\r\n0\r\n\r\n",
        Refused,
    ),
    ("a size that ends in a bare LF", "8\nremark=x\r\n0\r\n\r\n", Refused),
    ("a size that ends in a bare CR", "8\rremark=x\r\n0\r\n\r\n", Refused),
    ("a size that ends in two CR", "8\r\r\nremark=x\r\n0\r\n\r\n", Refused),
    ("an extension that ends in a bare LF", "8;x\nremark=x\r\n0\r\n\r\n", Refused),
    ("an extension with a bare CR", "8;x\ry\r\nremark=x\r\n0\r\n\r\n", Refused),
    (
        "an extension with a bare LF in quotes",
        "8;x=\"\n\"\r\nremark=x\r\n0\r\n\r\n",
        Refused,
    ),
    ("an extension with a CRLF in quotes", "8;x=\"\r\n0\r\n\r\n", Refused),
    ("an extension with a NUL", "8;x\0\r\nremark=x\r\n0\r\n\r\n", Refused),
    ("a chunk that ends in a bare LF", "8\r\nremark=x\n0\r\n\r\n", Refused),
    ("a chunk that ends in a bare CR", "8\r\nremark=x\r0\r\n\r\n", Refused),
    ("a chunk that ends in LF CR", "8\r\nremark=x\n\r0\r\n\r\n", Refused),
    ("a chunk that ends in two CR", "8\r\nremark=x\r\r\n0\r\n\r\n", Refused),
    ("a chunk without its end", "8\r\nremark=x0\r\n\r\n", Refused),
    ("a chunk that is longer than its size", "7\r\nremark=x\r\n0\r\n\r\n", Refused),
    ("a chunk that is shorter than its size", "A\r\nremark=x\r\n0\r\n\r\n", Refused),
    ("other bytes for a chunk's end", "8\r\nremark=xXX0\r\n\r\n", Refused),
    ("a last chunk that ends in a bare LF", "8\r\nremark=x\r\n0\n\r\n", Refused),
    ("a final line that ends in a bare LF", "8\r\nremark=x\r\n0\r\n\n", Refused),
    ("a final line of CR CR LF", "8\r\nremark=x\r\n0\r\n\r\r\n", Refused),
    ("a last chunk with a minus", "8\r\nremark=x\r\n-0\r\n\r\n", Refused),
    ("a last chunk with a plus", "8\r\nremark=x\r\n+0\r\n\r\n", Refused),
    ("a last chunk with a mark", "8\r\nremark=x\r\n0x0\r\n\r\n", Refused),
    ("a trailer that ends in a bare LF", "8\r\nremark=x\r\n0\r\nX: y\n\r\n", Refused),
    (
        "a trailer with a space before its colon",
        "8\r\nremark=x\r\n0\r\nX : y\r\n\r\n",
        Refused,
    ),
    ("a trailer without a colon", "8\r\nremark=x\r\n0\r\nX\r\n\r\n", Refused),
    ("a trailer without a name", "8\r\nremark=x\r\n0\r\n: y\r\n\r\n", Refused),
    ("a folded trailer", "8\r\nremark=x\r\n0\r\nX: y\r\n z\r\n\r\n", Refused),
    ("a trailer with a NUL", "8\r\nremark=x\r\n0\r\nX: \0\r\n\r\n", Refused),
    ("a request in place of the final line", "8\r\nremark=x\r\n0\r\n", Refused),
];

/// Valid framing that holds the canary as content: a reader that overlooks the framing
/// takes it for a request. `{n}` is the canary's length, `{x}` the same in hexadecimal.
static CONTENT: &[(&str, &str)] = &[
    (
        "content of a GET",
        "GET /small.txt HTTP/1.1\r\nHost: a\r\nContent-Length: {n}\r\n\r\n{canary}",
    ),
    (
        "content of a HEAD",
        "HEAD /small.txt HTTP/1.1\r\nHost: a\r\nContent-Length: {n}\r\n\r\n{canary}",
    ),
    (
        "chunks of a GET",
        "GET /small.txt HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{x}\r\n{canary}\r\n0\r\n\r\n",
    ),
    (
        "content of a DELETE",
        "DELETE /small.txt HTTP/1.1\r\nHost: a\r\nContent-Length: {n}\r\n\r\n{canary}",
    ),
    (
        "content of an unknown method",
        "BREW /small.txt HTTP/1.1\r\nHost: a\r\nContent-Length: {n}\r\n\r\n{canary}",
    ),
    (
        "content of a POST to a file",
        "POST /small.txt HTTP/1.1\r\nHost: a\r\nContent-Length: {n}\r\n\r\n{canary}",
    ),
    (
        "content of a POST to nothing",
        "POST /missing HTTP/1.1\r\nHost: a\r\nContent-Length: {n}\r\n\r\n{canary}",
    ),
    (
        "chunks of a POST to nothing",
        "POST /missing HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{x}\r\n{canary}\r\n0\r\n\r\n",
    ),
    (
        "content that is no form",
        "POST /guestbook HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\nContent-Length: {n}\r\n\r\n{canary}",
    ),
    (
        "content in 1.0",
        "GET /small.txt HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: {n}\r\n\r\n{canary}",
    ),
    (
        "content of a redirect",
        "GET /sub HTTP/1.1\r\nHost: a\r\nContent-Length: {n}\r\n\r\n{canary}",
    ),
    (
        "content of a 304",
        "GET /small.txt HTTP/1.1\r\nHost: a\r\nIf-None-Match: *\r\nContent-Length: {n}\r\n\r\n{canary}",
    ),
    (
        "content of a 416",
        "GET /small.txt HTTP/1.1\r\nHost: a\r\nRange: bytes=999-\r\nContent-Length: {n}\r\n\r\n{canary}",
    ),
    (
        "content after an expectation",
        "POST /missing HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: {n}\r\n\r\n{canary}",
    ),
    (
        "content after an unknown expectation",
        "POST /missing HTTP/1.1\r\nHost: a\r\nExpect: coffee\r\nContent-Length: {n}\r\n\r\n{canary}",
    ),
    (
        "content of an upgrade",
        "GET /small.txt HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: h2c\r\nContent-Length: {n}\r\n\r\n{canary}",
    ),
    (
        "a length that Connection names",
        "GET /small.txt HTTP/1.1\r\nHost: a\r\nConnection: Content-Length\r\nContent-Length: {n}\r\n\r\n{canary}",
    ),
    (
        "chunks that Connection names",
        "GET /small.txt HTTP/1.1\r\nHost: a\r\nConnection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n\r\n{x}\r\n{canary}\r\n0\r\n\r\n",
    ),
    (
        "a length with zeros",
        "POST /missing HTTP/1.1\r\nHost: a\r\nContent-Length: 000{n}\r\n\r\n{canary}",
    ),
    (
        "a length with white space around it",
        "POST /missing HTTP/1.1\r\nHost: a\r\nContent-Length: \t {n} \t\r\n\r\n{canary}",
    ),
    (
        "a chunk's size with zeros",
        "POST /missing HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0000000000000000000{x}\r\n{canary}\r\n0\r\n\r\n",
    ),
    (
        "white space after a chunk's size",
        "POST /missing HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{x} \r\n{canary}\r\n0\r\n\r\n",
    ),
    (
        "an extension without a name",
        "POST /missing HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{x};\r\n{canary}\r\n0\r\n\r\n",
    ),
    (
        "an extension with a request",
        "POST /missing HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{x};x=\"GET / HTTP/1.1\"\r\n{canary}\r\n0\r\n\r\n",
    ),
    (
        "a last chunk with an extension",
        "POST /missing HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{x}\r\n{canary}\r\n0;x=y\r\n\r\n",
    ),
    (
        "a last chunk of several zeros",
        "POST /missing HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{x}\r\n{canary}\r\n000\r\n\r\n",
    ),
    (
        "a length in the trailers",
        "POST /missing HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{x}\r\n{canary}\r\n0\r\nContent-Length: 5\r\n\r\n",
    ),
    (
        "a coding in the trailers",
        "POST /missing HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{x}\r\n{canary}\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n",
    ),
    (
        "a Host in the trailers",
        "POST /missing HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{x}\r\n{canary}\r\n0\r\nHost: b\r\n\r\n",
    ),
    (
        "chunks in 1.0",
        "POST /missing HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n{x}\r\n{canary}\r\n0\r\n\r\n",
    ),
];

/// Line ends of a head that are none.
static LINE_ENDS: &[(&str, &str)] = &[
    ("a bare LF after the request line", "GET /small.txt HTTP/1.1\nHost: a\r\n\r\n"),
    ("a bare LF after a field", "GET /small.txt HTTP/1.1\r\nHost: a\n\r\n"),
    ("a bare LF for the empty line", "GET /small.txt HTTP/1.1\r\nHost: a\r\n\n"),
    ("bare LF everywhere", "GET /small.txt HTTP/1.1\nHost: a\n\n"),
    ("CR CR LF after a field", "GET /small.txt HTTP/1.1\r\nHost: a\r\r\n\r\n"),
    ("CR CR LF for the empty line", "GET /small.txt HTTP/1.1\r\nHost: a\r\n\r\r\n"),
    ("LF CR for the empty line", "GET /small.txt HTTP/1.1\r\nHost: a\r\n\n\r\n"),
    ("a bare CR for the empty line", "GET /small.txt HTTP/1.1\r\nHost: a\r\n\r"),
    ("a space on the empty line", "GET /small.txt HTTP/1.1\r\nHost: a\r\n \r\n\r\n"),
    ("a NUL on the empty line", "GET /small.txt HTTP/1.1\r\nHost: a\r\n\0\r\n\r\n"),
];

/// All tables against one server.
pub fn run(model: &Model) -> Result<Report, String> {
    // Whoever takes one of these for the head of a longer body waits for that, and then refuses.
    let server = Server::start(model, &["--body-timeout", &milliseconds(deadline())])?;
    let mut tally = Tally::of(model);
    for (name, bytes, want) in cases() {
        tally.case(name, || match want {
            Refused => refused(&server, &bytes),
            OneResponse => one_response(&server, &bytes),
        });
    }
    server.conclude(tally)
}

fn cases() -> Vec<(String, Vec<u8>, Want)> {
    let mut cases = Vec::new();
    for (name, field, want) in LENGTHS {
        cases.push((
            format!("{name}, POST"),
            format!("{POST}{field}\r\n{FORM}{CANARY}").into(),
            *want,
        ));
        cases.push((
            format!("{name}, GET"),
            format!("{GET}{field}\r\n{FORM}{CANARY}").into(),
            *want,
        ));
    }
    let in_chunks = format!("8\r\n{FORM}\r\n0\r\n\r\n");
    for (name, field, want) in CODINGS {
        // Where chunks may be understood, the canary is in them; behind them it would be
        // the next request.
        let content = match want {
            Refused => format!("{in_chunks}{CANARY}"),
            OneResponse => format!("{:x}\r\n{CANARY}\r\n0\r\n\r\n", CANARY.len()),
        };
        cases.push((
            format!("{name}, POST"),
            format!("{POST}{field}\r\n{content}").into(),
            *want,
        ));
        cases.push((
            format!("{name}, GET"),
            format!("{GET}{field}\r\n{content}").into(),
            *want,
        ));
    }
    for (name, chunks, want) in CHUNKS {
        for (method, head) in [("POST", POST), ("GET", GET)] {
            let request =
                format!("{head}Transfer-Encoding: chunked\r\n\r\n{chunks}{CANARY}");
            cases.push((format!("{name}, {method}"), request.into(), *want));
        }
    }
    let long = "x".repeat(64 * 1024);
    for (name, chunks) in [
        ("an extension of 64 KiB", format!("8;{long}\r\n{FORM}\r\n0\r\n\r\n")),
        (
            "a size of 64 KiB of zeros",
            format!("{}8\r\n{FORM}\r\n0\r\n\r\n", "0".repeat(64 * 1024)),
        ),
        ("a trailer of 64 KiB", format!("8\r\n{FORM}\r\n0\r\nX: {long}\r\n\r\n")),
        (
            "trailers of 64 KiB",
            format!("8\r\n{FORM}\r\n0\r\n{}\r\n", "X: y\r\n".repeat(64 * 1024 / 6)),
        ),
    ] {
        let request = format!("{POST}Transfer-Encoding: chunked\r\n\r\n{chunks}{CANARY}");
        cases.push((name.into(), request.into(), Refused));
    }
    for (name, template) in CONTENT {
        let request = template
            .replace("{n}", &CANARY.len().to_string())
            .replace("{x}", &format!("{:x}", CANARY.len()))
            .replace("{canary}", CANARY);
        cases.push(((*name).into(), request.into(), OneResponse));
    }
    for (name, head) in LINE_ENDS {
        cases.push(((*name).into(), format!("{head}{CANARY}").into(), Refused));
    }
    cases
}

fn refused(server: &Server, bytes: &[u8]) -> Result<(), String> {
    let response = be_refused(server.address, bytes, false)?;
    no_canary(&response.body)
}

fn one_response(server: &Server, bytes: &[u8]) -> Result<(), String> {
    let heard = exchange_and_shut(server.address, bytes)?;
    no_canary(&heard.bytes)?;
    let all = heard.responses(&[bytes.starts_with(b"HEAD ")])?;
    match all.iter().filter(|response| !response.interim()).count() {
        1 => Ok(()),
        number => Err(format!("{number} responses to one request")),
    }
}

fn no_canary(bytes: &[u8]) -> Result<(), String> {
    match holds(bytes, SMUGGLED) {
        true => Err("the hidden request was answered".into()),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn there_are_enough_of_them() {
        assert!(super::cases().len() >= 120);
    }
}
