//! The data that the book shows: the chart is drawn from it, and it bears out what the chapter
//! says about it.
#![cfg(target_os = "linux")]

use std::fs;
use std::path::Path;

use clone_cost::create::Created;
use clone_cost::data::{Beside, Data, Takers};
use clone_cost::figure;
use clone_cost::idle::{Stays, Who};
use clone_cost::memory::Kind;
use clone_cost::switch::Between;

fn recorded() -> Data {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("recorded.json");
    Data::read(&file).expect("cargo run --release -p clone-cost -- record writes it")
}

#[test]
fn the_chart_is_what_the_data_gives() {
    let file =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../src/figures/clone-cost.svg");
    let drawn = fs::read_to_string(file).expect("the chart");
    assert!(
        drawn == figure::draw(&recorded()),
        "src/figures/clone-cost.svg is not drawn from recorded.json: \
         cargo run -p clone-cost -- figure"
    );
}

#[test]
fn every_cell_was_measured_in_every_round() {
    let data = recorded();
    assert!(data.rounds >= 5, "{} rounds", data.rounds);
    assert!(data.environment.optimized, "measured without optimization");
    assert!(data.left_out.is_empty(), "{:?}", data.left_out);
    assert_eq!((data.creation.len(), data.turns.len(), data.idle.len()), (15, 9, 2));
    let rounds = data.creation.iter().map(|cell| cell.samples.len());
    let rounds = rounds.chain(data.turns.iter().map(|cell| cell.samples.len()));
    let mut rounds = rounds.chain(data.idle.iter().map(|cell| cell.samples.len()));
    assert!(rounds.all(|number| number == data.rounds));
}

/// A median of what was made beside so much memory.
fn made(data: &Data, memory: Kind, mib: usize, of: fn(&Created) -> f64) -> f64 {
    let beside = Beside { memory, mib };
    let cell =
        data.creation.iter().find(|cell| cell.what == beside).expect("it was measured");
    cell.spread(of).median
}

fn turn(data: &Data, between: Between, cores: usize) -> f64 {
    let takers = Takers { between, cores };
    let cell = data.turns.iter().find(|cell| cell.what == takers).expect("it was measured");
    cell.spread(|turn| turn.ns).median
}

/// The words of the chapter, with room for a machine that is not as quiet as the last one.
#[test]
fn what_the_chapter_says_is_in_the_data() {
    let data = recorded();
    let fork: fn(&Created) -> f64 = |made| made.fork.call;
    let thread: fn(&Created) -> f64 = |made| made.thread.call;
    let spawn: fn(&Created) -> f64 = |made| made.spawn.call;
    let near = |ratio: f64, low: f64, high: f64, what: &str| {
        assert!((low..=high).contains(&ratio), "{what}: {ratio:.2}");
    };
    let private = |mib, of| made(&data, Kind::Private, mib, of);
    near(private(0, fork) / private(0, thread), 3.0, 20.0, "fork and thread, no memory");
    near(private(1024, fork) / private(1024, thread), 500.0, 20_000.0, "with 1 GiB");
    near(private(1024, fork) / private(64, fork), 8.0, 60.0, "sixteen times the memory");
    near(private(1024, thread) / private(0, thread), 0.5, 6.0, "a thread does not grow");
    near(private(1024, spawn) / private(0, spawn), 0.4, 4.0, "spawn does not grow");
    near(private(0, spawn) / private(0, fork), 1.2, 20.0, "spawn, no memory");
    near(private(64, fork) / private(64, spawn), 1.2, 50.0, "fork overtakes spawn");
    let huge = made(&data, Kind::Huge, 1024, fork);
    near(private(1024, fork) / huge, 10.0, 300.0, "huge pages");
    let shared = |mib| made(&data, Kind::Shared, mib, fork);
    near(shared(1024) / shared(0), 0.5, 6.0, "shared memory does not count");

    let (pipes, alone) = (turn(&data, Between::Threads, 1), turn(&data, Between::Alone, 1));
    near(turn(&data, Between::Processes, 1) / pipes, 0.9, 1.6, "processes and threads");
    near(pipes / alone, 2.0, 6.0, "with switches and without");
    near(pipes / turn(&data, Between::Machines, 1), 100.0, 2000.0, "two state machines");
    near(turn(&data, Between::Threads, 2) / pipes, 5.0, 200.0, "a processor that sleeps");

    let stays = |who| {
        let cell =
            data.idle.iter().find(|cell| cell.what.who == who).expect("it was measured");
        (cell.spread(Stays::sum).median, cell.spread(|stays| stays.kernel_stack).median)
    };
    let ((process, of_process), (thread, of_thread)) =
        (stays(Who::Processes), stays(Who::Threads));
    near(of_process / of_thread, 0.8, 1.25, "kernel stacks");
    near(process / thread, 2.0, 8.0, "a process and a thread that wait");
}
