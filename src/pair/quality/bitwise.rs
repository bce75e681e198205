//! Two texts compared 64 characters at a time: edit distance and longest common substring.
//!
//! For each character of one text, bits say where it stands in the other. No weights, and not
//! where the stretches are.

use super::coded::Coded;

/// A pair, ready to be compared.
pub struct Bitwise<'c> {
    /// The characters of one side, the shorter one where that saves nothing else.
    text: &'c [u16],
    /// Characters of the other side.
    n_pattern: usize,
    /// Words of bits for them.
    blocks: usize,
    /// For each number, the places of the other side where it stands.
    places: Vec<u64>,
}

impl<'c> Bitwise<'c> {
    /// Indexes the side of a pair that takes fewer words of bits.
    pub fn new(pair: &'c Coded) -> Self {
        let (src, tgt) = (&pair.src[..], &pair.tgt[..]);
        let blocks = |pattern: &[u16]| pattern.len().div_ceil(64).max(1);
        let source_is_text = (blocks(tgt), src.len()) <= (blocks(src), tgt.len());
        let (text, pattern) = if source_is_text { (src, tgt) } else { (tgt, src) };
        let blocks = blocks(pattern);
        let mut places = vec![0u64; pair.n_codes * blocks];
        for (i, code) in pattern.iter().enumerate() {
            places[usize::from(*code) * blocks + i / 64] |= 1 << (i % 64);
        }
        Self { text, n_pattern: pattern.len(), blocks, places }
    }

    /// The Levenshtein distance (Myers 1999; blocks as in Hyyrö 2003).
    pub fn levenshtein(&self) -> usize {
        // Of known length, so that short ones stay in registers.
        match self.blocks {
            1 => self.distance(&mut [(u64::MAX, 0); 1]),
            2 => self.distance(&mut [(u64::MAX, 0); 2]),
            blocks => self.distance(&mut vec![(u64::MAX, 0); blocks]),
        }
    }

    /// `column`: vertical differences, where they rise and where they fall.
    #[inline(always)]
    fn distance(&self, column: &mut [(u64, u64)]) -> usize {
        if self.n_pattern == 0 {
            return self.text.len();
        }
        let last = (self.n_pattern - 1) % 64;
        let mut distance = self.n_pattern;
        for code in self.text {
            let equal = &self.places[usize::from(*code) * column.len()..][..column.len()];
            // The row above the pattern rises by one with every character of the text.
            let (mut carry_rise, mut carry_fall) = (1u64, 0u64);
            let (mut top_rise, mut top_fall) = (0, 0);
            for ((up, down), equal) in column.iter_mut().zip(equal) {
                let same = equal | carry_fall;
                let diagonal = (((same & *up).wrapping_add(*up)) ^ *up) | same | *down;
                let rise = *down | !(diagonal | *up);
                let fall = *up & diagonal;
                let shifted = rise << 1 | carry_rise;
                let vertical = equal | *down;
                *up = (fall << 1 | carry_fall) | !(vertical | shifted);
                *down = shifted & vertical;
                (carry_rise, carry_fall) = (rise >> 63, fall >> 63);
                (top_rise, top_fall) = (rise, fall);
            }
            distance += (top_rise >> last & 1) as usize;
            distance -= (top_fall >> last & 1) as usize;
        }
        distance
    }

    /// The length of the longest common substring.
    ///
    /// Where common substrings of 1, 2, 4 … characters end, each put together from two of half
    /// the length; then the longest from those.
    pub fn common_substring(&self) -> usize {
        // For each word of bits, one for each character of the text, so that the loops over them
        // become vector instructions.
        let size = self.blocks * self.text.len();
        let mut levels = Vec::with_capacity(4 * size);
        for block in 0..self.blocks {
            let bits = |code: &u16| self.places[usize::from(*code) * self.blocks + block];
            levels.extend(self.text.iter().map(bits));
        }
        if levels.iter().all(|bits| *bits == 0) {
            return 0;
        }
        let mut level = 0;
        loop {
            levels.resize((level + 2) * size, 0);
            let (known, next) = levels.split_at_mut((level + 1) * size);
            let longest = &known[level * size..];
            if !self.join(longest, longest, 1 << level, next) {
                break;
            }
            level += 1;
        }
        let mut len = 1 << level;
        let mut longest = levels[level * size..][..size].to_vec();
        let (known, next) = levels.split_at_mut((level + 1) * size);
        for shorter in (0..level).rev() {
            if self.join(&longest, &known[shorter * size..][..size], 1 << shorter, next) {
                longest.copy_from_slice(next);
                len += 1 << shorter;
            }
        }
        len
    }

    /// Where stretches end that are one of `longer` and behind it one of `shorter`, which has
    /// `len` characters; whether there are any.
    fn join(&self, longer: &[u64], shorter: &[u64], len: usize, joined: &mut [u64]) -> bool {
        let n = self.text.len();
        if len >= n {
            return false;
        }
        let (words, bits) = (len / 64, len % 64);
        let mut any = 0;
        for block in 0..self.blocks {
            let (start, joined) = joined[block * n..][..n].split_at_mut(len);
            start.fill(0);
            let moved = |words: usize| Some(&longer[block.checked_sub(words)? * n..][..n - len]);
            let shorter = &shorter[block * n..][len..];
            let both = joined.iter_mut().zip(shorter);
            match (moved(words), moved(words + 1)) {
                (Some(longer), Some(below)) => {
                    for (((joined, shorter), longer), below) in both.zip(longer).zip(below) {
                        // Two shifts: by 64 is not one.
                        *joined = (longer << bits | below >> 1 >> (63 - bits)) & shorter;
                        any |= *joined;
                    }
                }
                (Some(longer), None) => {
                    for ((joined, shorter), longer) in both.zip(longer) {
                        *joined = longer << bits & shorter;
                        any |= *joined;
                    }
                }
                _ => joined.fill(0),
            }
        }
        any != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn naive_distance(a: &[u16], b: &[u16]) -> usize {
        let mut row: Vec<usize> = (0..=b.len()).collect();
        for (i, x) in a.iter().enumerate() {
            let mut diagonal = row[0];
            row[0] = i + 1;
            for (j, y) in b.iter().enumerate() {
                let substituted = diagonal + usize::from(x != y);
                diagonal = row[j + 1];
                row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
            }
        }
        row[b.len()]
    }

    fn naive_run(src: &[u16], tgt: &[u16]) -> usize {
        let run =
            |i: usize, j: usize| src[i..].iter().zip(&tgt[j..]).take_while(|(a, b)| a == b).count();
        (0..src.len()).flat_map(|i| (0..tgt.len()).map(move |j| run(i, j))).max().unwrap_or(0)
    }

    fn check(src: &str, tgt: &str) {
        let pair = Coded::new(src, tgt);
        let bits = Bitwise::new(&pair);
        assert_eq!(bits.levenshtein(), naive_distance(&pair.src, &pair.tgt));
        assert_eq!(bits.common_substring(), naive_run(&pair.src, &pair.tgt));
    }

    proptest! {
        #[test]
        fn bits_give_what_the_textbook_gives(
            src in "[abю語]{0,280}", tgt in "[abю語]{0,280}", from in 0usize..9
        ) {
            check(&src, &tgt);
            let part: String = tgt.chars().skip(from).collect();
            check(&src, &format!("{part}{src}"));
            check(&format!("{part}ю{src}"), &part);
        }
    }

    #[test]
    fn runs_of_every_length_are_found() {
        for n in [0, 1, 2, 3, 31, 32, 33, 63, 64, 65, 127, 128, 129, 191, 192, 193, 255, 256, 257] {
            let all: String = ('\u{4e00}'..).take(n).collect();
            check(&all, &all);
            check(&format!("a{all}"), &all);
            check(&format!("{}語", "b".repeat(100)), &all);
        }
    }
}
