//! An order of rows as an option tells it, `'score desc, n_words asc'`, and numbers as integers.

use crate::error::{Error, Result};

/// Columns that an order may have.
pub(super) const RANKS: usize = 4;

/// The columns of an order, each with whether the smallest comes first; the largest does by default.
pub(super) fn parse(order: &str) -> Result<Vec<(String, bool)>> {
    let parts = order.split(',').map(str::trim).filter(|part| !part.is_empty());
    let columns: Vec<(String, bool)> = parts.map(one).collect::<Result<_>>()?;
    if columns.len() > RANKS {
        return Err(Error::usage(format!(
            "option `order` has {} columns; {RANKS} are the most",
            columns.len()
        )));
    }
    Ok(columns)
}

fn one(part: &str) -> Result<(String, bool)> {
    let mut words = part.split_whitespace();
    let (column, direction) = (words.next().unwrap_or_default(), words.next().unwrap_or("desc"));
    let ascending = match direction.to_ascii_lowercase().as_str() {
        "asc" => true,
        "desc" => false,
        other => return Err(Error::unknown("direction", other, ["asc", "desc"])),
    };
    match words.next() {
        None => Ok((column.to_string(), ascending)),
        Some(word) => Err(Error::usage(format!("option `order`: `{word}` is one word too many"))
            .hint_with("write `{order: 'score desc, n_words desc'}`")),
    }
}

/// A number as an integer of the same order, above 0; not-a-number is 0, as a null is.
pub(super) fn ordered(value: f64) -> u64 {
    if value.is_nan() {
        return 0;
    }
    // Both zeros are one; negative numbers have their bits in reverse order.
    let bits = (value + 0.0).to_bits();
    if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_order_as_numbers_do() {
        let numbers = [f64::NAN, f64::NEG_INFINITY, -2.5, -1e-300, 0.0, 1e-300, 3.0, f64::INFINITY];
        let ranks: Vec<u64> = numbers.iter().map(|n| ordered(*n)).collect();
        assert!(ranks.is_sorted_by(|a, b| a < b), "{ranks:?}");
        assert_eq!(ordered(-0.0), ordered(0.0));
    }

    #[test]
    fn the_largest_comes_first_unless_it_says_otherwise() {
        let expected = [("a", false), ("b", true), ("c", false)];
        let found = parse(" a, b ASC ,c desc,").unwrap();
        assert_eq!(found, expected.map(|(column, asc)| (column.to_string(), asc)));
        assert!(parse("").unwrap().is_empty());
        for wrong in ["a up", "a asc b", "a,b,c,d,e"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
