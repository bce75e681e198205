//! Decimal digits of every script and their values. A table, from Unicode 17.
//!
//! No numerals that are not positional, such as `十二` or `Ⅻ`.

/// The zeros of Unicode's decimal digits (general category Nd), ascending; each begins ten in a row.
const ZEROS: &[u32] = &[
    0x30, 0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66,
    0xde6, 0xe50, 0xed0, 0xf20, 0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90,
    0x1b50, 0x1bb0, 0x1c40, 0x1c50, 0xa620, 0xa8d0, 0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0, 0xff10,
    0x104a0, 0x10d30, 0x10d40, 0x11066, 0x110f0, 0x11136, 0x111d0, 0x112f0, 0x11450, 0x114d0,
    0x11650, 0x116c0, 0x116d0, 0x116da, 0x11730, 0x118e0, 0x11950, 0x11bf0, 0x11c50, 0x11d50,
    0x11da0, 0x11de0, 0x11f50, 0x16130, 0x16a60, 0x16ac0, 0x16b50, 0x16d70, 0x1ccf0, 0x1d7ce,
    0x1d7d8, 0x1d7e2, 0x1d7ec, 0x1d7f6, 0x1e140, 0x1e2f0, 0x1e4f0, 0x1e5f1, 0x1e950, 0x1fbf0,
];

/// The value of a decimal digit of any script.
///
/// ```
/// use hexapla::pair::digits::value;
/// assert_eq!(['7', '٧', '७', '７', 'x'].map(value), [Some(7), Some(7), Some(7), Some(7), None]);
/// ```
pub fn value(c: char) -> Option<u8> {
    if c.is_ascii() {
        return c.to_digit(10).map(|value| value as u8);
    }
    let after = ZEROS.partition_point(|zero| *zero <= c as u32);
    let value = c as u32 - ZEROS.get(after.checked_sub(1)?)?;
    u8::try_from(value).ok().filter(|value| *value < 10)
}

/// The runs of decimal digits in a text, in ASCII digits.
///
/// ```
/// use hexapla::pair::digits::runs;
/// assert_eq!(runs("١٢٫٥ og 1,250"), ["12", "5", "1", "250"]);
/// ```
pub fn runs(text: &str) -> Vec<String> {
    let mut runs = Vec::new();
    let mut run = String::new();
    for c in text.chars() {
        match value(c) {
            Some(value) => run.push(char::from(b'0' + value)),
            None if run.is_empty() => {}
            None => runs.push(std::mem::take(&mut run)),
        }
    }
    if !run.is_empty() {
        runs.push(run);
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;
    use icu_properties::CodePointMapData;
    use icu_properties::props::GeneralCategory;

    #[test]
    fn the_table_is_that_of_unicode() {
        let category = CodePointMapData::<GeneralCategory>::new();
        for c in (0..=0x10ffff).filter_map(char::from_u32) {
            let decimal = category.get(c) == GeneralCategory::DecimalNumber;
            // An update of the data that brings new digits shows here.
            assert_eq!(value(c).is_some(), decimal, "U+{:04X}", c as u32);
        }
    }
}
