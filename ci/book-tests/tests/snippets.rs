//! The snippets of the book, each a test called after its chapter and line; written by
//! build.rs.

include!(concat!(env!("OUT_DIR"), "/snippets.rs"));
