//! Anchors: one place in every window, chosen by the window's content alone (winnowing).
//!
//! A window of L units holds w = L − k + 1 grams of k units. Its anchor is the gram of least hash,
//! of equal ones the last. Equal windows have the same gram at the same place, so windows need to
//! be compared only where their anchors are equal; neighbouring windows mostly share an anchor, so
//! that there are about 2 / (w + 1) anchors for each unit (Schleimer, Wilkerson, Aiken, Winnowing:
//! local algorithms for document fingerprinting, SIGMOD 2003).

use super::units::Units;
use crate::error::Result;

/// Grams in a window, at most: the distance of a window from its anchor is written in 12 bits.
const MOST_GRAMS: usize = 1 << 12;
/// Units in a gram, at least, where the window has as many: shorter ones stand everywhere.
const LEAST_GRAM: usize = 24;

/// The windows of one length, and their grams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Windows {
    length: usize,
    gram: usize,
}

/// Some windows that follow each other and have one anchor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Anchor {
    /// The hash of the gram.
    pub hash: u64,
    /// The unit where the gram begins.
    pub at: usize,
    /// The unit where the first of the windows begins.
    pub first: usize,
    /// The unit where the last of the windows begins.
    pub last: usize,
}

impl Windows {
    /// Windows of a length, which is raised to 1, with grams of two thirds of it: with shorter
    /// grams there are fewer anchors, but more of them meet among text that differs.
    pub fn new(length: usize) -> Self {
        let gram = LEAST_GRAM.min(length);
        Self::with_gram(length, gram.max((length * 2).div_ceil(3)))
    }

    /// The same with grams of a length.
    pub(crate) fn with_gram(length: usize, gram: usize) -> Self {
        let length = length.max(1);
        let least = (length + 1).saturating_sub(MOST_GRAMS).max(1);
        Self { length, gram: gram.clamp(least, length) }
    }

    /// Units in a window.
    pub fn length(&self) -> usize {
        self.length
    }

    /// Hands the anchors of all windows of a text to `each`, in the order of the windows.
    pub fn anchors(
        &self,
        units: &Units<'_>,
        each: &mut dyn FnMut(Anchor) -> Result<()>,
    ) -> Result<()> {
        match units.values() {
            Ok(chars) => self.of(chars, mix, each),
            Err(bytes) => self.of(bytes, |byte| MIXED[usize::from(byte)], each),
        }
    }

    fn of<T: Copy>(
        &self,
        units: &[T],
        mix: impl Fn(T) -> u64,
        each: &mut dyn FnMut(Anchor) -> Result<()>,
    ) -> Result<()> {
        let Some(windows) = units.len().checked_sub(self.length) else { return Ok(()) };
        let (gram, grams) = (self.gram, self.length - self.gram + 1);
        // A cyclic polynomial (Cohen, 1997): a unit leaves by the rotation that it has gone through.
        let leaving = (gram % 64) as u32;
        let mut hash =
            units[..gram].iter().fold(0u64, |hash, unit| hash.rotate_left(1) ^ mix(*unit));
        // Hashes of the grams from `base` on; the oldest are forgotten now and then.
        let mut recent: Vec<u64> = Vec::with_capacity(grams * 4 + 1024);
        let mut base = 0;
        let mut anchor = Anchor { hash, at: 0, first: 0, last: 0 };
        for at in 0..=units.len() - gram {
            if at > 0 {
                let (old, new) = (units[at - 1], units[at + gram - 1]);
                hash = hash.rotate_left(1) ^ mix(old).rotate_left(leaving) ^ mix(new);
            }
            if recent.len() == recent.capacity() {
                let old = recent.len() - grams;
                recent.drain(..old);
                base += old;
            }
            recent.push(hash);
            // The first window is complete at its last gram; before, the least is only tracked.
            let window = (at + 1).saturating_sub(grams);
            let found = if hash <= anchor.hash {
                Some((at, hash))
            } else if anchor.at < window {
                last_least(&recent[window - base..]).map(|(i, hash)| (window + i, hash))
            } else {
                None
            };
            if let Some((place, hash)) = found {
                if window > anchor.first {
                    each(Anchor { last: window - 1, ..anchor })?;
                }
                anchor = Anchor { hash, at: place, first: window, last: window };
            }
        }
        each(Anchor { last: windows, ..anchor })
    }
}

/// The least value, of equal ones the last, and its place.
fn last_least(values: &[u64]) -> Option<(usize, u64)> {
    values.iter().copied().enumerate().reduce(|a, b| if b.1 <= a.1 { b } else { a })
}

/// The mixed values of bytes, which are those of the code points of ASCII.
static MIXED: [u64; 256] = {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        table[i] = mix(i as u32);
        i += 1;
    }
    table
};

/// A hash of a unit (the finaliser of SplitMix64).
const fn mix(unit: u32) -> u64 {
    let mut x = (unit as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::super::units::Unit;
    use super::*;
    use proptest::prelude::*;

    fn anchors(text: &str, unit: Unit, windows: Windows) -> Vec<Anchor> {
        let mut found = Vec::new();
        let mut push = |anchor| {
            found.push(anchor);
            Ok(())
        };
        windows.anchors(&Units::new(text, unit), &mut push).unwrap();
        found
    }

    /// The anchor of each window by itself: its distance from the window's begin, and its hash.
    fn naive(text: &str, unit: Unit, windows: Windows) -> Vec<(usize, u64)> {
        let units: Vec<u32> = match unit {
            Unit::Bytes => text.bytes().map(u32::from).collect(),
            Unit::Characters => text.chars().map(u32::from).collect(),
        };
        let hash = |gram: &[u32]| gram.iter().fold(0u64, |h, u| h.rotate_left(1) ^ mix(*u));
        let anchor = |window: &[u32]| {
            let hashes: Vec<u64> = window.windows(windows.gram).map(hash).collect();
            last_least(&hashes).unwrap()
        };
        units.windows(windows.length).map(anchor).collect()
    }

    proptest! {
        #[test]
        fn the_anchor_of_a_window_depends_on_the_window_alone(
            text in "[abс日]{0,300}",
            length in 1usize..90,
            gram in 1usize..80,
            bytes: bool,
        ) {
            let unit = if bytes { Unit::Bytes } else { Unit::Characters };
            let windows = Windows::with_gram(length, gram.min(length));
            let mut found = Vec::new();
            for anchor in anchors(&text, unit, windows) {
                prop_assert_eq!(anchor.first, found.len());
                prop_assert!(anchor.last >= anchor.first);
                found.extend((anchor.first..=anchor.last).map(|w| (anchor.at - w, anchor.hash)));
            }
            prop_assert_eq!(found, naive(&text, unit, windows));
        }
    }

    #[test]
    fn anchors_are_few() {
        let text: String =
            (0..4000u64).map(|i| char::from(b'a' + (crate::id::keyed(i, 1) % 26) as u8)).collect();
        let found = anchors(&text, Unit::Bytes, Windows::new(100)).len();
        assert!((180..280).contains(&found), "{found}");
        // What repeats itself has an anchor at every place, and no more.
        assert_eq!(anchors(&"=".repeat(5000), Unit::Bytes, Windows::new(100)).len(), 4901);
    }

    #[test]
    fn grams_fit_their_windows() {
        for (length, gram) in [
            (0, 1),
            (1, 1),
            (10, 10),
            (24, 24),
            (30, 24),
            (100, 67),
            (9000, 6000),
            (90_000, 85_905),
        ] {
            assert_eq!(Windows::new(length).gram, gram, "{length}");
        }
    }
}
