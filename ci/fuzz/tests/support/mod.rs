//! Replays the seeds of one check.

use std::fs;
use std::path::Path;

/// Seeds that were written for it, not more than can be read: a corpus that only grows is
/// nobody's.
const AT_MOST: usize = 60;

/// Runs the check over each seed as it is, and with one more cut at each point of its text
/// where a cut can be. Nothing else may run in this process: memory is counted.
pub fn replay(target: &str, check: fn(&[u8]) -> bool) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(target);
    let entries = fs::read_dir(&folder).expect("the folder of the seeds");
    let mut seeds: Vec<_> =
        entries.map(|entry| entry.expect("a readable folder").path()).collect();
    seeds.sort();
    assert!((10..=AT_MOST).contains(&seeds.len()), "{} seeds", seeds.len());
    let mut runs = 0;
    for seed in seeds {
        let text = fs::read(&seed).expect("a readable seed");
        println!("{}", seed.display());
        assert!(check(&text), "longer than a check looks at");
        for at in (0..text.len()).filter(|&at| can_be_cut(&text, at)) {
            println!("  cut at {at}");
            check(&[&text[..at], b"|.", &text[at..]].concat());
            runs += 1;
        }
    }
    assert!(runs > 200, "only {runs} cuts");
}

/// Not inside an escape, nor between a byte and what repeats it.
fn can_be_cut(text: &[u8], at: usize) -> bool {
    let inside = text[..at].iter().rev().take_while(|&&byte| byte == b'|').count() % 2 == 1;
    let repeats = text[at..].first() == Some(&b'|')
        && text.get(at + 1).is_some_and(u8::is_ascii_digit);
    !inside && !repeats
}
