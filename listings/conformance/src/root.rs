//! The folder that a server under test serves, and the secrets beside it that it must never
//! serve.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tempfile::TempDir;

/// Content of `small.txt`.
pub const SMALL: &str = "A small file, served whole.\n";
/// Content of `index.html`.
pub const INDEX: &str =
    "<!doctype html><title>The root</title><p>The page of the root.</p>\n";
/// Content of `sub/index.html`.
pub const SUB_INDEX: &str =
    "<!doctype html><title>A folder</title><p>The page of the folder.</p>\n";
/// Content of `canary-request`: who gets this on a table of smuggled requests was answered
/// one request too many.
pub const SMUGGLED: &str = "the-smuggled-request-was-answered\n";
/// What the files outside the root hold.
pub const CANARY: &str = "canary-outside-the-root";
/// Length of `big.bin`, in bytes.
pub const BIG: usize = 10 * 1024 * 1024;

/// A temporary folder with `root/` in it, and beside that what must stay out of reach.
/// Removed when dropped.
#[derive(Debug)]
pub struct Root {
    top: TempDir,
}

impl Root {
    /// Writes the folder. Every file's time of modification lies an hour back, so that it
    /// is a strong validator (RFC 9110 section 8.8.2.2).
    pub fn new() -> io::Result<Self> {
        let mut folder = tempfile::Builder::new();
        // For a server that has become another user, too.
        folder.prefix("who-waits-").permissions(Permissions::from_mode(0o755));
        let top = folder.tempdir()?;
        let root = Self { top };
        fs::create_dir_all(root.path().join("sub/deep"))?;
        fs::create_dir_all(root.path().join("empty"))?;
        fs::create_dir_all(root.top().join("root-secret"))?;
        for (name, content) in [
            ("small.txt", SMALL),
            ("index.html", INDEX),
            ("sub/index.html", SUB_INDEX),
            ("sub/deep/leaf.txt", "A leaf.\n"),
            ("with space.txt", "A name with a space.\n"),
            ("a+b.txt", "A name with a plus.\n"),
            ("é.txt", "A name outside ASCII.\n"),
            ("zero.txt", ""),
            ("canary-request", SMUGGLED),
        ] {
            root.write(name, content.as_bytes())?;
        }
        for name in ["canary.txt", "root-secret/canary.txt"] {
            fs::write(root.top().join(name), CANARY)?;
        }
        symlink("../canary.txt", root.path().join("link-out"))?;
        symlink("..", root.path().join("folder-out"))?;
        symlink(root.top().join("canary.txt"), root.path().join("link-absolute"))?;
        symlink("link-out", root.path().join("link-to-link"))?;
        symlink("../../canary.txt", root.path().join("sub/link-out"))?;
        symlink("small.txt", root.path().join("link-inside"))?;
        symlink("link-to-itself", root.path().join("link-to-itself"))?;
        symlink("nowhere", root.path().join("link-to-nowhere"))?;
        Ok(root)
    }

    /// The folder to serve.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.top().join("root")
    }

    /// The folder around it.
    #[must_use]
    pub fn top(&self) -> &Path {
        self.top.path()
    }

    /// Writes a file below the root, dated an hour back.
    pub fn write(&self, name: &str, content: &[u8]) -> io::Result<()> {
        let path = self.path().join(name);
        fs::write(&path, content)?;
        File::options()
            .write(true)
            .open(path)?
            .set_modified(SystemTime::now() - Duration::from_secs(3600))
    }

    /// Writes `big.bin`, 10 MB in which no part is like another, and returns its content.
    pub fn write_big(&self) -> io::Result<Vec<u8>> {
        let mut content = Vec::with_capacity(BIG);
        for at in 0..BIG as u64 / 8 {
            content
                .extend_from_slice(&at.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
        }
        self.write("big.bin", &content)?;
        Ok(content)
    }
}
