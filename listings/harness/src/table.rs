//! Text in columns.

use std::fmt;

/// Rows of the same length; the first one names the columns.
#[derive(Clone, Debug, Default)]
pub struct Table {
    rows: Vec<Vec<String>>,
    /// How many columns are words; the others are numbers, whose ends stand below each other.
    words: usize,
}

impl Table {
    /// With these columns, the first so many of words.
    #[must_use]
    pub fn new<S: Into<String>>(names: impl IntoIterator<Item = S>, words: usize) -> Self {
        Self { rows: vec![names.into_iter().map(Into::into).collect()], words }
    }

    /// Adds a row.
    pub fn push(&mut self, row: Vec<String>) {
        self.rows.push(row);
    }

    /// Whether there is no row below the names.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.len() < 2
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let length = |column: usize| {
            let texts = self.rows.iter().filter_map(|row: &Vec<String>| row.get(column));
            texts.map(|text| text.chars().count()).max().unwrap_or(0)
        };
        let lengths: Vec<usize> = (0..columns).map(length).collect();
        for row in &self.rows {
            let mut line = String::new();
            for (column, (text, length)) in row.iter().zip(&lengths).enumerate() {
                match column < self.words {
                    true => line += &format!("{text:length$}  "),
                    false => line += &format!("{text:>length$}  "),
                }
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_begin_and_numbers_end_below_each_other() {
        let mut table = Table::new(["what", "µs"], 1);
        assert!(table.is_empty());
        table.push(vec!["a".into(), "1,000".into()]);
        table.push(vec!["longer".into(), "7".into()]);
        assert_eq!(table.to_string(), "what       µs\na       1,000\nlonger      7\n");
    }
}
