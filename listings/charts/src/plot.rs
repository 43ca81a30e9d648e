//! Where everything stands.
//!
//! A page makes the drawing as wide as it has room, a phone half as wide as it was made. So
//! it has few letters, large ones; the style sheet makes them smaller where the drawing is
//! large, and what had room before has room then.

use std::convert::Infallible;

use plotters::coord::CoordTranslate;
use plotters::coord::cartesian::MeshLine;
use plotters::prelude::Cartesian2d;

use crate::look::{Look, look};
use crate::pen::{FINE, lines};
use crate::rows::Rows;
use crate::ruler::{Ruler, Span};
use crate::words::tick;
use crate::{Chart, Layer, Point, Scale};

/// Of the drawing, in its own units.
pub(crate) const WIDTH: i32 = 560;
pub(crate) const HEIGHT: i32 = 460;
/// Height of a letter; and the width of most of them, and of a digit, in a wide font.
pub(crate) const TEXT: i32 = 20;
const LETTER: f64 = 11.8;
const DIGIT: f64 = 12.8;
const TOP: i32 = 34;
const BOTTOM: i32 = HEIGHT - 50;
/// Of several marks for "nothing" at one place, each stands so much above the one before.
const STACK: i32 = 17 * FINE;

/// A place on the drawing, ten to a unit.
pub(crate) type Place = (i32, i32);

/// The frame of a drawing, and what its axes show.
pub(crate) struct Plot<'a> {
    pub chart: &'a Chart,
    x: Span,
    y: Span,
    pub left: i32,
    pub right: i32,
    pub top: i32,
    pub bottom: i32,
}

/// A line of the mesh, and what stands at its end.
pub(crate) struct Tick {
    pub is_x: bool,
    pub from: Place,
    pub to: Place,
    pub says: String,
}

/// A point that is drawn.
pub(crate) struct Mark {
    pub at: Place,
    /// In the table of its layer.
    pub row: usize,
    /// It has a note, or nothing was measured.
    pub is_noted: bool,
    /// It stands at the foot, and not where its curve is.
    pub is_away: bool,
}

/// A curve that is drawn.
pub(crate) struct Curve {
    pub number: usize,
    pub look: Look,
    pub line: String,
    pub whiskers: String,
    pub marks: Vec<Mark>,
    /// Each part of the line, as places.
    pub runs: Vec<Vec<Place>>,
}

impl<'a> Plot<'a> {
    pub fn of(chart: &'a Chart) -> Self {
        let points = || chart.series.iter().flat_map(|series| &series.points);
        let x = Span::of(&chart.x, points().map(|point| point.x), 1.0);
        let seen = points().filter(|point| x.shows(point.x));
        let ranges = seen.filter_map(|point| point.range());
        let y = Span::of(&chart.y, ranges.flat_map(|(low, high)| [low, high]), 1.05);
        let mut plot =
            Self { chart, x, y, left: 0, right: 0, top: TOP * FINE, bottom: BOTTOM * FINE };
        let ticks = plot.ticks();
        let widest = ticks.iter().filter(|tick| !tick.is_x).map(|tick| width(&tick.says));
        plot.left = (widest.fold(0.0, f64::max) as i32 + 10) * FINE;
        plot.right = (WIDTH - crate::labels::room(chart)) * FINE;
        plot
    }

    /// Plotters' coordinates. (Its logarithmic ones cannot be copied.)
    fn coords(&self) -> Cartesian2d<Ruler, Ruler> {
        let actual = (self.left..self.right, self.bottom..self.top);
        Cartesian2d::new(self.x.ruler(), self.y.ruler(), actual)
    }

    /// Lines across the plot at round numbers.
    pub fn ticks(&self) -> Vec<Tick> {
        let mut ticks = Vec::new();
        // A decade says little of what is in it.
        let rows = if self.y.scale == Scale::Log { 9 } else { 6 };
        // Beside little room, fewer.
        let most = ((self.right - self.left) / FINE / 60).clamp(3, 7) as usize;
        let drawn: Result<(), Infallible> = self.coords().draw_mesh(rows, most, |line| {
            ticks.push(match line {
                MeshLine::XMesh(from, to, at) => {
                    Tick { is_x: true, from, to, says: tick(*at) }
                }
                MeshLine::YMesh(from, to, at) => {
                    Tick { is_x: false, from, to, says: tick(*at) }
                }
            });
            Ok(())
        });
        drawn.expect("nothing here fails");
        ticks
    }

    /// What is drawn, from the back to the front.
    pub fn curves(&self) -> Vec<Curve> {
        let coords = self.coords();
        let mut curves = Vec::new();
        // How many marks for "nothing" stand at an x.
        let mut stacks: Vec<(i32, i32)> = Vec::new();
        for layer in Layer::ALL {
            if layer == Layer::Book {
                // Those of 2019, which are drawn first, leave no holes where they are hidden.
                stacks.clear();
            }
            let rows = Rows::of(self.chart, layer);
            for (number, _) in self.chart.of(layer) {
                curves.push(self.curve(number, &rows, &coords, &mut stacks));
            }
        }
        curves
    }

    fn curve(
        &self,
        number: usize,
        rows: &Rows,
        coords: &Cartesian2d<Ruler, Ruler>,
        stacks: &mut Vec<(i32, i32)>,
    ) -> Curve {
        let (mut runs, mut whiskers, mut marks) = (vec![vec![]], vec![], vec![]);
        for (row, point) in rows.place(&self.chart.series[number]) {
            let is_noted = point.note.is_some();
            let y = point.y.filter(|y| self.x.shows(point.x) && self.y.shows(*y));
            if let Some(y) = y {
                runs.last_mut().expect("there is always one").push((point.x, y));
                let at = coords.translate(&(point.x, y));
                marks.push(Mark { at, row, is_noted, is_away: false });
                whiskers.extend(self.whisker(point));
                continue;
            }
            runs.push(vec![]);
            // Below what the axis shows, or nothing: a mark at the foot, if there is anything
            // to say.
            let is_below = point.y.is_some_and(|y| y < self.y.from);
            if self.x.shows(point.x) && (is_below || point.y.is_none() && is_noted) {
                let (x, _) = coords.translate(&(point.x, self.y.from));
                let at = (x, self.bottom - STACK * stacked(stacks, x));
                marks.push(Mark { at, row, is_noted: true, is_away: true });
            }
        }
        runs.retain(|run| !run.is_empty());
        let places =
            |run: &Vec<_>| run.iter().map(|point| coords.translate(point)).collect();
        Curve {
            number,
            look: look(self.chart, number),
            runs: runs.iter().map(places).collect(),
            line: lines(self.coords(), runs.into_iter().filter(|run| run.len() > 1)),
            whiskers: lines(self.coords(), whiskers),
            marks,
        }
    }

    /// From the lowest of a point's rounds to the highest, as far as the axis goes.
    fn whisker(&self, point: &Point) -> Option<Vec<(f64, f64)>> {
        let (low, high) = point.range().filter(|(low, high)| low < high)?;
        let end = |y: f64| (point.x, y.clamp(self.y.from, self.y.to));
        Some(vec![end(low), end(high)])
    }

    /// Whether the curve's last point is beyond what the axis shows.
    pub fn goes_on(&self, number: usize) -> bool {
        let points = &self.chart.series[number].points;
        points.iter().any(|point| point.x > self.x.to)
    }
}

/// How many marks stand at this x already; one more does now.
fn stacked(stacks: &mut Vec<(i32, i32)>, x: i32) -> i32 {
    match stacks.iter_mut().find(|(at, _)| (*at - x).abs() < STACK) {
        Some((_, count)) => {
            *count += 1;
            *count - 1
        }
        None => {
            stacks.push((x, 1));
            0
        }
    }
}

/// Of a text, in units.
pub(crate) fn width(text: &str) -> f64 {
    let wide = |c: char| match c {
        '.' | ',' => LETTER / 2.0,
        c if c.is_ascii_digit() => DIGIT,
        _ => LETTER,
    };
    text.chars().map(wide).sum()
}
