//! Builds the book, serves it on loopback, and runs its listings.
//!
//! | module | what it does |
//! | --- | --- |
//! | [`site`] | the static site: mdBook's HTML, and mermaid on the pages that need it |
//! | [`watch`] | tells when something that the book is made of has changed |
//! | [`serve`] | the site on 127.0.0.1, rebuilt on change, with what only this server can do: Run |
//! | [`run`] | one run: compile the listing, then run it, line by line |
//! | [`trace`] | the same for a server under the tracer, whose timeline the page gets |
//! | [`guard`] | the process that sees to it that nothing of a run stays behind |

pub mod guard;
mod phase;
pub mod run;
pub mod serve;
pub mod site;
pub mod trace;
pub mod watch;
