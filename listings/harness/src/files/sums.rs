//! The rounds of a cell, together, and beside those of fio.

use super::report::{Case, Cell, Engine, Ratio, Reader, Round, Way};
use super::spread::Spread;
use crate::figures;

/// The cells of these rounds, in the order of their first rounds.
#[must_use]
pub fn cells(rounds: &[Round]) -> Vec<Cell> {
    let mut cells: Vec<Cell> = Vec::new();
    for Round { case, reader, .. } in rounds {
        if !cells.iter().any(|cell| (cell.case, cell.reader) == (*case, *reader)) {
            cells.push(cell(&of(rounds, *case, *reader)));
        }
    }
    cells
}

fn of(rounds: &[Round], case: Case, reader: Reader) -> Vec<&Round> {
    rounds.iter().filter(|round| (round.case, round.reader) == (case, reader)).collect()
}

/// `rounds` has one at least.
fn cell(rounds: &[&Round]) -> Cell {
    let of = |figure: fn(&Round) -> f64| {
        Spread::of(&rounds.iter().map(|round| figure(round)).collect::<Vec<_>>())
    };
    let cpu: Vec<f64> = rounds.iter().filter_map(|round| round.cpu_us).collect();
    let Round { case, reader, .. } = *rounds[0];
    Cell {
        case,
        reader,
        rounds: rounds.len(),
        per_second: of(|round| round.per_second),
        p50_us: of(|round| round.latency_us.p50),
        p99_us: of(|round| round.latency_us.p99),
        p999_us: of(|round| round.latency_us.p999),
        cpu_us: (!cpu.is_empty()).then(|| Spread::of(&cpu)),
        caveat: case.caveat().map(str::to_owned),
    }
}

/// Ours against fio's, for each cell that both have read more than once: the ratio of each
/// round, since what ran one behind the other saw the same disk.
#[must_use]
pub fn ratios(rounds: &[Round]) -> Vec<Ratio> {
    let ratio = |cell: &Cell| {
        let rates = |reader| {
            let of_cell = of(rounds, cell.case, reader);
            let rate = |round: &&Round| (round.round as usize, round.per_second);
            of_cell.iter().map(rate).collect::<Vec<_>>()
        };
        let ratio = figures::Ratio::of(&rates(Reader::Book), &rates(Reader::Fio))?;
        let case = cell.case;
        Some(Ratio { case, ratio: ratio.pairs.into(), floor: floor(case) })
    };
    let cells = cells(rounds);
    cells.iter().filter(|cell| cell.reader == Reader::Book).filter_map(ratio).collect()
}

/// What `aio-direct` and `uring-read` must make of what fio makes.
fn floor(case: Case) -> Option<f64> {
    let counts = match case.engine {
        Engine::Aio => case.way == Way::Direct,
        Engine::IoUring => true,
        Engine::Blocking | Engine::Pool => false,
    };
    counts.then_some(0.9)
}

#[cfg(test)]
mod tests {
    use super::super::report::{AIO_BLOCKS, Latency, Line};
    use super::*;

    fn round(
        engine: Engine,
        way: Way,
        reader: Reader,
        round: u32,
        per_second: f64,
    ) -> Round {
        let case = Case { engine, way, depth: 4, block: 4096 };
        let latency_us = Latency { p50: 1.0, p99: per_second, p999: 3.0, max: 4.0 };
        let cpu_us = (reader == Reader::Book).then_some(2.0);
        Round {
            case,
            reader,
            round,
            reads: 10,
            seconds: 1.0,
            per_second,
            latency_us,
            cpu_us,
        }
    }

    #[test]
    fn rounds_of_a_cell_become_a_median_and_a_range() {
        let (aio, ring) = (Engine::Aio, Engine::IoUring);
        let rounds = [
            round(aio, Way::Direct, Reader::Book, 1, 100.0),
            round(ring, Way::Direct, Reader::Book, 1, 7.0),
            round(aio, Way::Direct, Reader::Fio, 1, 50.0),
            round(aio, Way::Direct, Reader::Book, 2, 300.0),
            round(aio, Way::Cached, Reader::Book, 2, 9.0),
        ];
        let cells = cells(&rounds);
        let who: Vec<_> =
            cells.iter().map(|c| (c.case.engine, c.reader, c.rounds)).collect();
        let (book, fio) = (Reader::Book, Reader::Fio);
        assert_eq!(who, [(aio, book, 2), (ring, book, 1), (aio, fio, 1), (aio, book, 1)]);
        let spread = Spread { median: 200.0, low: 100.0, high: 300.0 };
        assert_eq!((cells[0].per_second, cells[0].p99_us), (spread, spread));
        assert!(cells[0].cpu_us.is_some() && cells[2].cpu_us.is_none());
        // Nobody must take the depth of cached AIO for one.
        assert_eq!(cells[3].caveat.as_deref(), Some(AIO_BLOCKS));
        assert_eq!(cells[0].caveat, None);
    }

    #[test]
    fn a_floor_is_missed_by_the_median_of_the_rounds() {
        let both = |engine, way, number, ours| {
            [
                round(engine, way, Reader::Book, number, ours),
                round(engine, way, Reader::Fio, number, 100.0),
            ]
        };
        let of = |engine, way, rates: [f64; 3]| {
            let rounds: Vec<_> = [1, 2, 3]
                .into_iter()
                .flat_map(|number| both(engine, way, number, rates[number as usize - 1]))
                .collect();
            ratios(&rounds)[0]
        };
        let fast = of(Engine::IoUring, Way::Cached, [91.0, 10.0, 200.0]);
        assert_eq!(fast.ratio, Spread { median: 0.91, low: 0.1, high: 2.0 });
        assert_eq!((fast.floor, fast.is_below()), (Some(0.9), false));
        assert!(of(Engine::Aio, Way::Direct, [89.0, 89.0, 200.0]).is_below());
        assert!(!of(Engine::Aio, Way::Cached, [1.0; 3]).is_below());
        assert!(!of(Engine::Blocking, Way::Direct, [1.0; 3]).is_below());
        // What was seen once is no ratio.
        assert_eq!(ratios(&both(Engine::Aio, Way::Direct, 1, 1.0)), []);
    }

    #[test]
    fn a_line_can_be_read_again() {
        let rounds = [round(Engine::IoUring, Way::Direct, Reader::Book, 1, 100.0)];
        for line in [Line::Round(rounds[0]), Line::Cell(cells(&rounds)[0].clone())] {
            let json = serde_json::to_string(&line).unwrap();
            assert!(
                json.contains(r#""engine":"io_uring","way":"direct","depth":4"#),
                "{json}"
            );
            assert_eq!(serde_json::from_str::<Line>(&json).unwrap(), line);
        }
    }
}
