//! How far a run is, and how long it will still take.

use std::io::{self, IsTerminal};
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};

use crate::plan::{spoken, time_left};
use crate::record::{Cell, Key};

/// A bar on a terminal; a line for each cell where there is none.
#[derive(Debug)]
pub struct Progress {
    bar: Option<ProgressBar>,
    cells: usize,
    done: usize,
    began: Instant,
    /// Seconds, as they were estimated: of what is done in this run, and of what is left.
    estimated: (f64, f64),
}

impl Progress {
    /// Of so many cells some are there already, and the others will take so many seconds.
    #[must_use]
    pub fn new(cells: usize, done: usize, seconds: f64) -> Self {
        let bar = io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(cells as u64).with_position(done as u64);
            let style = ProgressStyle::with_template("{pos}/{len} [{bar:24}] {msg}");
            // The template is ours; with a mistake in it the standard one does.
            bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        Self { bar, cells, done, began: Instant::now(), estimated: (0.0, seconds) }
    }

    fn left(&self) -> String {
        let (done, left) = self.estimated;
        spoken(time_left(done, self.began.elapsed().as_secs_f64(), left))
    }

    /// This cell is being measured.
    pub fn begins(&self, key: &Key) {
        if let Some(bar) = &self.bar {
            bar.set_message(format!("{} left; {key}", self.left()));
            bar.tick();
        }
    }

    /// This came of it, and so many seconds had been estimated.
    pub fn ends(&mut self, cell: &Cell, estimate: f64) {
        self.done += 1;
        self.estimated.0 += estimate;
        self.estimated.1 = (self.estimated.1 - estimate).max(0.0);
        let (number, key) = (self.done, &cell.key);
        let what = match cell.rate() {
            Some(rate) => format!("{rate:.0} a second"),
            None => cell.ending.to_string(),
        };
        match &self.bar {
            Some(bar) => bar.inc(1),
            None => {
                eprintln!("{number}/{}: {key}: {what}; {} left", self.cells, self.left())
            }
        }
    }

    /// Nothing more comes.
    pub fn over(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
