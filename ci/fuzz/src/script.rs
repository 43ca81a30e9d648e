//! A script: bytes that arrive, and what happens between them.

/// One thing that happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// These bytes arrive, in one piece.
    Bytes(Vec<u8>),
    /// What this letter stands for; `.` is a cut and nothing else.
    Do(u8),
}

/// Reads a script. It is text, so that a seed can be read and a finding, too: a line end
/// stands for CRLF, any other byte for itself, and `|` begins what has no letter:
///
/// | | |
/// | --- | --- |
/// | `||` | a `|` |
/// | <code>&#124;r</code>, <code>&#124;n</code> | a CR, an LF |
/// | `|` and a line end | nothing: the line goes on |
/// | `|0` to `|9` | the byte before it again, 4, 16, 64, … 1,048,576 times |
/// | `|.` | a cut: what follows arrives later |
/// | `|` and another byte | a step: each check has its own letters |
///
/// `None` if more than `limit` bytes would arrive: not an interesting script.
pub fn read(text: &[u8], limit: usize) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    let mut piece = Vec::new();
    let mut total = 0;
    let mut last = None;
    let mut rest = text.iter();
    while let Some(&byte) = rest.next() {
        let before = piece.len();
        match byte {
            b'\n' => piece.extend_from_slice(b"\r\n"),
            b'|' => match rest.next() {
                Some(b'|') => piece.push(b'|'),
                Some(b'r') => piece.push(b'\r'),
                Some(b'n') => piece.push(b'\n'),
                Some(b'\n') | None => {}
                Some(digit @ b'0'..=b'9') => {
                    let times = 4 << (2 * (digit - b'0'));
                    if total + times > limit {
                        return None;
                    }
                    piece.extend(last.into_iter().flat_map(|last| vec![last; times]));
                }
                Some(&letter) => {
                    if !piece.is_empty() {
                        steps.push(Step::Bytes(std::mem::take(&mut piece)));
                    }
                    steps.push(Step::Do(letter));
                    continue;
                }
            },
            _ => piece.push(byte),
        }
        total += piece.len() - before;
        last = piece.last().copied();
    }
    if !piece.is_empty() {
        steps.push(Step::Bytes(piece));
    }
    (total <= limit).then_some(steps)
}

/// Whether a script is worth a fuzzer's time: one in sixteen of those by which much arrives.
/// What is wrong with a cut is so with few bytes, too, and they are run a hundred times as
/// fast; what is wrong at a limit needs many.
pub fn is_worth_it(text: &[u8]) -> bool {
    text.len().is_multiple_of(16) || read(text, 32 * 1024).is_some()
}

/// All bytes of a script.
pub(crate) fn bytes(steps: &[Step]) -> Vec<u8> {
    let pieces = steps.iter().filter_map(|step| match step {
        Step::Bytes(piece) => Some(piece.as_slice()),
        Step::Do(_) => None,
    });
    pieces.collect::<Vec<_>>().concat()
}

/// The same script without its cuts: between two steps, everything arrives at once.
pub(crate) fn uncut(steps: &[Step]) -> Vec<Step> {
    let mut joined: Vec<Step> = Vec::new();
    for step in steps.iter().filter(|step| **step != Step::Do(b'.')) {
        match (joined.last_mut(), step) {
            (Some(Step::Bytes(before)), Step::Bytes(piece)) => before.extend(piece),
            _ => joined.push(step.clone()),
        }
    }
    joined
}

/// The same script with a cut after every byte.
pub(crate) fn byte_by_byte(steps: &[Step]) -> Vec<Step> {
    let one_by_one = |step: &Step| match step {
        Step::Bytes(piece) => piece.iter().map(|&byte| Step::Bytes(vec![byte])).collect(),
        Step::Do(_) => vec![step.clone()],
    };
    steps.iter().flat_map(one_by_one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_text() {
        let piece = |text: &str| Step::Bytes(text.as_bytes().to_vec());
        assert_eq!(
            read(b"a\n|.b||c|r|n|\nd|0|v", 100),
            Some(vec![
                piece("a\r\n"),
                Step::Do(b'.'),
                piece("b|c\r\nddddd"),
                Step::Do(b'v')
            ])
        );
        assert_eq!(read(b"x|3", 257), Some(vec![piece(&"x".repeat(257))]));
        assert_eq!(read(b"x|3", 256), None);
        assert_eq!(read(b"|3|", 256), Some(vec![]), "nothing to repeat");
        assert_eq!(
            read(b"x|.|0", 9),
            Some(vec![piece("x"), Step::Do(b'.'), piece("xxxx")])
        );
    }

    #[test]
    fn large_scripts_are_rare() {
        assert!(is_worth_it(b"x|5") && is_worth_it(b"x|9 and 12 more."));
        assert!(!is_worth_it(b"x|9"));
    }

    #[test]
    fn cuts_come_and_go() {
        let steps = read(b"ab|.c|vd", 100).expect("short");
        let without = read(b"abc|vd", 100).expect("short");
        assert_eq!(uncut(&steps), without);
        assert_eq!(uncut(&byte_by_byte(&steps)), without);
        assert_eq!(byte_by_byte(&steps).len(), 6);
        assert_eq!(bytes(&steps), b"abcd");
    }
}
