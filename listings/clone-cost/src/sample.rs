//! Each sample is taken by a process of its own, so that none finds what another left: memory
//! that is mapped, stacks that are kept for the next thread, pages that are read only.

use std::env;
use std::io::{self, ErrorKind};
use std::process::{Command, ExitCode};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::create::create;
use crate::idle::{self, idle};
use crate::memory::Kind;
use crate::switch::{Between, switch};

/// What is measured once.
#[derive(Clone, Copy, Debug, clap::Subcommand)]
pub enum Sample {
    /// A process and a thread are made
    Create {
        /// The memory beside which they are made
        memory: Kind,
        /// How much of it
        mib: usize,
    },
    /// Two take turns
    Switch {
        /// Who they are
        between: Between,
        /// On how many processors
        cores: usize,
    },
    /// Some wait
    Idle {
        /// Who they are
        who: idle::Who,
        /// How many
        number: usize,
    },
}

impl Sample {
    /// Takes it here, and prints it as JSON.
    pub fn print(self) -> ExitCode {
        let line = match self {
            Self::Create { memory, mib } => line(create(memory, mib)),
            Self::Switch { between, cores } => line(switch(between, cores)),
            Self::Idle { who, number } => line(idle(who, number)),
        };
        match line {
            Ok(line) => {
                println!("{line}");
                ExitCode::SUCCESS
            }
            Err(error) if error.kind() == ErrorKind::Unsupported => {
                flags::fail(flags::REFUSED, error)
            }
            Err(error) => flags::fail(flags::FAILED, error),
        }
    }
}

fn line(sample: io::Result<impl Serialize>) -> io::Result<String> {
    Ok(serde_json::to_string(&sample?)?)
}

/// Has this program take a sample, in a process of its own.
///
/// # Errors
/// `Unsupported`: this machine has no such thing, for the reason that the error says.
pub fn take<T: DeserializeOwned>(words: &[String]) -> io::Result<T> {
    let output = Command::new(env::current_exe()?).arg("sample").args(words).output()?;
    if output.status.success() {
        return Ok(serde_json::from_slice(&output.stdout)?);
    }
    let refused = output.status.code() == Some(i32::from(flags::REFUSED));
    let kind = if refused { ErrorKind::Unsupported } else { ErrorKind::Other };
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::new(kind, format!("{}: {}", words.join(" "), said.trim())))
}
