//! A table from 32-bit keys to 32-bit values, at most half full.
//!
//! Open addressing with linear probing, in memory that is a multiple of the number of values. Keys
//! need not be unique: the caller tells which of the values under a key is meant.

/// No value: rows and words are counted in 31 bits.
const NONE: u32 = u32::MAX;

/// The table; its size is fixed.
pub struct Table {
    /// Keys and values.
    slots: Vec<(u32, u32)>,
}

impl Table {
    /// Room for some values.
    pub fn new(values: usize) -> Self {
        Self { slots: vec![(0, NONE); (2 * values + 1).next_power_of_two()] }
    }

    /// The value under a key for which `is_it` holds.
    pub fn get(&self, key: u32, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let (_, value) = self.slots[self.slot(key, is_it)];
        (value != NONE).then_some(value)
    }

    /// The place of the value under a key for which `is_it` holds, or else for a new value.
    pub fn slot(&self, key: u32, is_it: impl Fn(u32) -> bool) -> usize {
        // The high bits of the product depend on all bits of the key.
        let spread = key.wrapping_mul(0x9E37_79B1);
        let mut slot = ((u64::from(spread) * self.slots.len() as u64) >> 32) as usize;
        loop {
            let (found, value) = self.slots[slot];
            if value == NONE || (found == key && is_it(value)) {
                return slot;
            }
            slot = (slot + 1) & (self.slots.len() - 1);
        }
    }

    /// Puts a value where [`Table::slot`] said.
    pub fn put(&mut self, slot: usize, key: u32, value: u32) {
        self.slots[slot] = (key, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_under_one_key_are_told_apart() {
        let mut table = Table::new(3);
        for value in [5, 6, 7] {
            table.put(table.slot(9, |other| other == value), 9, value);
        }
        assert_eq!(table.get(9, |value| value == 6), Some(6));
        assert_eq!(table.get(9, |value| value == 8), None);
        assert_eq!(table.get(8, |_| true), None);
        assert_eq!(Table::new(0).get(0, |_| true), None);
    }
}
