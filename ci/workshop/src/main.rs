//! `cargo workshop`.

use std::process::ExitCode;

fn main() -> ExitCode {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_owned();
    let names: Vec<String> = std::env::args().skip(2).collect();
    let all = match runs::exercises::load(&root) { Ok(all) => all, Err(e) => { eprintln!("{e}"); return ExitCode::FAILURE; } };
    let all: Vec<_> = all.into_values().filter(|e| names.is_empty() || names.contains(&e.name)).collect();
    let proof = workshop::prove::prove(&root, &all);
    println!("{} held, {} wrong, {} skipped", proof.held, proof.wrong.len(), proof.skipped.len());
    ExitCode::from(u8::from(!proof.wrong.is_empty()))
}
