//! Numbers and text as they are printed.

/// For text and for attributes of HTML and SVG. A line break would end a line of the table,
/// and two of them the block that Markdown takes a figure for.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // XML has no such characters, not even escaped.
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// As precise as a measurement is, with commas: 12,346, 17.3, 0.04.
pub(crate) fn number(value: f64) -> String {
    if !value.is_finite() {
        return "–".to_owned();
    }
    let decimals = match value.abs() {
        whole if whole >= 100.0 => 0,
        ten if ten >= 10.0 => 1,
        one if one >= 1.0 => 2,
        0.0 => 0,
        // Two digits that are not zero.
        small => (1.0 - small.log10().floor()).min(12.0) as usize,
    };
    let digits = format!("{:.decimals$}", value.abs());
    let (whole, part) = digits.split_once('.').unwrap_or((&digits, ""));
    let mut out = String::from(if value < 0.0 { "−" } else { "" });
    for (n, digit) in whole.chars().enumerate() {
        if n > 0 && (whole.len() - n).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    let part = part.trim_end_matches('0');
    if !part.is_empty() {
        out.push('.');
        out.push_str(part);
    }
    out
}

/// A number beside an axis: 500, 1,000, 15k, 2M.
pub(crate) fn tick(value: f64) -> String {
    let whole = |unit: f64| (value / unit * 10.0).fract() == 0.0;
    match value.abs() {
        big if big >= 1e6 && whole(1e6) => format!("{}M", number(value / 1e6)),
        big if big >= 1e4 && whole(1e3) => format!("{}k", number(value / 1e3)),
        _ => number(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_as_precise_as_a_measurement() {
        let cases = [
            (0.0, "0"),
            (7.0, "7"),
            (1.5, "1.5"),
            (17.34, "17.3"),
            (99.96, "100"),
            (999.6, "1,000"),
            (1000.0, "1,000"),
            (122_345.6, "122,346"),
            (1_234_567.0, "1,234,567"),
            (0.042, "0.042"),
            (-1234.0, "−1,234"),
            (f64::NAN, "–"),
        ];
        for (value, says) in cases {
            assert_eq!(number(value), says);
        }
    }

    #[test]
    fn a_tick_is_short() {
        let cases = [
            (500.0, "500"),
            (1000.0, "1,000"),
            (10_000.0, "10k"),
            (12_500.0, "12.5k"),
            (12_345.0, "12,345"),
            (120_000.0, "120k"),
            (1e6, "1M"),
            (2.5e6, "2.5M"),
            (0.5, "0.5"),
        ];
        for (value, says) in cases {
            assert_eq!(tick(value), says);
        }
    }

    #[test]
    fn text_says_nothing_to_the_parser() {
        assert_eq!(escaped("a<b> & \"c\"\n\nd"), "a&lt;b&gt; &amp; &quot;c&quot;  d");
    }
}
