//! Where the reads begin, and what must stand there.

use aio_direct::bench::scramble;

/// Blocks of a file at random, for ever.
#[derive(Clone, Debug)]
pub struct Places {
    blocks: u64,
    block: u64,
    state: u64,
}

impl Places {
    /// Whole blocks of a file of so many bytes: at least one. Another seed gives other places,
    /// since a disk remembers, too.
    #[must_use]
    pub fn new(size: u64, block: u32, seed: u64) -> Self {
        let block = u64::from(block);
        Self { blocks: (size / block).max(1), block, state: scramble(seed) }
    }
}

impl Iterator for Places {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        self.state = self.state.wrapping_add(1);
        Some(scramble(self.state) % self.blocks * self.block)
    }
}

/// What stands at a place that is a multiple of 8: its own address, in disorder. A disk that
/// compresses gains nothing, and a block that came from elsewhere is noticed.
#[must_use]
pub fn word(at: u64) -> [u8; 8] {
    scramble(at).to_le_bytes()
}

/// The content of the file from here on: both multiples of 8.
#[must_use]
pub fn content(from: u64, length: usize) -> Vec<u8> {
    (from..from + length as u64).step_by(8).flat_map(word).collect()
}

/// Whether a block is the one that begins here, as far as its two ends can tell.
#[must_use]
pub fn is_right(at: u64, block: &[u8], length: usize) -> bool {
    block.len() == length
        && block.starts_with(&word(at))
        && block.ends_with(&word(at + length as u64 - 8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_whole_blocks_and_all_of_them() {
        let places: Vec<u64> = Places::new(4 * 4096 + 1, 4096, 7).take(200).collect();
        assert!(places.iter().all(|at| at % 4096 == 0 && *at < 4 * 4096));
        for block in 0..4 {
            assert!(places.contains(&(block * 4096)), "{block} never came");
        }
        let others: Vec<u64> = Places::new(4 * 4096 + 1, 4096, 8).take(200).collect();
        assert_ne!(places, others);
    }

    #[test]
    fn a_block_from_elsewhere_or_cut_short_is_noticed() {
        let content = content(4096, 8192);
        assert!(is_right(4096, &content[..4096], 4096));
        assert!(is_right(8192, &content[4096..], 4096));
        assert!(!is_right(8192, &content[..4096], 4096));
        assert!(!is_right(4096, &content[..4088], 4096));
        assert!(!is_right(4096, &[&content[..4088], &[0; 8]].concat(), 4096));
    }
}
