//! Numbers of payment cards (ISO/IEC 7812): issuers' prefixes, lengths and the check digit.
//!
//! In one piece or in groups of three digits or more.

use super::{Mask, digit, stands_alone};

/// The number that payment services set aside for tests.
const TOKEN: &str = "4111111111111111";

const SHORTEST: usize = 13;
const LONGEST: usize = 19;

/// First and last prefix of an issuer, then the lengths of its numbers.
const ISSUERS: &[(&str, &str, &[usize])] = &[
    // Visa
    ("4", "4", &[13, 16, 19]),
    // Mastercard
    ("51", "55", &[16]),
    ("2221", "2720", &[16]),
    // American Express
    ("34", "34", &[15]),
    ("37", "37", &[15]),
    // Diners Club
    ("300", "305", &[14, 16, 17, 18, 19]),
    ("36", "36", &[14, 15, 16, 17, 18, 19]),
    ("38", "39", &[14, 16, 17, 18, 19]),
    // Discover and RuPay
    ("60", "60", &[16, 17, 18, 19]),
    ("644", "659", &[16, 17, 18, 19]),
    ("81", "82", &[16]),
    ("508", "508", &[16]),
    // JCB
    ("3528", "3589", &[16, 17, 18, 19]),
    // UnionPay
    ("62", "62", &[16, 17, 18, 19]),
    // Maestro
    ("5018", "5018", &[13, 14, 15, 16, 17, 18, 19]),
    ("5020", "5020", &[13, 14, 15, 16, 17, 18, 19]),
    ("5038", "5038", &[13, 14, 15, 16, 17, 18, 19]),
    ("5893", "5893", &[13, 14, 15, 16, 17, 18, 19]),
    ("6304", "6304", &[13, 14, 15, 16, 17, 18, 19]),
    ("6759", "6763", &[13, 14, 15, 16, 17, 18, 19]),
    // Mir
    ("2200", "2204", &[16, 17, 18, 19]),
    // Verve
    ("506099", "506198", &[16, 18, 19]),
    // Troy
    ("9792", "9792", &[16]),
];

/// All card numbers of a text.
pub fn find(text: &str) -> Vec<Mask> {
    let mut masks = Vec::new();
    let mut chars = text.char_indices().peekable();
    while let Some((start, c)) = chars.next() {
        let Some(first) = digit(c) else { continue };
        let mut digits = [0; LONGEST];
        digits[0] = first;
        let mut count = 1;
        let mut end = start + c.len_utf8();
        let (mut group, mut shortest_group) = (1, usize::MAX);
        // The whole run of digits with single separators, which is a number or none.
        while let Some(&(at, c)) = chars.peek() {
            let next = |c: char| text[at + c.len_utf8()..].chars().next().and_then(digit);
            if let Some(value) = digit(c) {
                if let Some(place) = digits.get_mut(count) {
                    *place = value;
                }
                count += 1;
                end = at + c.len_utf8();
                group += 1;
            } else if matches!(c, ' ' | '-' | '\u{a0}') && next(c).is_some() {
                shortest_group = shortest_group.min(group);
                group = 0;
            } else {
                break;
            }
            chars.next();
        }
        let grouped = shortest_group == usize::MAX || shortest_group.min(group) >= 3;
        let alone = stands_alone(text, start, end);
        if grouped && alone && digits.get(..count).is_some_and(is_card) {
            masks.push((start..end, TOKEN));
        }
    }
    masks
}

fn is_card(digits: &[u8]) -> bool {
    digits.len() >= SHORTEST && has_issuer(digits) && luhn(digits)
}

fn has_issuer(digits: &[u8]) -> bool {
    let digit = |b: u8| b - b'0';
    ISSUERS.iter().any(|(first, last, lengths)| {
        let prefix = digits[..first.len()].iter().copied();
        lengths.contains(&digits.len())
            && prefix.clone().ge(first.bytes().map(digit))
            && prefix.le(last.bytes().map(digit))
    })
}

/// The check of Luhn (ISO/IEC 7812-1, annex B): every second digit from the right counts twice.
fn luhn(digits: &[u8]) -> bool {
    let doubled = |(at, d): (usize, &u8)| match at % 2 {
        0 => u32::from(*d),
        _ => u32::from(d * 2 / 10 + d * 2 % 10),
    };
    digits.iter().rev().enumerate().map(doubled).sum::<u32>() % 10 == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(text: &str) -> String {
        super::super::masked(text, &find(text)).replace(TOKEN, "CARD")
    }

    #[test]
    fn numbers_of_the_issuers_are_found() {
        for number in [
            "4242424242424242",
            "5555 5555 5555 4444",
            "2223-0031-2200-3222",
            "3782 822463 10005",
            "6011111111111117",
            "3566002020360505",
            "36227206271667",
            "6200000000000005",
        ] {
            assert_eq!(masked(&format!("n° {number}.")), "n° CARD.");
        }
        assert_eq!(masked("カード４２４２　"), "カード４２４２　");
        assert_eq!(masked("कार्ड ४२४२४२४२४२४२४२४२"), "कार्ड CARD");
    }

    #[test]
    fn other_numbers_stay() {
        for text in [
            "4242424242424241",
            "1234567812345670",
            "x4242424242424242",
            "42424242424242420",
            "4 2 4 2 4 2 4 2 4 2 4 2 4 2 4 2",
            "4242  4242 4242 4242",
            "0000000000000000",
            "0.4242424242424242",
            "4242424242424242,5",
        ] {
            assert_eq!(masked(text), text);
        }
    }
}
