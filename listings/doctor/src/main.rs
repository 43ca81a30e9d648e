//! Looks at this machine and prints what it found.

use std::process::ExitCode;

#[derive(clap::Parser)]
#[command(about = "What this machine allows, and which chapters of the book that affects")]
#[cfg_attr(not(target_os = "linux"), allow(dead_code))]
struct Look {
    /// Print the findings as JSON
    #[arg(long)]
    json: bool,
}

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    use std::io::{self, ErrorKind, Write};
    use std::path::Path;

    let look: Look = flags::parse();
    let report = doctor::examine(Path::new("."));
    let text = if look.json { format!("{:#}", report.json()) } else { report.to_string() };
    match writeln!(io::stdout(), "{text}") {
        // Whoever closes the pipe has read enough.
        Err(error) if error.kind() != ErrorKind::BrokenPipe => flags::fail(
            flags::FAILED,
            format_args!("doctor: cannot write to standard output: {error}; is it open?"),
        ),
        _ => ExitCode::SUCCESS,
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    let _: Look = flags::parse();
    flags::needs_linux("doctor")
}
