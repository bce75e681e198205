//! What was encoded lately: short stretches of text with their ids, one cache line or two each.
//!
//! A slot is overwritten by whatever falls on it next. It holds the text itself, so a look-up is
//! exact whatever the hashes, and results never depend on what is in the cache.

use crate::id;

/// Slots of a cache, 8 MB of them.
const SLOTS: usize = 1 << 16;
const TEXT: usize = 62;
const IDS: usize = 15;

#[repr(align(64))]
#[derive(Clone, Copy)]
struct Slot {
    hash: u32,
    bytes: u8,
    ids: u8,
    text: [u8; TEXT],
    tokens: [i32; IDS],
}

const EMPTY: Slot = Slot { hash: 0, bytes: 0, ids: 0, text: [0; TEXT], tokens: [0; IDS] };

/// Ids by text.
#[derive(Default)]
pub(super) struct Cache(Vec<Slot>);

/// Where a text would lie.
#[derive(Clone, Copy)]
pub(super) struct Place(usize, u32);

impl Cache {
    /// The place of a text; `None` of one that is too long, or empty.
    pub fn place(text: &str) -> Option<Place> {
        if text.is_empty() || text.len() > TEXT {
            return None;
        }
        let hash = id::hash64(text.as_bytes());
        Some(Place(hash as usize % SLOTS, (hash >> 32) as u32))
    }

    /// The ids of a text, if they are here.
    pub fn get(&self, Place(at, hash): Place, text: &str) -> Option<&[i32]> {
        let slot = self.0.get(at)?;
        let same = slot.hash == hash
            && usize::from(slot.bytes) == text.len()
            && slot.text[..text.len()] == *text.as_bytes();
        same.then(|| &slot.tokens[..usize::from(slot.ids)])
    }

    /// Takes the ids of a text, unless they are too many.
    pub fn put(&mut self, Place(at, hash): Place, text: &str, ids: &[i32]) {
        if ids.len() > IDS {
            return;
        }
        if self.0.is_empty() {
            self.0.resize(SLOTS, EMPTY);
        }
        let slot = &mut self.0[at];
        (slot.hash, slot.bytes, slot.ids) = (hash, text.len() as u8, ids.len() as u8);
        slot.text[..text.len()].copy_from_slice(text.as_bytes());
        slot.tokens[..ids.len()].copy_from_slice(ids);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_is_there_until_something_else_takes_its_place() {
        let mut cache = Cache::default();
        let at = Cache::place("дом").unwrap();
        assert!(cache.get(at, "дом").is_none());
        cache.put(at, "дом", &[5, 7]);
        assert_eq!(cache.get(at, "дом"), Some([5, 7].as_slice()));
        // Another text of the same place and hash is told apart by its letters.
        assert!(cache.get(at, "кот").is_none());
        cache.put(at, "кот", &[1]);
        assert!(cache.get(at, "дом").is_none());
        cache.put(at, "дом", &[0; 16]);
        assert_eq!(cache.get(at, "кот"), Some([1].as_slice()));
        assert!(Cache::place("").is_none() && Cache::place(&"x".repeat(63)).is_none());
    }
}
