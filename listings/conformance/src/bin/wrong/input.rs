//! What a careless parser makes of a head: the bytes are rewritten before the careful one
//! sees them.

use crate::fault::Fault;

/// The input of one connection, as far as a fault changes it.
#[derive(Debug)]
pub struct Input {
    fault: Option<Fault>,
    /// The first head, until it is complete.
    head: Vec<u8>,
    past_head: bool,
}

impl Input {
    /// The input of a fresh connection.
    pub fn new(fault: Option<Fault>) -> Self {
        use Fault::{BareLf, ChunksWin, EndlessHead, HeadIsGet, NoHost};
        let careless =
            matches!(fault, Some(BareLf | ChunksWin | EndlessHead | HeadIsGet | NoHost));
        Self { fault, head: Vec::new(), past_head: !careless }
    }

    /// Takes bytes off the network and gives those that the parser is to see.
    pub fn pass(&mut self, bytes: &[u8]) -> Vec<u8> {
        if self.past_head {
            return bytes.to_vec();
        }
        self.head.extend_from_slice(bytes);
        let Some(end) = self.end() else { return Vec::new() };
        self.past_head = true;
        let rest = self.head.split_off(end);
        let head = String::from_utf8_lossy(&self.head).into_owned();
        [self.rewrite(&head).into_bytes(), rest].concat()
    }

    fn end(&self) -> Option<usize> {
        let ends: &[&[u8]] = match self.fault {
            Some(Fault::BareLf) => &[b"\n\r\n", b"\n\n"],
            _ => &[b"\r\n\r\n"],
        };
        let found = ends.iter().filter_map(|end| {
            self.head
                .windows(end.len())
                .position(|window| window == *end)
                .map(|at| at + end.len())
        });
        found.min()
    }

    fn rewrite(&self, head: &str) -> String {
        let lines = || head.split_inclusive('\n');
        let named = |line: &str, name: &str| line.to_ascii_lowercase().starts_with(name);
        match self.fault {
            Some(Fault::NoHost) if !lines().any(|line| named(line, "host:")) => {
                head.replacen("\r\n", "\r\nHost: a\r\n", 1)
            }
            Some(Fault::HeadIsGet) if head.starts_with("HEAD ") => {
                head.replacen("HEAD", "GET", 1)
            }
            Some(Fault::BareLf) => head.replace("\r\n", "\n").replace('\n', "\r\n"),
            Some(Fault::ChunksWin)
                if lines().any(|line| named(line, "transfer-encoding:")) =>
            {
                lines().filter(|line| !named(line, "content-length:")).collect()
            }
            Some(Fault::EndlessHead) => lines().filter(|line| line.len() < 1000).collect(),
            _ => head.into(),
        }
    }
}
