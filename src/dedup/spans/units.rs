//! A text as the sequence of units that windows are counted in: its bytes or its code points.

/// What lengths are counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Bytes of UTF-8.
    Bytes,
    /// Code points.
    Characters,
}

impl Unit {
    /// How many units a text has.
    ///
    /// ```
    /// use hexapla::dedup::spans::units::Unit;
    /// assert_eq!((Unit::Bytes.count("日本"), Unit::Characters.count("日本")), (6, 2));
    /// ```
    pub fn count(self, text: &str) -> usize {
        match self {
            Unit::Bytes => text.len(),
            Unit::Characters => text.chars().count(),
        }
    }
}

/// A text and where its units are.
pub struct Units<'a> {
    text: &'a str,
    /// `None` where a unit is a byte, as also the characters of ASCII are.
    chars: Option<Chars>,
}

/// The code points, and the bytes where they begin, with the end of the text as the last.
struct Chars {
    values: Vec<u32>,
    offsets: Vec<usize>,
}

impl<'a> Units<'a> {
    /// The units of a text.
    pub fn new(text: &'a str, unit: Unit) -> Self {
        let chars = (unit == Unit::Characters && !text.is_ascii()).then(|| {
            let (mut values, mut offsets) = (Vec::new(), Vec::new());
            for (at, c) in text.char_indices() {
                values.push(u32::from(c));
                offsets.push(at);
            }
            offsets.push(text.len());
            Chars { values, offsets }
        });
        Self { text, chars }
    }

    /// The byte where a unit begins; that of the place after the last is the end of the text.
    pub fn offset(&self, unit: usize) -> usize {
        self.chars.as_ref().map_or(unit, |chars| chars.offsets[unit])
    }

    /// The bytes of the units from one up to another.
    pub fn bytes(&self, from: usize, to: usize) -> &'a [u8] {
        &self.text.as_bytes()[self.offset(from)..self.offset(to)]
    }

    /// The code points, when the units are not bytes.
    pub(super) fn values(&self) -> Result<&[u32], &'a [u8]> {
        match &self.chars {
            Some(chars) => Ok(&chars.values),
            None => Err(self.text.as_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_bytes_or_code_points() {
        for (unit, from, to, part) in [
            (Unit::Bytes, 0, 3, "日".as_bytes()),
            (Unit::Bytes, 1, 2, &"日".as_bytes()[1..2]),
            (Unit::Characters, 1, 3, "本x".as_bytes()),
            (Unit::Characters, 3, 3, b"".as_slice()),
        ] {
            assert_eq!(Units::new("日本x", unit).bytes(from, to), part);
        }
        assert_eq!(Units::new("abc", Unit::Characters).bytes(1, 3), b"bc");
    }
}
