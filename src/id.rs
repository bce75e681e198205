//! Identity and chance: row ids, content hashes, and everything random as a function of (seed, id).
//!
//! No generator state exists anywhere in hexapla: a draw is a hash, so results cannot depend on
//! the order or number of draws.

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed, xxh3_128};

/// The 64-bit xxh3 of some bytes.
pub fn hash64(bytes: &[u8]) -> u64 {
    xxh3_64(bytes)
}

/// The 128-bit xxh3 of some bytes; the content hash of files and texts.
pub fn hash128(bytes: &[u8]) -> u128 {
    xxh3_128(bytes)
}

/// A 128-bit hash as 32 hexadecimal digits.
pub fn hex128(hash: u128) -> String {
    format!("{hash:032x}")
}

/// The hash of a sequence of fields that no other sequence shares by concatenation.
///
/// ```
/// use hexapla::id::hash_fields;
/// assert_ne!(hash_fields(["ab", "c"]), hash_fields(["a", "bc"]));
/// ```
pub fn hash_fields<'a>(fields: impl IntoIterator<Item = &'a str>) -> u64 {
    let mut bytes = Vec::new();
    for field in fields {
        bytes.extend_from_slice(&(field.len() as u64).to_le_bytes());
        bytes.extend_from_slice(field.as_bytes());
    }
    hash64(&bytes)
}

/// The upper half of the ids of a file's rows: a 32-bit hash of the source's name and the file's
/// path inside the project.
pub fn file_id(source: &str, path: &str) -> u32 {
    (hash_fields([source, path]) >> 32) as u32
}

/// The id of a row: 32 bits of its file, then the row's number in that file.
///
/// ```
/// use hexapla::id::{doc_id, file_id};
/// let file = file_id("wiki", "wiki/is.jsonl");
/// assert_eq!(doc_id(file, 7) >> 32, u64::from(file));
/// assert_eq!(doc_id(file, 7) & 0xffff_ffff, 7);
/// ```
pub fn doc_id(file: u32, row: u32) -> u64 {
    u64::from(file) << 32 | u64::from(row)
}

/// A uniform number in [0, 1) that is a function of (id, seed) alone; multiples of 2⁻⁵³.
///
/// ```
/// use hexapla::id::uniform;
/// assert_eq!(uniform(3, 17), uniform(3, 17));
/// assert_ne!(uniform(3, 17), uniform(3, 18));
/// ```
pub fn uniform(id: u64, seed: u64) -> f64 {
    (keyed(id, seed) >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
}

/// A 64-bit hash of a number under a key.
pub fn keyed(value: u64, key: u64) -> u64 {
    xxh3_64_with_seed(&value.to_le_bytes(), key)
}

/// A pseudo-random permutation of `0..n` under a key, evaluated at one place in constant memory.
///
/// A four-round Feistel network over the next even power of two, walked until it lands inside.
///
/// ```
/// use hexapla::id::permute;
/// let mut seen: Vec<u64> = (0..10).map(|i| permute(i, 10, 42)).collect();
/// seen.sort();
/// assert_eq!(seen, (0..10).collect::<Vec<u64>>());
/// ```
pub fn permute(index: u64, n: u64, key: u64) -> u64 {
    assert!(index < n, "index {index} outside of 0..{n}");
    let bits = (64 - (n - 1).leading_zeros()).max(2).div_ceil(2);
    let mask = (1u64 << bits) - 1;
    let mut x = index;
    loop {
        let (mut left, mut right) = (x >> bits, x & mask);
        for round in 0..4 {
            let mixed = left ^ (keyed(right, key.wrapping_add(round)) & mask);
            left = right;
            right = mixed;
        }
        x = left << bits | right;
        if x < n {
            return x;
        }
    }
}

/// The place at which [`permute`] gives a value: its inverse.
///
/// ```
/// use hexapla::id::{permute, unpermute};
/// assert!((0..10).all(|i| unpermute(permute(i, 10, 42), 10, 42) == i));
/// ```
pub fn unpermute(value: u64, n: u64, key: u64) -> u64 {
    assert!(value < n, "value {value} outside of 0..{n}");
    let bits = (64 - (n - 1).leading_zeros()).max(2).div_ceil(2);
    let mask = (1u64 << bits) - 1;
    let mut x = value;
    loop {
        let (mut left, mut right) = (x >> bits, x & mask);
        for round in (0..4).rev() {
            let mixed = right ^ (keyed(left, key.wrapping_add(round)) & mask);
            right = left;
            left = mixed;
        }
        x = left << bits | right;
        if x < n {
            return x;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn permute_is_a_bijection(n in 1u64..3000, key: u64) {
            let mut hit = vec![false; n as usize];
            for i in 0..n {
                let p = permute(i, n, key) as usize;
                prop_assert!(!hit[p]);
                hit[p] = true;
                prop_assert_eq!(unpermute(p as u64, n, key), i);
            }
        }
    }

    #[test]
    fn uniform_fills_its_range_evenly() {
        let mut deciles = [0u32; 10];
        for id in 0..100_000 {
            deciles[(uniform(id, 17) * 10.0) as usize] += 1;
        }
        assert!(deciles.iter().all(|d| (9_700..10_300).contains(d)), "{deciles:?}");
    }
}
