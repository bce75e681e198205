//! Best-fit packing of pieces into rows.
//!
//! Best-fit decreasing (Johnson 1973) over a window of pieces at a time; rows left open stay
//! candidates for later windows. Pieces are never split here.

use std::collections::BTreeMap;

/// The pieces of each row, as indices into `sizes`; no row's sizes sum to more than `length`.
///
/// Sizes must be 1 to `length`. The result is a function of the arguments alone.
pub fn best_fit(sizes: &[usize], length: usize, window: usize) -> Vec<Vec<usize>> {
    let mut rows: Vec<Vec<usize>> = Vec::new();
    // Open rows by the room that they have left.
    let mut open: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    let pieces: Vec<usize> = (0..sizes.len()).collect();
    for chunk in pieces.chunks(window.max(1)) {
        let mut chunk = chunk.to_vec();
        chunk.sort_by_key(|i| (std::cmp::Reverse(sizes[*i]), *i));
        for piece in chunk {
            let size = sizes[piece];
            let fitting = open.range(size..).next().map(|(room, _)| *room);
            let (row, room) = match fitting {
                Some(room) => (take(&mut open, room), room),
                None => (None, length),
            };
            let row = row.unwrap_or_else(|| {
                rows.push(Vec::new());
                rows.len() - 1
            });
            rows[row].push(piece);
            if room > size {
                open.entry(room - size).or_default().push(row);
            }
        }
    }
    rows
}

fn take(open: &mut BTreeMap<usize, Vec<usize>>, room: usize) -> Option<usize> {
    let rows = open.get_mut(&room)?;
    let row = rows.pop();
    if rows.is_empty() {
        open.remove(&room);
    }
    row
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_tightest_row_is_taken() {
        assert_eq!(best_fit(&[6, 5, 4, 5], 10, 100), [vec![0, 2], vec![1, 3]]);
        assert_eq!(best_fit(&[], 10, 100), Vec::<Vec<usize>>::new());
    }

    proptest! {
        #[test]
        fn each_piece_once_and_no_row_overflows(
            sizes in prop::collection::vec(1usize..=32, 0..300), window in 1usize..100,
        ) {
            let rows = best_fit(&sizes, 32, window);
            let mut seen: Vec<usize> = rows.concat();
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..sizes.len()).collect::<Vec<_>>());
            for row in &rows {
                prop_assert!(row.iter().map(|i| sizes[*i]).sum::<usize>() <= 32);
            }
            // Any two open rows could not be joined, or best fit would have: at least half full.
            let total: usize = sizes.iter().sum();
            prop_assert!(rows.len() <= 2 * total.div_ceil(32) + 1);
        }
    }
}
