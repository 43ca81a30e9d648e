//! `fixed TARGET COUNT FOUND`: so many scripts, each made of a seed by a few changes, the
//! same each time and on each machine. What is red was made so by a change of the code.
//! The first script of which something does not hold is written to the file `FOUND`.
//!
//! libFuzzer finds more, since it is guided by what each input reaches; but what it tries then
//! depends on hash seeds, on times and on addresses, and so on luck.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs, panic};

use fastrand::Rng;

type Check = fn(&[u8]) -> bool;

/// Longest script, in bytes of its text; libFuzzer's `-max_len` is the same.
const LONGEST: usize = 2048;

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let [target, count, found] = &args[..] else {
        eprintln!("usage: fixed TARGET COUNT FOUND");
        return ExitCode::from(2);
    };
    let check: Check = match target.as_str() {
        "http1" => fuzz::http1,
        "ftp" => fuzz::ftp,
        "store-pipe" => fuzz::store_pipe,
        #[cfg(target_os = "linux")]
        "store-requests" => fuzz::store_requests,
        _ => {
            eprintln!("fixed: no target {target}");
            return ExitCode::from(2);
        }
    };
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let seeds = files(&here.join("seeds").join(target));
    let seeds: Vec<Vec<u8>> = seeds.iter().map(|path| read(path)).collect();
    let words = words_of(&read(&here.join("words").join(format!("{target}.dict"))));
    let count: usize = count.parse().expect("a number of scripts");
    let mut rng = Rng::with_seed(1);
    let mut checked = 0;
    for _ in 0..count {
        let script = change(&mut rng, &seeds, &words);
        if !fuzz::is_worth_it(&script) {
            continue;
        }
        match panic::catch_unwind(|| check(&script)) {
            Ok(true) => checked += 1,
            Ok(false) => {}
            Err(_) => {
                fs::write(found, &script).expect("a folder that can be written");
                eprintln!(
                    "--- the script, which is in {found}:\n{}",
                    script.escape_ascii()
                );
                return ExitCode::FAILURE;
            }
        }
    }
    println!("{target}: {count} scripts, {checked} of them checked, nothing found");
    // Scripts of which most are not looked at say little.
    if checked * 2 > count { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A seed with one to five changes.
fn change(rng: &mut Rng, seeds: &[Vec<u8>], words: &[Vec<u8>]) -> Vec<u8> {
    let mut script = rng.choice(seeds).expect("a seed").clone();
    for _ in 0..rng.usize(1..=5) {
        let at = rng.usize(0..=script.len());
        let end = (at + rng.usize(1..=16)).min(script.len());
        match rng.u8(0..6) {
            0 => drop(script.drain(at..end)),
            1 => insert(&mut script, at, rng.choice(words).expect("a word")),
            2 => {
                // A piece of another script, or of this one.
                let other = rng.choice(seeds).expect("a seed");
                let from = rng.usize(0..=other.len());
                let piece = &other[from..(from + rng.usize(1..=200)).min(other.len())];
                insert(&mut script, at, piece);
            }
            3 => insert(
                &mut script,
                at,
                &[b'|', *rng.choice(b"hgzabcsteEFDLWUvwoB.").expect("a letter")],
            ),
            4 => insert(&mut script, at, &[rng.u8(..)]),
            _ => {
                if let Some(byte) = script.get_mut(at) {
                    *byte ^= 1 << rng.u8(0..8);
                }
            }
        }
    }
    script.truncate(LONGEST);
    script
}

fn insert(script: &mut Vec<u8>, at: usize, piece: &[u8]) {
    script.splice(at..at, piece.iter().copied());
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("the folder of the seeds");
    let mut files: Vec<PathBuf> =
        entries.map(|entry| entry.expect("a readable folder").path()).collect();
    files.sort();
    files
}

fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The words of a dictionary of libFuzzer's: a line each, in quotes.
fn words_of(text: &[u8]) -> Vec<Vec<u8>> {
    let text = String::from_utf8_lossy(text);
    let quoted = text.lines().filter_map(|line| line.strip_prefix('"')?.strip_suffix('"'));
    quoted.map(unescape).collect()
}

/// `\"`, `\\`, and `\xHH` for an octet.
fn unescape(word: &str) -> Vec<u8> {
    let mut parts = word.split('\\');
    let mut octets = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        match part.strip_prefix('x').and_then(|part| part.split_at_checked(2)) {
            Some((octet, rest)) => {
                octets.push(u8::from_str_radix(octet, 16).expect("two digits"));
                octets.extend_from_slice(rest.as_bytes());
            }
            None => octets.extend_from_slice(part.as_bytes()),
        }
    }
    octets
}
