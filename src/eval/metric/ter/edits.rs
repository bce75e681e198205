//! Edits with shifts: the fewest that Tercom's greedy search finds.
//!
//! While some stretch of the hypothesis, moved to where the reference has it, lowers the edit
//! distance, the best such move is made and costs one edit. The distance is searched in a beam
//! around the diagonal. The order of candidates and all limits are those of sacreBLEU, which holds
//! itself to Tercom's numbers.

use std::collections::HashMap;

/// The longest stretch that is moved.
const MAX_SHIFT_SIZE: usize = 10;
/// How far apart the two places may be.
const MAX_SHIFT_DISTANCE: usize = 50;
/// Half the width of the beam.
const BEAM: usize = 25;
/// Moves that are tried for one pair of texts.
const MAX_CANDIDATES: usize = 1000;

const FAR: u32 = u32::MAX / 2;

/// How a word of one text came from the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Op {
    Keep,
    Substitute,
    /// A word of the reference that the hypothesis lacks.
    Insert,
    /// A word of the hypothesis that the reference lacks.
    Delete,
    None,
}

/// The number of edits from a hypothesis to a reference.
pub fn edits(hypothesis: &[&str], reference: &[&str]) -> usize {
    if reference.is_empty() {
        return hypothesis.len();
    }
    let mut ids: HashMap<&str, u32> = HashMap::new();
    let mut numbered = Vec::new();
    for word in hypothesis.iter().chain(reference) {
        let next = ids.len() as u32;
        numbered.push(*ids.entry(word).or_insert(next));
    }
    let reference = numbered.split_off(hypothesis.len());
    let mut search = Search::new(numbered, reference);
    let (mut shifts, mut tried) = (0, 0);
    while let Some(better) = search.best_shift(&mut tried) {
        if tried >= MAX_CANDIDATES {
            break;
        }
        search.take(better);
        shifts += 1;
    }
    shifts + search.distance() as usize
}

/// The distances of the present words, row by row, and how each came about.
struct Search {
    words: Vec<u32>,
    reference: Vec<u32>,
    rows: Vec<Vec<(u32, Op)>>,
}

/// A move that was tried, in the order in which Tercom prefers them: the gain, the length, and the
/// earlier of both places.
type Rank = (i64, usize, std::cmp::Reverse<usize>, std::cmp::Reverse<usize>);

impl Search {
    fn new(words: Vec<u32>, reference: Vec<u32>) -> Self {
        let first = (0..=reference.len() as u32).map(|j| (j, Op::Insert)).collect();
        let mut search = Self { words: Vec::new(), reference, rows: vec![first] };
        search.take(words);
        search
    }

    /// Goes on from other words, which begin as the present ones did or not.
    fn take(&mut self, words: Vec<u32>) {
        let same = self.words.iter().zip(&words).take_while(|(a, b)| a == b).count();
        // The last row reaches further than it would in the middle.
        let keep = if self.words.len() == words.len() { same } else { 0 };
        self.rows.truncate(keep + 1);
        let new = self.rows_of(&words, keep);
        self.rows.extend(new);
        self.words = words;
    }

    fn distance(&self) -> u32 {
        self.rows.last().and_then(|row| row.last()).map_or(0, |cell| cell.0)
    }

    /// The distance of other words of the same length.
    fn distance_of(&self, words: &[u32]) -> u32 {
        let same = self.words.iter().zip(words).take_while(|(a, b)| a == b).count();
        let new = self.rows_of(words, same);
        let last = new.last().or(self.rows.last());
        last.and_then(|row| row.last()).map_or(0, |cell| cell.0)
    }

    /// The rows of some words from a place on; those before are the present ones.
    fn rows_of(&self, words: &[u32], from: usize) -> Vec<Vec<(u32, Op)>> {
        let (n, width) = (words.len(), self.reference.len() + 1);
        let ratio = if n > 0 { self.reference.len() as f64 / n as f64 } else { 1.0 };
        // Texts of very different length need a beam that reaches the row before.
        let wide = ratio / 2.0 > BEAM as f64;
        let beam = if wide { (ratio / 2.0 + BEAM as f64).ceil() as usize } else { BEAM };
        let mut rows: Vec<Vec<(u32, Op)>> = Vec::with_capacity(n - from);
        for i in from + 1..=n {
            let diagonal = (i as f64 * ratio).floor() as usize;
            let low = diagonal.saturating_sub(beam);
            let high = if i == n { width } else { width.min(diagonal + beam) };
            let before = rows.last().unwrap_or(&self.rows[from]);
            let mut row = vec![(FAR, Op::None); width];
            for j in low..high {
                if j == 0 {
                    row[0] = (before[0].0 + 1, Op::Delete);
                    continue;
                }
                let same = words[i - 1] == self.reference[j - 1];
                let op = if same { Op::Keep } else { Op::Substitute };
                let mut best = row[j];
                for cell in [
                    (before[j - 1].0 + u32::from(!same), op),
                    (before[j].0 + 1, Op::Delete),
                    (row[j - 1].0 + 1, Op::Insert),
                ] {
                    if cell.0 < best.0 {
                        best = cell;
                    }
                }
                row[j] = best;
            }
            rows.push(row);
        }
        rows
    }

    /// The words after the best move, if one is better than none.
    fn best_shift(&self, tried: &mut usize) -> Option<Vec<u32>> {
        let (words, reference) = (&self.words, &self.reference);
        let now = i64::from(self.distance());
        let alignment = self.alignment();
        let mut best: Option<(Rank, Vec<u32>)> = None;
        'search: for from in 0..words.len() {
            for to in 0..reference.len() {
                if from.abs_diff(to) > MAX_SHIFT_DISTANCE {
                    continue;
                }
                let alike = words[from..].iter().zip(&reference[to..]);
                let alike = alike.take(MAX_SHIFT_SIZE).take_while(|(a, b)| a == b).count();
                for length in 1..=alike {
                    // Both places must be wrong as they are, and apart.
                    let wrong = alignment.hypothesis[from..from + length].iter().any(|w| *w)
                        && alignment.reference[to..to + length].iter().any(|w| *w);
                    let here = alignment.place[to];
                    if !wrong || (from < here && here <= from + length) {
                        continue;
                    }
                    let mut last = None;
                    // In front of the stretch, then behind each word of it; places are one more
                    // than the aligned word's, 0 being the front.
                    for offset in 0..=length {
                        let place = match to + offset {
                            0 => 0,
                            j if j <= reference.len() => alignment.place[j - 1],
                            _ => break,
                        };
                        if last.replace(place) == Some(place) {
                            continue;
                        }
                        let moved = moved(words, from, length, place);
                        let gain = now - i64::from(self.distance_of(&moved));
                        let reverse = std::cmp::Reverse;
                        let rank = (gain, length, reverse(from), reverse(place));
                        *tried += 1;
                        if best.as_ref().is_none_or(|(known, _)| rank > *known) {
                            best = Some((rank, moved));
                        }
                    }
                    if *tried >= MAX_CANDIDATES {
                        break 'search;
                    }
                }
            }
        }
        best.filter(|(rank, _)| rank.0 > 0).map(|(_, words)| words)
    }

    fn alignment(&self) -> Alignment {
        let (mut i, mut j) = (self.words.len(), self.reference.len());
        let mut ops = Vec::with_capacity(i + j);
        while i > 0 || j > 0 {
            let op = self.rows[i][j].1;
            match op {
                Op::Keep | Op::Substitute => (i, j) = (i - 1, j - 1),
                Op::Insert => j -= 1,
                Op::Delete => i -= 1,
                // Cells outside of the beam are on no way back.
                Op::None => break,
            }
            ops.push(op);
        }
        let mut alignment = Alignment::default();
        for op in ops.into_iter().rev() {
            let wrong = op != Op::Keep;
            if op != Op::Insert {
                alignment.hypothesis.push(wrong);
            }
            if op != Op::Delete {
                alignment.place.push(alignment.hypothesis.len());
                alignment.reference.push(wrong);
            }
        }
        alignment
    }
}

/// Which words are right, and where those of the reference stand in the hypothesis.
#[derive(Default)]
struct Alignment {
    /// For each word of the reference, how many of the hypothesis end with its counterpart.
    place: Vec<usize>,
    /// Whether each word of the reference is missing or substituted.
    reference: Vec<bool>,
    /// Whether each word of the hypothesis is too many or substituted.
    hypothesis: Vec<bool>,
}

/// The words with a stretch taken out and put in at a place of the words as they were.
fn moved(words: &[u32], from: usize, length: usize, to: usize) -> Vec<u32> {
    let end = from + length;
    let stretch = &words[from..end];
    let parts: [&[u32]; 4] = if to < from {
        [&words[..to], stretch, &words[to..from], &words[end..]]
    } else if to > end {
        [&words[..from], &words[end..to], stretch, &words[to..]]
    } else {
        // A place inside of the stretch counts from where the stretch begins.
        let after = (length + to).min(words.len()).max(end);
        [&words[..from], &words[end..after], stretch, &words[after..]]
    };
    parts.concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::metric::python;

    fn of(hypothesis: &str, reference: &str) -> usize {
        let words = |text| python::split(text).collect::<Vec<&str>>();
        edits(&words(hypothesis), &words(reference))
    }

    #[test]
    fn a_shift_is_one_edit() {
        assert_eq!(of("c d a b", "a b c d"), 1);
        assert_eq!(of("дом этот стоит", "этот дом стоит"), 1);
        assert_eq!(of("a b c", "a b c"), 0);
        assert_eq!(of("a x c", "a b c"), 1);
        assert_eq!(of("", "a b"), 2);
        assert_eq!(of("a b", ""), 2);
        assert_eq!(of("x", "y"), 1);
    }

    #[test]
    fn lengths_may_differ_much() {
        let long = "w ".repeat(300);
        assert_eq!(of("w", long.trim()), 299);
        assert_eq!(of(long.trim(), "w"), 299);
    }

    #[test]
    fn stretches_move_as_they_stood() {
        let words = [0, 1, 2, 3, 4];
        assert_eq!(moved(&words, 3, 2, 1), [0, 3, 4, 1, 2]);
        assert_eq!(moved(&words, 0, 2, 4), [2, 3, 0, 1, 4]);
        assert_eq!(moved(&words, 1, 2, 2), [0, 3, 1, 2, 4]);
        assert_eq!(moved(&words, 1, 2, 3), [0, 3, 4, 1, 2]);
    }
}
