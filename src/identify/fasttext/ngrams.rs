//! The rows of n-grams: of code points within a word, and of words within a line.
//!
//! An n-gram has no entry anywhere. Its hash is a bucket, a bucket is a row, and n-grams whose
//! hashes meet share it. A pruned model kept some of the buckets only; the others have no row.

use super::format::{Args, Reader};
use super::table::Table;
use crate::error::Result;

/// The hash of nothing.
pub const EMPTY: u32 = 2_166_136_261;

/// The hash with one byte more: FNV-1a over bytes that are signed.
pub const fn step(hash: u32, byte: u8) -> u32 {
    (hash ^ byte as i8 as u32).wrapping_mul(16_777_619)
}

/// The hash of some bytes.
pub const fn hash(bytes: &[u8]) -> u32 {
    let (mut hash, mut at) = (EMPTY, 0);
    while at < bytes.len() {
        hash = step(hash, bytes[at]);
        at += 1;
    }
    hash
}

/// How n-grams of a model get their rows.
pub struct Ngrams {
    word_ngrams: usize,
    minn: usize,
    maxn: usize,
    modulus: Modulus,
    /// The row of the first bucket.
    first: u32,
    /// The number of rows.
    rows: usize,
    kept: Option<Kept>,
}

/// The buckets that a pruned model kept.
struct Kept {
    /// Buckets to rows after the first.
    rows: Table,
    /// A bit for every bucket, or for several: most n-grams have no row, and this tells it from
    /// memory that stays in the cache.
    filter: Vec<u64>,
}

impl Ngrams {
    /// Reads which buckets were kept, if not all; `first` is the row of the first.
    pub fn read(reader: &mut Reader<'_>, args: &Args, first: u32, pruned: i64) -> Result<Self> {
        let (kept, rows) = if pruned == -1 {
            (None, if args.has_ngrams() { args.buckets as usize } else { 0 })
        } else {
            let (kept, rows) = Kept::read(reader, args, pruned)?;
            (Some(kept), rows)
        };
        Ok(Self {
            word_ngrams: args.word_ngrams,
            minn: args.minn,
            maxn: args.maxn,
            modulus: Modulus::new(args.buckets.max(1)),
            first,
            rows,
            kept,
        })
    }

    /// The number of rows that n-grams have.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Whether some n-grams have no row.
    pub fn are_pruned(&self) -> bool {
        self.kept.is_some()
    }

    /// Appends the rows of the n-grams of code points of a word that stands between `<` and `>`.
    pub fn of_word(&self, word: &[u8], rows: &mut Vec<u32>) {
        if self.maxn < self.minn {
            return;
        }
        let start = rows.len();
        // As many as there could be, so that each is written without a question.
        let lengths = (self.maxn - self.minn + 1).min(word.len());
        rows.resize(start + word.len() * lengths, 0);
        let mut end = start;
        match &self.kept {
            None => self.buckets_of(word, |bucket| {
                rows[end] = self.first + bucket;
                end += 1;
            }),
            Some(kept) => {
                // Which bucket was kept is random, and no branch predicts it.
                self.buckets_of(word, |bucket| {
                    rows[end] = bucket;
                    end += usize::from(kept.may_have(bucket));
                });
                let candidates = start..end;
                end = start;
                for at in candidates {
                    if let Some(row) = kept.row(rows[at]) {
                        rows[end] = self.first + row;
                        end += 1;
                    }
                }
            }
        }
        rows.truncate(end);
    }

    /// Appends the rows of the n-grams of words of a line, of two words and more.
    pub fn of_line(&self, hashes: &[u32], rows: &mut Vec<u32>) {
        if self.word_ngrams < 2 {
            return;
        }
        // fastText holds hashes in signed numbers, so that their sign fills the upper half.
        let wide = |hash: u32| hash as i32 as u64;
        for (at, first) in hashes.iter().enumerate() {
            let mut hash = wide(*first);
            for next in hashes[at + 1..].iter().take(self.word_ngrams - 1) {
                hash = hash.wrapping_mul(116_049_371).wrapping_add(wide(*next));
                let bucket = (hash % u64::from(self.modulus.divisor)) as u32;
                let row = self.kept.as_ref().map_or(Some(bucket), |kept| kept.row(bucket));
                rows.extend(row.map(|row| self.first + row));
            }
        }
    }

    /// Calls with the bucket of each n-gram, by where they begin, then by length.
    #[inline(always)]
    fn buckets_of(&self, word: &[u8], mut found: impl FnMut(u32)) {
        // The marks of beginning and end are no n-grams by themselves.
        for start in 0..word.len().saturating_sub(1) {
            if is_inside(word[start]) {
                continue;
            }
            let minn = if start == 0 { self.minn.max(2) } else { self.minn };
            let (mut hash, mut n) = (EMPTY, 0);
            let mut rest = word[start..].iter();
            while let Some(byte) = rest.next() {
                hash = step(hash, *byte);
                if rest.as_slice().first().is_some_and(|next| is_inside(*next)) {
                    continue;
                }
                n += 1;
                if n >= minn {
                    found(self.modulus.of(hash));
                }
                if n == self.maxn {
                    break;
                }
            }
        }
    }
}

/// Whether a byte continues a code point of UTF-8.
fn is_inside(byte: u8) -> bool {
    byte & 0xc0 == 0x80
}

impl Kept {
    /// The buckets and the number of their rows.
    fn read(reader: &mut Reader<'_>, args: &Args, pruned: i64) -> Result<(Self, usize)> {
        reader.enter("kept n-grams");
        let n = usize::try_from(pruned).unwrap_or(usize::MAX);
        if n > reader.left() / 8 {
            return Err(reader.damaged(format!("{pruned} buckets, more than bytes for them,")));
        }
        // At least 32 bits for each, so that few of the others are taken for one.
        let filter = vec![0; (n / 2 + 1).next_power_of_two()];
        let mut kept = Self { rows: Table::new(n), filter };
        let mut rows = 0;
        for _ in 0..n {
            let (bucket, row) = (reader.count("as a bucket")?, reader.count("as a row")?);
            if bucket >= args.buckets as usize {
                let buckets = args.buckets;
                return Err(reader.damaged(format!("bucket {bucket} of {buckets}")));
            }
            kept.put(bucket as u32, row as u32);
            rows = rows.max(row + 1);
        }
        Ok((kept, rows))
    }

    fn put(&mut self, bucket: u32, row: u32) {
        // A bucket that comes twice has its last row.
        self.rows.put(self.rows.slot(bucket, |_| true), bucket, row);
        let word = self.word(bucket);
        self.filter[word] |= 1 << (bucket % 64);
    }

    fn may_have(&self, bucket: u32) -> bool {
        self.filter[self.word(bucket)] >> (bucket % 64) & 1 == 1
    }

    fn row(&self, bucket: u32) -> Option<u32> {
        self.rows.get(bucket, |_| true)
    }

    fn word(&self, bucket: u32) -> usize {
        (bucket / 64) as usize & (self.filter.len() - 1)
    }
}

/// Remainders by a fixed number, without a division (Lemire, Kaser and Kurz, arXiv 1902.01961).
struct Modulus {
    divisor: u32,
    inverse: u64,
}

impl Modulus {
    fn new(divisor: u32) -> Self {
        Self { divisor, inverse: (u64::MAX / u64::from(divisor)).wrapping_add(1) }
    }

    fn of(&self, n: u32) -> u32 {
        let fraction = self.inverse.wrapping_mul(u64::from(n));
        ((u128::from(fraction) * u128::from(self.divisor)) >> 64) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ngrams(minn: usize, maxn: usize, word_ngrams: usize) -> Ngrams {
        let (modulus, first) = (Modulus::new(1 << 31), 1000);
        Ngrams { word_ngrams, minn, maxn, modulus, first, rows: 0, kept: None }
    }

    fn row(ngram: &str) -> u32 {
        // FNV-1a of its definition, with the sign as fastText has it.
        let hash = ngram.bytes().fold(2_166_136_261_u32, |hash, byte| {
            (hash ^ i32::from(byte as i8) as u32).wrapping_mul(16_777_619)
        });
        1000 + hash % (1 << 31)
    }

    fn of_word(ngrams: &Ngrams, word: &str) -> Vec<u32> {
        let mut rows = vec![7];
        ngrams.of_word(word.as_bytes(), &mut rows);
        assert_eq!(rows.remove(0), 7);
        rows
    }

    #[test]
    fn ngrams_are_of_code_points_in_order_of_their_beginning() {
        let expected = ["<д", "<да", "д", "да", "да>", "а", "а>"];
        let expected: Vec<u32> = expected.map(row).into_iter().collect();
        assert_eq!(of_word(&ngrams(1, 3, 1), "<да>"), expected);
        let expected = ["<字", "<字🙂", "字🙂", "字🙂>", "🙂>"].map(row);
        assert_eq!(of_word(&ngrams(2, 3, 1), "<字🙂>"), expected);
        // The last is longer than the word: there is none.
        assert!(of_word(&ngrams(5, 6, 1), "<ab>").is_empty());
        assert_eq!(of_word(&ngrams(1, 1, 1), "<ab>"), ["a", "b"].map(row));
        assert!(of_word(&ngrams(1, 0, 1), "<ab>").is_empty());
    }

    #[test]
    fn ngrams_of_words_keep_the_sign_of_hashes() {
        let mut rows = Vec::new();
        ngrams(0, 0, 3).of_line(&[1, 0xffff_ffff, 2], &mut rows);
        // (1·p − 1), (1·p − 1)·p + 2, (−p + 2) of 64 bits with p = 116049371, below 2³¹.
        let p = 116_049_371_u64;
        let minus_one = u64::MAX;
        let pairs = [p.wrapping_add(minus_one), minus_one.wrapping_mul(p).wrapping_add(2)];
        let triple = pairs[0].wrapping_mul(p).wrapping_add(2);
        let expected = [pairs[0], triple, pairs[1]].map(|hash| 1000 + (hash % (1 << 31)) as u32);
        assert_eq!(rows, expected);
    }

    #[test]
    fn remainders_are_those_of_division() {
        for divisor in [1, 2, 3, 7, 64, 2_000_000, 2_147_483_647] {
            let modulus = Modulus::new(divisor);
            for n in [0, 1, 2, 63, 64, 1_999_999, 2_000_000, 2_147_483_648, u32::MAX] {
                assert_eq!(modulus.of(n), n % divisor, "{n} % {divisor}");
            }
        }
    }

    #[test]
    fn kept_buckets_have_the_rows_they_were_given() {
        let mut kept = Kept { rows: Table::new(2), filter: vec![0; 2] };
        kept.put(5, 1);
        kept.put(900, 0);
        kept.put(5, 3);
        assert_eq!([5, 900, 6].map(|bucket| kept.row(bucket)), [Some(3), Some(0), None]);
        assert!(kept.may_have(5) && kept.may_have(900) && !kept.may_have(6));
        let ngrams = Ngrams { kept: Some(kept), ..ngrams(1, 2, 1) };
        assert!(of_word(&ngrams, "<ab>").is_empty());
    }
}
