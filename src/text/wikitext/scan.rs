//! The next byte of a set, eight at a time.
//!
//! `memchr` searches for three bytes at most, and markup has more.

/// A set of bytes.
pub struct Set([bool; 256]);

impl Set {
    /// The set of some ASCII characters.
    pub const fn of(bytes: &[u8]) -> Self {
        let mut set = [false; 256];
        let mut i = 0;
        while i < bytes.len() {
            set[bytes[i] as usize] = true;
            i += 1;
        }
        Self(set)
    }

    /// Where the first byte of the set stands, or the length.
    pub fn find(&self, bytes: &[u8]) -> usize {
        let has = |byte: u8| self.0[usize::from(byte)];
        let mut at = 0;
        while let Some([a, b, c, d, e, f, g, h]) = bytes[at..].first_chunk::<8>() {
            // One branch for eight bytes; most have none.
            if has(*a) | has(*b) | has(*c) | has(*d) | has(*e) | has(*f) | has(*g) | has(*h) {
                break;
            }
            at += 8;
        }
        while at < bytes.len() && !has(bytes[at]) {
            at += 1;
        }
        at
    }
}

/// How often the first byte is repeated at the begin.
pub fn run(bytes: &[u8]) -> usize {
    let Some(first) = bytes.first() else { return 0 };
    bytes.iter().take_while(|b| *b == first).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_a_set_is_found_wherever_it_stands() {
        let set = Set::of(b"{\n");
        for n in 0..30 {
            let text = "x".repeat(n);
            assert_eq!(set.find(text.as_bytes()), n);
            assert_eq!(set.find(format!("{text}{{жж\n").as_bytes()), n);
        }
        assert_eq!((run(b"==="), run(b"==a="), run(b"")), (3, 2, 0));
    }
}
