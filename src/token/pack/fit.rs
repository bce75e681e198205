//! Best-fit packing of pieces into rows.
//!
//! Best-fit decreasing (Johnson 1973) over a window of pieces at a time; rows left open stay
//! candidates for later windows. Pieces are never split here. In memory is a number for each row
//! that has room left.

use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Rows of a fixed length on their way to be full.
pub(super) struct Fit {
    length: usize,
    rows: u64,
    /// Open rows by the room that they have left.
    open: BTreeMap<usize, Vec<u64>>,
}

impl Fit {
    /// No rows yet.
    pub fn new(length: usize) -> Self {
        Self { length, rows: 0, open: BTreeMap::new() }
    }

    /// Rows so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The row of each piece of a window, given their sizes, which must be 1 to `length`; no row's
    /// sizes sum to more than `length`.
    pub fn place(&mut self, sizes: &[usize]) -> Vec<u64> {
        let mut order: Vec<usize> = (0..sizes.len()).collect();
        order.sort_by_key(|i| (Reverse(sizes[*i]), *i));
        let mut rows = vec![0; sizes.len()];
        for piece in order {
            let size = sizes[piece];
            let fitting = self.open.range(size..).next().map(|(room, _)| *room);
            let (row, room) = match fitting {
                Some(room) => (self.take(room), room),
                None => (None, self.length),
            };
            let row = row.unwrap_or_else(|| {
                self.rows += 1;
                self.rows - 1
            });
            rows[piece] = row;
            if room > size {
                self.open.entry(room - size).or_default().push(row);
            }
        }
        rows
    }

    fn take(&mut self, room: usize) -> Option<u64> {
        let rows = self.open.get_mut(&room)?;
        let row = rows.pop();
        if rows.is_empty() {
            self.open.remove(&room);
        }
        row
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn place(sizes: &[usize], length: usize, window: usize) -> Vec<Vec<usize>> {
        let mut fit = Fit::new(length);
        let placed: Vec<u64> = sizes.chunks(window).flat_map(|some| fit.place(some)).collect();
        let mut rows = vec![Vec::new(); fit.rows() as usize];
        for (piece, row) in placed.iter().enumerate() {
            rows[*row as usize].push(piece);
        }
        rows
    }

    #[test]
    fn the_tightest_row_is_taken() {
        assert_eq!(place(&[6, 5, 4, 5], 10, 100), [vec![0, 2], vec![1, 3]]);
        assert_eq!(place(&[], 10, 100), Vec::<Vec<usize>>::new());
    }

    proptest! {
        #[test]
        fn each_piece_once_and_no_row_overflows(
            sizes in prop::collection::vec(1usize..=32, 0..300), window in 1usize..100,
        ) {
            let rows = place(&sizes, 32, window);
            let mut seen: Vec<usize> = rows.concat();
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..sizes.len()).collect::<Vec<_>>());
            for row in &rows {
                prop_assert!(row.iter().map(|i| sizes[*i]).sum::<usize>() <= 32);
                prop_assert!(!row.is_empty());
            }
            // Any two open rows could not be joined, or best fit would have: at least half full.
            let total: usize = sizes.iter().sum();
            prop_assert!(rows.len() <= 2 * total.div_ceil(32) + 1);
        }
    }
}
