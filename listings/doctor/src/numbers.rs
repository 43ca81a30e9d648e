//! Numbers as the book writes them.

/// With its thousands grouped: `1,008,000`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Bytes in the unit that shows them best: `512 MiB`, `23.5 GiB`.
pub fn bytes(number: u64) -> String {
    match number {
        0..0x10_0000 => format!("{} KiB", number >> 10),
        0x10_0000..0x4000_0000 => format!("{} MiB", number >> 20),
        _ => format!("{:.1} GiB", number as f64 / f64::from(1 << 30)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        let shown = [0, 999, 1_000, 20_000, 1_008_000].map(grouped);
        assert_eq!(shown, ["0", "999", "1,000", "20,000", "1,008,000"]);
    }

    #[test]
    fn bytes_take_the_unit_that_fits() {
        let shown = [0, 65_536, 8 << 20, 25_276_506_112].map(bytes);
        assert_eq!(shown, ["0 KiB", "64 KiB", "8 MiB", "23.5 GiB"]);
    }
}
