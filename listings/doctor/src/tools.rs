//! Programs that some chapters use, where they are.

use std::env;
use std::path::PathBuf;

use rustix::fs::{Access, access};

use crate::chapters::*;
use crate::finding::Finding;

/// Three findings: what is needed, what some outputs were recorded with, and what figures
/// are compared with.
pub fn look() -> [Finding; 3] {
    [
        found(
            "compiler",
            &[PREFACE],
            &["cc"],
            "Install a C compiler, which Rust links with (apt install gcc).",
        ),
        found(
            "strace, curl",
            &[READ, APPLICATION, ITERATIVE, TRACES, FRAMEWORK],
            &["strace", "curl"],
            "Install them (apt install strace curl). What they showed us is in the text.",
        ),
        found(
            "nginx, ab, wrk",
            &[CHART, METHOD, OWN_CHARTS],
            &["nginx", "ab", "wrk"],
            "Install them (apt install nginx-light apache2-utils wrk), or read the book's figures \
             for them: the book has a load generator of its own.",
        ),
    ]
}

fn found(
    name: &'static str,
    chapters: &'static [&'static str],
    programs: &[&str],
    remedy: &str,
) -> Finding {
    let (there, missing): (Vec<_>, Vec<_>) = programs
        .iter()
        .map(|program| (program, path_of(program)))
        .partition(|(_, p)| p.is_some());
    let paths: Vec<String> = there
        .into_iter()
        .filter_map(|(_, path)| Some(path?.display().to_string()))
        .collect();
    if missing.is_empty() {
        return Finding::yes(name, chapters, paths.join(", "));
    }
    let missing: Vec<&str> = missing.into_iter().map(|(program, _)| *program).collect();
    let text = format!("without {}", missing.join(", "));
    if paths.is_empty() {
        Finding::no(name, chapters, text, remedy)
    } else {
        Finding::limited(name, chapters, format!("{}; {text}", paths.join(", ")), remedy)
    }
}

/// Where a program would be started from. Some are for administrators, whose folders are not
/// in everybody's PATH.
fn path_of(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .map(|folder| folder.join(program))
        .find(|path| path.is_file() && access(path, Access::EXEC_OK).is_ok())
}
