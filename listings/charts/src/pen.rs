//! Plotters' backend that writes path data.
//!
//! Plotters thinks in whole pixels. On a drawing that a page makes larger these would be seen
//! as steps, so the pen has ten to each unit of the drawing. And it has no colours: a path's
//! group has a class, and how that looks is the style sheet's business.

use std::convert::Infallible;
use std::fmt::Write;

use plotters::coord::Shift;
use plotters::element::PathElement;
use plotters::prelude::{BLACK, Cartesian2d, DrawingArea, IntoDrawingArea};
use plotters_backend::{
    BackendColor, BackendCoord, BackendStyle, DrawingBackend, DrawingErrorKind,
};

use crate::ruler::Ruler;

/// Pixels of plotters to a unit of the drawing.
pub(crate) const FINE: i32 = 10;

/// Writes what plotters draws as the data of one path.
pub(crate) struct Pen<'a> {
    data: &'a mut String,
    size: (u32, u32),
}

type Drawn = Result<(), DrawingErrorKind<Infallible>>;

impl DrawingBackend for Pen<'_> {
    type ErrorType = Infallible;

    fn get_size(&self) -> (u32, u32) {
        self.size
    }

    fn ensure_prepared(&mut self) -> Drawn {
        Ok(())
    }

    fn present(&mut self) -> Drawn {
        Ok(())
    }

    fn draw_pixel(&mut self, (x, y): BackendCoord, _: BackendColor) -> Drawn {
        let _ = write!(self.data, "M{}h.1", place((x, y)));
        Ok(())
    }

    fn draw_line<S: BackendStyle>(
        &mut self,
        from: BackendCoord,
        to: BackendCoord,
        style: &S,
    ) -> Drawn {
        self.draw_path([from, to], style)
    }

    fn draw_path<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        path: I,
        _: &S,
    ) -> Drawn {
        for (n, point) in path.into_iter().enumerate() {
            let _ = write!(self.data, "{}{}", if n == 0 { 'M' } else { ' ' }, place(point));
        }
        Ok(())
    }
}

/// Draws lines through points of the axes, and returns them as the data of one path.
pub(crate) fn lines(
    coords: Cartesian2d<Ruler, Ruler>,
    lines: impl IntoIterator<Item = Vec<(f64, f64)>>,
) -> String {
    let mut data = String::new();
    let pen = Pen { data: &mut data, size: (u32::MAX >> 8, u32::MAX >> 8) };
    let area: DrawingArea<Pen, Shift> = pen.into_drawing_area();
    let area = area.apply_coord_spec(coords);
    for line in lines {
        // The pen takes whatever comes, and nobody else has it.
        area.draw(&PathElement::new(line, BLACK)).expect("a string can be written to");
    }
    drop(area);
    data
}

/// A place in units of the drawing.
pub(crate) fn place((x, y): BackendCoord) -> String {
    format!("{} {}", unit(x), unit(y))
}

/// One of its coordinates.
pub(crate) fn unit(fine: i32) -> String {
    let sign = if fine < 0 { "-" } else { "" };
    match (fine.abs() / FINE, fine.abs() % FINE) {
        (whole, 0) => format!("{sign}{whole}"),
        (whole, part) => format!("{sign}{whole}.{part}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Axis;
    use crate::ruler::Span;

    #[test]
    fn lines_become_one_path_without_colour() {
        let span = || Span::of(&Axis::linear("n"), [0.0, 10.0].into_iter(), 1.0).ruler();
        let (foot, top) = (1000, 0);
        let coords = Cartesian2d::new(span(), span(), (0..1000, foot..top));
        let data = lines(
            coords,
            [vec![(0.0, 0.0), (5.0, 5.05), (10.0, 10.0)], vec![(1.0, 1.0), (1.0, 2.0)]],
        );
        assert_eq!(data, "M0 100 50 49.5 100 0M10 90 10 80");
    }

    #[test]
    fn ten_to_a_unit() {
        assert_eq!([0, 5, 10, 123, -7].map(unit), ["0", "0.5", "1", "12.3", "-0.7"]);
    }
}
