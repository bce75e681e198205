//! Repeated n-grams of one text, in code points.
//!
//! Definitions of datatrove and dolma. No n-gram is built: hashes are compared, by which two
//! different n-grams of a text of a thousand words are taken for one in less than one of 10^9
//! texts.

use std::sync::LazyLock;

/// The words of a text, hashed so that the hash of any run of them is at hand.
pub struct Grams {
    /// The place at which each word begins, and the end of the last.
    places: Vec<Place>,
    powers: &'static [u64; 1024],
    keys: Keys,
    counts: Counts,
}

/// What stands before a place.
#[derive(Clone, Copy, Default)]
struct Place {
    /// Hash of the words, one behind the other.
    dense: u64,
    /// Hash of the words, a space behind each.
    spaced: u64,
    /// Bytes of the words.
    bytes: usize,
    /// Code points of the words.
    chars: usize,
}

/// The most frequent n-gram.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Top {
    /// Its occurrences, of which there may be just one; 0 if there is no n-gram.
    pub count: usize,
    /// Code points of its words.
    pub chars: usize,
}

impl Grams {
    /// Hashes the words.
    pub fn new<'t>(words: impl IntoIterator<Item = &'t str>) -> Self {
        let powers = &*POWERS;
        let mut at = Place::default();
        let mut places = vec![at];
        for word in words {
            let (hash, power) = (hash(powers, word.as_bytes()), power(powers, word.len()));
            at = Place {
                dense: reduce(times(at.dense, power) + u128::from(hash)),
                spaced: append(reduce(times(at.spaced, power) + u128::from(hash)), b' '),
                bytes: at.bytes + word.len(),
                chars: at.chars + word.chars().count(),
            };
            places.push(at);
        }
        let slots = (2 * places.len()).next_power_of_two();
        Self { places, powers, keys: Keys::new(slots), counts: Counts::new(slots) }
    }

    /// The number of words.
    pub fn n_words(&self) -> usize {
        self.places.len() - 1
    }

    /// Code points of all words.
    pub fn chars(&self) -> usize {
        self.places.last().map_or(0, |place| place.chars)
    }

    /// The number of n-grams of `n` words.
    #[inline]
    fn count(&self, n: usize) -> usize {
        self.places.len().saturating_sub(n)
    }

    /// The code points of an n-gram's words.
    #[inline]
    fn gram_chars(&self, at: usize, n: usize) -> usize {
        self.places[at + n].chars - self.places[at].chars
    }

    /// The hash of an n-gram joined with spaces.
    #[inline]
    fn spaced(&self, at: usize, n: usize) -> u64 {
        let (from, to) = (&self.places[at], &self.places[at + n]);
        difference(to.spaced, from.spaced, power(self.powers, to.bytes - from.bytes + n))
    }

    /// The hash of an n-gram joined without spaces.
    #[inline]
    fn dense(&self, at: usize, n: usize) -> u64 {
        let (from, to) = (&self.places[at], &self.places[at + n]);
        difference(to.dense, from.dense, power(self.powers, to.bytes - from.bytes))
    }

    /// The most frequent n-gram; of equally frequent ones the first.
    pub fn top(&mut self, n: usize) -> Top {
        self.counts.clear();
        let (mut most, mut first) = (0, 0);
        for at in 0..self.count(n) {
            let key = self.spaced(at, n);
            let (count, began) = self.counts.add(key, at);
            if count > most || count == most && began < first {
                (most, first) = (count, began);
            }
        }
        let chars = if most == 0 { 0 } else { self.gram_chars(first, n) };
        Top { count: most, chars }
    }

    /// The code points of n-grams that occurred before, going from left to right and on behind
    /// each one that did; "ab c" and "a bc" are the same.
    pub fn repeated(&mut self, n: usize) -> usize {
        self.keys.clear();
        let (mut at, mut chars) = (0, 0);
        while at < self.count(n) {
            let key = self.dense(at, n);
            if self.keys.insert(key) {
                at += 1;
            } else {
                chars += self.gram_chars(at, n);
                at += n;
            }
        }
        chars
    }

    /// The code points of all n-grams that occur more than once, and of all n-grams, each
    /// occurrence counted and a word in each n-gram that it is in.
    pub fn recurring(&mut self, n: usize) -> (usize, usize) {
        self.counts.clear();
        let (mut recurring, mut all) = (0, 0);
        for at in 0..self.count(n) {
            let chars = self.gram_chars(at, n);
            let key = self.spaced(at, n);
            let (count, _) = self.counts.add(key, at);
            all += chars;
            // The second occurrence brings the first with it.
            recurring += chars
                * match count {
                    1 => 0,
                    2 => 2,
                    _ => 1,
                };
        }
        (recurring, all)
    }
}

/// The prime 2^61 - 1; hashes are polynomials over the bytes modulo it, so that the hash of a
/// part follows from those of two prefixes.
const PRIME: u64 = (1 << 61) - 1;
/// The point at which the polynomials are taken: any large number.
const BASE: u64 = 0x1d8e_4e27_c47d_124f;
/// The powers of [`BASE`] for parts of usual length.
static POWERS: LazyLock<[u64; 1024]> = LazyLock::new(|| {
    let mut powers = [1; 1024];
    for n in 1..powers.len() {
        powers[n] = reduce(times(powers[n - 1], BASE));
    }
    powers
});

#[inline]
fn times(a: u64, b: u64) -> u128 {
    u128::from(a) * u128::from(b)
}

/// A number below 2^124 modulo the prime.
#[inline]
fn reduce(x: u128) -> u64 {
    let once = (x as u64 & PRIME) + (x >> 61) as u64;
    let twice = (once & PRIME) + (once >> 61);
    if twice >= PRIME { twice - PRIME } else { twice }
}

/// The hash of what `hash` is of, and one more byte. A byte counts one more than it is, so that
/// leading zeros count.
#[inline]
fn append(hash: u64, byte: u8) -> u64 {
    reduce(times(hash, BASE) + u128::from(byte) + 1)
}

#[inline]
fn hash(powers: &[u64; 1024], bytes: &[u8]) -> u64 {
    let [_, one, two, three, four, ..] = *powers;
    let mut hash = 0;
    let (fours, rest) = bytes.as_chunks::<4>();
    for [a, b, c, d] in fours {
        let term = |byte: u8, power| times(u64::from(byte) + 1, power);
        hash = reduce(
            times(hash, four) + term(*a, three) + term(*b, two) + term(*c, one) + term(*d, 1),
        );
    }
    rest.iter().fold(hash, |hash, byte| append(hash, *byte))
}

#[inline]
fn power(powers: &[u64], n: usize) -> u64 {
    if let Some(power) = powers.get(n) {
        return *power;
    }
    let half = power(powers, n / 2);
    let even = reduce(times(half, half));
    if n.is_multiple_of(2) { even } else { reduce(times(even, BASE)) }
}

/// The hash of the last bytes, from the hash of all, that of those before, and the power of their
/// number.
#[inline]
fn difference(all: u64, before: u64, power: u64) -> u64 {
    reduce(u128::from(all) + u128::from(PRIME) * 2 - u128::from(reduce(times(before, power))))
}

/// A set of hashes, at most half full.
struct Keys(Vec<u64>);

/// What stands in an empty slot; no hash is as large.
const EMPTY: u64 = u64::MAX;

impl Keys {
    fn new(slots: usize) -> Self {
        Self(vec![EMPTY; slots])
    }

    fn clear(&mut self) {
        self.0.fill(EMPTY);
    }

    /// Puts a key in, and says whether it was not yet there.
    #[inline]
    fn insert(&mut self, key: u64) -> bool {
        let slot = self.slot(key);
        std::mem::replace(&mut self.0[slot], key) == EMPTY
    }

    /// The place of a key, or the one where it belongs.
    #[inline]
    fn slot(&self, key: u64) -> usize {
        let mask = self.0.len() - 1;
        // The high bits of a product depend on all of the key.
        let mut slot = (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize & mask;
        while self.0[slot] != key && self.0[slot] != EMPTY {
            slot = (slot + 1) & mask;
        }
        slot
    }
}

/// Occurrences of hashes, and where each was met first; a text has fewer than 2^32 words, as no
/// column of texts has more bytes in one.
struct Counts {
    keys: Keys,
    values: Vec<(u32, u32)>,
}

impl Counts {
    fn new(slots: usize) -> Self {
        Self { keys: Keys::new(slots), values: vec![(0, 0); slots] }
    }

    fn clear(&mut self) {
        self.keys.clear();
    }

    /// Counts a key, and gives its occurrences so far and where it was met first.
    #[inline]
    fn add(&mut self, key: u64, at: usize) -> (usize, usize) {
        let slot = self.keys.slot(key);
        let value = &mut self.values[slot];
        if std::mem::replace(&mut self.keys.0[slot], key) == EMPTY {
            *value = (1, at as u32);
        } else {
            value.0 += 1;
        }
        (value.0 as usize, value.1 as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Grams {
        Grams::new(text.split(' '))
    }

    #[test]
    fn the_first_of_the_most_frequent_n_grams_counts() {
        assert_eq!(of("a b a b").top(2), Top { count: 2, chars: 2 });
        // Each occurs once: the first, "अ आ", has two letters.
        assert_eq!(of("अ आ इईउ").top(2), Top { count: 1, chars: 2 });
        assert_eq!(of("a").top(2), Top::default());
        assert_eq!(of("cc d a b cc d a b").top(2), Top { count: 2, chars: 3 });
    }

    #[test]
    fn repeated_n_grams_are_counted_greedily() {
        assert_eq!(of("я ты я ты я ты").repeated(2), 6);
        assert_eq!(of("a b c d").repeated(2), 0);
        // Joined without spaces, "ab c" and "a bc" are the same.
        assert_eq!(of("ab c x a bc").repeated(2), 3);
    }

    #[test]
    fn recurring_n_grams_overlap() {
        assert_eq!(of("a bb a bb a").recurring(2), (12, 12));
        assert_eq!(of("ab c x a bc").recurring(2), (0, 10));
        assert_eq!(of("एक").recurring(2), (0, 0));
    }

    #[test]
    fn hashes_of_parts_follow_from_those_of_prefixes() {
        let text = "\0\0один दो 三 ".repeat(300);
        let bytes = text.as_bytes();
        for (from, to) in [(0, 1), (1, 2), (5, 2000), (17, 18), (40, 40), (3, bytes.len())] {
            let of = |part: &[u8]| hash(&POWERS, part);
            let power = power(&*POWERS, to - from);
            let part = difference(of(&bytes[..to]), of(&bytes[..from]), power);
            assert_eq!(part, of(&bytes[from..to]));
        }
        assert_ne!(hash(&POWERS, b"\0"), hash(&POWERS, b"\0\0"));
    }

    /// Against n-grams that are built.
    #[test]
    fn hashed_n_grams_count_as_built_ones() {
        let text = "the cat and the cat and a dog and the cat sat on the mat on the mat ".repeat(3);
        let words: Vec<&str> = text.split(' ').collect();
        let mut grams = Grams::new(words.iter().copied());
        for n in 1..=10 {
            let built: Vec<String> = words.windows(n).map(|gram| gram.join(" ")).collect();
            let count = |gram: &String| built.iter().filter(|other| *other == gram).count();
            let most = built.iter().map(count).max().unwrap();
            assert_eq!(grams.top(n).count, most);
            let chars = |gram: &String| gram.replace(' ', "").chars().count();
            let recurring = built.iter().filter(|gram| count(gram) > 1).map(chars).sum::<usize>();
            assert_eq!(grams.recurring(n), (recurring, built.iter().map(chars).sum()));
        }
    }
}
