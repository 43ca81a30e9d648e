//! The book program as its users meet it: from a shell, and from a page.

mod cli;
#[cfg(target_os = "linux")]
mod client;
mod fixture;
#[cfg(target_os = "linux")]
mod serve;
