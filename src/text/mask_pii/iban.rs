//! International bank account numbers (ISO 13616): length by country and the checksum of ISO 7064.
//!
//! In one piece or in groups; the inner structure of an account number is not checked.

use super::{Mask, stands_alone};

/// The number that encyclopedias show; its bank does not exist.
const TOKEN: &str = "GB82WEST12345698765432";

/// Countries by the length of their numbers, from SWIFT's registry of IBANs.
const COUNTRIES: &[(usize, &str)] = &[
    (15, "NO"),
    (16, "BE"),
    (18, "DK FI FK FO GL NL SD"),
    (19, "MK SI"),
    (20, "AT BA EE KZ LT LU MN XK"),
    (21, "CH HR LI LV"),
    (22, "BG BH CR DE GB GE IE ME RS VA"),
    (23, "AE GI IL IQ OM SO TL"),
    (24, "AD CZ ES MD PK RO SA SE SK TN VG"),
    (25, "LY PT ST"),
    (26, "IS TR"),
    (27, "BI DJ FR GR IT MC MR SM"),
    (28, "AL AZ BY CY DO GT HN HU LB NI PL SV"),
    (29, "BR EG PS QA UA"),
    (30, "JO KW MU YE"),
    (31, "MT SC"),
    (32, "LC"),
    (33, "RU"),
];

/// All account numbers of a text.
pub fn find(text: &str) -> Vec<Mask> {
    let bytes = text.as_bytes();
    let mut masks = Vec::new();
    let mut at = 0;
    while at + 4 <= bytes.len() {
        let [a, b, c, d] = [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
        let head = a.is_ascii_alphabetic() && b.is_ascii_alphabetic();
        if head
            && c.is_ascii_digit()
            && d.is_ascii_digit()
            && let Some(length) = number(text, at)
        {
            masks.push((at..at + length, TOKEN));
            at += length;
            continue;
        }
        at += 1;
    }
    masks
}

/// The length in bytes of the number that begins at a place.
fn number(text: &str, at: usize) -> Option<usize> {
    let country = text[at..at + 2].to_ascii_uppercase();
    let length = COUNTRIES.iter().find(|(_, list)| list.split(' ').any(|c| c == country))?.0;
    let mut characters = Vec::with_capacity(length);
    let mut separated = false;
    let mut chars = text[at..].char_indices();
    while characters.len() < length {
        let c = chars.next()?.1;
        if c.is_ascii_alphanumeric() {
            characters.push(c);
            separated = false;
        } else if !separated && matches!(c, ' ' | '-' | '\u{a0}' | '\u{202f}') {
            separated = true;
        } else {
            return None;
        }
    }
    let end = chars.next().map_or(text.len() - at, |(end, _)| end);
    (stands_alone(text, at, at + end) && checksum(&characters) == Some(1)).then_some(end)
}

/// The number modulo 97, its first four characters last and letters as 10 to 35.
fn checksum(characters: &[char]) -> Option<u32> {
    let (head, tail) = characters.split_at(4);
    tail.iter().chain(head).try_fold(0, |rest, c| {
        let value = c.to_digit(36)?;
        Some((rest * if value < 10 { 10 } else { 100 } + value) % 97)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(text: &str) -> String {
        super::super::masked(text, &find(text)).replace(TOKEN, "IBAN")
    }

    #[test]
    fn numbers_are_found_in_one_piece_and_in_groups() {
        assert_eq!(masked("DE89370400440532013000"), "IBAN");
        assert_eq!(masked("口座 FR14 2004 1010 0505 0001 3M02 606。"), "口座 IBAN。");
        assert_eq!(masked("на NO93-8601-1117-947, gb29 nwbk 6016 1331 9268 19"), "на IBAN, IBAN");
    }

    #[test]
    fn wrong_length_checksum_or_country_is_no_number() {
        for text in [
            "DE88370400440532013000",
            "DE8937040044053201300",
            "DE893704004405320130001",
            "XX89370400440532013000",
            "ADE89370400440532013000",
            "DE89  3704 0044 0532 0130 00",
            "DE89",
        ] {
            assert_eq!(masked(text), text);
        }
    }

    #[test]
    fn a_country_has_one_length() {
        let mut all: Vec<&str> = COUNTRIES.iter().flat_map(|(_, list)| list.split(' ')).collect();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }
}
