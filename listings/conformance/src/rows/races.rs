//! Row 23: races. ThreadSanitizer looks for them in `ci/tsan.sh`; here every byte is checked
//! that threads answer at the same time.

use std::thread;
use std::time::Duration;

use super::load::Load;
use crate::model::Model;
use crate::report::{Report, Tally, repeats};
use crate::server::Server;

/// Clients that ask at the same time.
const CLIENTS: usize = 32;

/// Files, pages and kept connections, all at once.
pub fn run(model: &Model) -> Result<Report, String> {
    if !model.threads {
        return Ok(Report::not_applicable("no two threads share memory"));
    }
    let server = Server::start(model, &[])?;
    let mut tally = Tally::of(model);
    tally.case(format!("{CLIENTS} clients at the same time"), || {
        let load = Load::default();
        load.during(server.address, CLIENTS, || {
            thread::sleep(Duration::from_secs(repeats(1, 30) as u64));
            Ok(())
        })?;
        load.lost_at_most(0)
    });
    server.conclude(tally)
}
