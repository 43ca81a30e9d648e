//! What a client of the embedded store sends, or a log holds.

use store::command::Command;
use store::requests::{Broken, MAX_REQUEST, Requests};

use crate::script::{self, Step};

/// Most bytes that arrive in one script: more than the longest request.
const STREAM: usize = 5 * MAX_REQUEST / 4;
const SHORT: usize = 1024;

/// Checks one script; `false` if it is too long to be of interest. It has cuts and no other
/// steps. What is read does not depend on the cuts, and written again it is read the same.
pub fn store_requests(input: &[u8]) -> bool {
    let Some(steps) = script::read(input, STREAM) else { return false };
    let whole = run(&[Step::Bytes(script::bytes(&steps))]);
    assert_eq!(run(&steps), whole, "as the script cuts it");
    if script::bytes(&steps).len() <= SHORT {
        assert_eq!(run(&script::byte_by_byte(&steps)), whole, "byte by byte");
    }
    for request in &whole.0 {
        for error in [Command::parse(request).err(), Command::parse_record(request).err()] {
            assert!(!error.is_some_and(|text| text.contains(['\r', '\n'])), "two lines");
        }
    }
    let again = run(&[Step::Bytes(written(&whole.0))]);
    assert_eq!(again, (whole.0, Ok(())), "written and read again");
    true
}

type Seen = (Vec<Vec<Vec<u8>>>, Result<(), Broken>);

fn run(steps: &[Step]) -> Seen {
    let memory_before = crate::allocated();
    let mut requests = Requests::default();
    let mut seen = Vec::new();
    let mut pushed = 0;
    for step in steps {
        let Step::Bytes(piece) = step else { continue };
        requests.push(piece);
        pushed += piece.len();
        loop {
            match requests.next_request() {
                Ok(Some(request)) => seen.push(request),
                Ok(None) => break,
                Err(broken) => {
                    assert!(!broken.0.contains(['\r', '\n']), "two lines");
                    return (seen, Err(broken));
                }
            }
        }
        let unfinished = requests.unfinished().len();
        assert_eq!(requests.offset() + unfinished as u64, pushed as u64, "bytes are lost");
        assert!(unfinished < MAX_REQUEST + 2, "more than a request, and none is read");
        let holds = crate::allocated().saturating_sub(memory_before);
        assert!(
            holds <= 32 * pushed + 64 * 1024,
            "{holds} bytes are held of {pushed} that came"
        );
    }
    (seen, Ok(()))
}

fn written(requests: &[Vec<Vec<u8>>]) -> Vec<u8> {
    let mut out = Vec::new();
    for request in requests {
        out.extend(format!("*{}\r\n", request.len()).into_bytes());
        for argument in request {
            out.extend(format!("${}\r\n", argument.len()).into_bytes());
            out.extend_from_slice(argument);
            out.extend_from_slice(b"\r\n");
        }
    }
    out
}
