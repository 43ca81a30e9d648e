//! The guestbook: the application that every model of the book serves, without I/O.
//!
//! Files from a folder, a page that counts its visitors and shows their remarks, and a form
//! to add one. Count and remarks live in a store that speaks the Redis protocol, so that
//! one request mixes network calls and file calls, and waits. Nothing here waits itself:
//! what is to be done comes out as a [`Job`], what came of it goes back in.
//!
//! | file | noun |
//! | --- | --- |
//! | `guest.rs` | [`Guest`]: one connected client; HTTP in front, the application behind |
//! | `path.rs` | [`RelPath`]: a path below the root, decoded once and checked |
//! | `page.rs` | the page, and the form that comes back |
//! | `store.rs` | [`StoreCall`] and [`Reply`]: what is asked of the store, and its answer |
//! | `store_pipe.rs` | [`StorePipe`]: many callers over one store connection |

mod guest;
mod page;
mod path;
mod store;
mod store_pipe;

pub use guest::{Guest, Job};
pub use http1::{Finish, Kind, Meta, Now, Out, Settings};
pub use page::{is_remark, render};
pub use path::RelPath;
pub use store::{KEPT, Reply, SHOWN, StoreCall, StoreError, Value};
pub use store_pipe::{StorePipe, Unusable};
