//! The characters of a pair as small numbers, so that comparing texts indexes arrays.
//!
//! Nothing but the numbering; what is compared is the caller's.

/// Both sides of a pair with a number for each character.
///
/// Equal characters have equal numbers. A character of the source that the target does not have
/// is 0; those of the target count from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coded {
    /// The source.
    pub src: Vec<u16>,
    /// The target.
    pub tgt: Vec<u16>,
    /// Numbers in use, 0 included.
    pub n_codes: usize,
}

impl Coded {
    /// Numbers the characters of two texts of fewer than 65,536 characters each.
    pub fn new(src: &[char], tgt: &[char]) -> Self {
        let mut codes = Codes::new(tgt.iter().filter(|c| !c.is_ascii()).count());
        let tgt = tgt.iter().map(|c| codes.insert(*c)).collect();
        let src = src.iter().map(|c| codes.get(*c)).collect();
        Self { src, tgt, n_codes: usize::from(codes.last) + 1 }
    }
}

/// A table from characters to numbers: an array for ASCII, open addressing for all others.
struct Codes {
    ascii: [u16; 128],
    others: Vec<(char, u16)>,
    last: u16,
}

impl Codes {
    fn new(n_others: usize) -> Self {
        // At most half full, so that a search ends soon.
        let others = vec![('\0', 0); (2 * n_others).next_power_of_two().max(2)];
        Self { ascii: [0; 128], others, last: 0 }
    }

    /// The place of a character, or the free one where it would stand.
    fn place(&self, c: char) -> usize {
        let mask = self.others.len() - 1;
        let mut place = (u32::from(c).wrapping_mul(0x9e37_79b1) >> 12) as usize & mask;
        while self.others[place].1 != 0 && self.others[place].0 != c {
            place = (place + 1) & mask;
        }
        place
    }

    fn get(&self, c: char) -> u16 {
        match self.ascii.get(c as usize) {
            Some(code) => *code,
            None => self.others[self.place(c)].1,
        }
    }

    fn insert(&mut self, c: char) -> u16 {
        let code = match c.is_ascii() {
            true => &mut self.ascii[c as usize],
            false => {
                let place = self.place(c);
                self.others[place].0 = c;
                &mut self.others[place].1
            }
        };
        if *code == 0 {
            self.last += 1;
            *code = self.last;
        }
        *code
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(src: &str, tgt: &str) -> Coded {
        let chars = |text: &str| text.chars().collect::<Vec<_>>();
        Coded::new(&chars(src), &chars(tgt))
    }

    #[test]
    fn equal_characters_have_equal_numbers() {
        let coded = of("кот a語", "語 кит");
        assert_eq!(coded.tgt, [1, 2, 3, 4, 5]);
        assert_eq!(coded.src, [3, 0, 5, 2, 0, 1]);
        assert_eq!(coded.n_codes, 6);
        assert_eq!(of("", "").n_codes, 1);
    }

    #[test]
    fn many_different_characters_keep_their_numbers() {
        let all: String = ('\u{4e00}'..'\u{6e00}').collect();
        let coded = of(&all, &all);
        assert_eq!(coded.src, coded.tgt);
        assert_eq!(coded.n_codes, 0x2001);
    }
}
