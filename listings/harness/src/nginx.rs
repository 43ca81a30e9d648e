//! nginx, as this machine has it.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;

/// How it is set up; committed, since a comparison is worth what is known of both sides.
const CONFIGURATION: &str = include_str!("../nginx.conf");

/// The command that starts it, and where it will listen.
///
/// # Errors
/// What the file system answers.
pub fn command(work: &Path, root: &Path) -> io::Result<(Command, SocketAddr)> {
    // It cannot be told to choose a port, so one is chosen for it, and given back in the hope
    // that it stays free.
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let work = work.canonicalize()?;
    let file = work.join("nginx.conf");
    fs::write(&file, configuration(address, &root.canonicalize()?, &work))?;
    let mut command = Command::new("nginx");
    command.arg("-e").arg("stderr").arg("-p").arg(&work).arg("-c").arg(&file);
    Ok((command, address))
}

fn configuration(address: SocketAddr, root: &Path, work: &Path) -> String {
    CONFIGURATION
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            line.replace("@LISTEN@", &address.to_string())
                .replace("@ROOT@", &format!("\"{}\"", root.display()))
                .replace("@WORK@", &work.display().to_string())
                + "\n"
        })
        .collect()
}

/// Whether it is there.
#[must_use]
pub fn is_installed() -> bool {
    Command::new("nginx").arg("-v").output().is_ok_and(|output| output.status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_the_template_is_left() {
        let text =
            configuration(([127, 0, 0, 1], 81).into(), Path::new("/r"), Path::new("/w"));
        assert!(
            text.contains("listen 127.0.0.1:81 backlog") && text.contains("root \"/r\";")
        );
        assert!(text.contains("pid /w/nginx.pid") && !text.contains(['@', '#']), "{text}");
    }
}
