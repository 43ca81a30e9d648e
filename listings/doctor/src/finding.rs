//! What one look at the machine came to.

use std::fmt;

/// Whether the machine allows what the book needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It does.
    Yes,
    /// Less than some chapter needs.
    Limited,
    /// It does not.
    No,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Yes => "yes",
            Self::Limited => "limited",
            Self::No => "no",
        })
    }
}

/// One thing that was tried or looked up.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Its name, the same on every machine.
    pub name: &'static str,
    /// Whether it is as the book needs it.
    pub verdict: Verdict,
    /// What was found, with numbers.
    pub found: String,
    /// The titles of the chapters that depend on it, whatever the verdict.
    pub chapters: &'static [&'static str],
    /// What to do where the verdict is not yes, and what can be done without.
    pub remedy: Option<String>,
}

impl Finding {
    /// As the book needs it.
    pub fn yes(
        name: &'static str,
        chapters: &'static [&'static str],
        found: impl Into<String>,
    ) -> Self {
        Self { name, verdict: Verdict::Yes, found: found.into(), chapters, remedy: None }
    }

    /// Less than some chapter needs.
    pub fn limited(
        name: &'static str,
        chapters: &'static [&'static str],
        found: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        let remedy = Some(remedy.into());
        Self { name, verdict: Verdict::Limited, found: found.into(), chapters, remedy }
    }

    /// Not there at all.
    pub fn no(
        name: &'static str,
        chapters: &'static [&'static str],
        found: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { verdict: Verdict::No, ..Self::limited(name, chapters, found, remedy) }
    }
}
