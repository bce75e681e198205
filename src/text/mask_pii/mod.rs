//! `mask_pii`: addresses and numbers that lead to a person, replaced by fixed ones of nobody.
//!
//! Names and postal addresses are not found; nothing is guessed from the words around a number.

mod card;
mod email;
mod iban;
mod ip;
mod phone;

use std::borrow::Cow;
use std::ops::Range;

use arrow::datatypes::DataType;

use crate::error::{Error, Result};
use crate::function::{Arg, Family, Function, Row, Signature, Type, Value};
use crate::identify::script::is_digit;

/// `mask_pii(text [, kinds])`.
pub const MASK_PII: Function = Function {
    signature: Signature {
        name: "mask_pii",
        family: Family::Text,
        args: &[
            Arg::text("text"),
            Arg::optional("kinds", Type::Text, "`email,ip`, the kinds of datatrove"),
        ],
        returns: || DataType::Utf8,
        doc: "The text with each address or number of the kinds replaced by a fixed one of nobody: \
              `email`; `ip` (public IPv4 and IPv6; private and reserved ones stay); `iban` and \
              `card` (payment cards), both with right length and checksum; `phone` (international, \
              `+` or `00`) and `phone:de` (as written within Germany too; so for any ISO 3166 \
              code). E-mail and IPv4 are found as datatrove 0.10's PIIFormatter finds them; it \
              takes its replacements in turns, which would depend on the rows before.",
        examples: &[
            ("mask_pii('Γράψε στο maria@mail.gr!')", "Γράψε στο email@example.com!"),
            ("mask_pii('8.8.8.8、192.168.1.1')", "192.0.2.1、192.168.1.1"),
            ("mask_pii('電話は＋８１ ３-１２３４-５６７８', 'phone')", "電話は+1 202 555 0100"),
            ("mask_pii('Тел. 8 (495) 123-45-67', 'phone:ru')", "Тел. +1 202 555 0100"),
            ("mask_pii('IBAN DE89 3704 0044 0532 0130 00', 'iban')", "IBAN GB82WEST12345698765432"),
            ("mask_pii('Karte 5555 5555 5555 4444', 'card')", "Karte 4111111111111111"),
        ],
        version: 1,
    },
    body: call,
};

/// The names of the kinds; `phone` may be followed by a colon and a region.
pub const KINDS: &[&str] = &["email", "ip", "iban", "card", "phone"];

const DEFAULT: &str = "email,ip";

/// Where something is to be masked, and by what.
type Mask = (Range<usize>, &'static str);

/// The text with all of some kinds masked, borrowed when there are none; kinds are separated by
/// commas and looked for in their order in [`KINDS`].
///
/// Errors for an unknown kind and for a region without a numbering plan.
///
/// ```
/// use hexapla::text::mask_pii::mask_pii;
/// assert_eq!(mask_pii("an: jo@exemple.fr", "email").unwrap(), "an: email@example.com");
/// assert!(mask_pii("", "emails").is_err());
/// ```
pub fn mask_pii<'t>(text: &'t str, kinds: &str) -> Result<Cow<'t, str>> {
    let mut wanted = [false; KINDS.len()];
    let mut plans = Vec::new();
    for kind in kinds.split(',').map(str::trim).filter(|kind| !kind.is_empty()) {
        let (name, region) = kind.split_once(':').map_or((kind, None), |(n, r)| (n, Some(r)));
        match KINDS.iter().position(|known| *known == name) {
            Some(at) if region.is_none() || name == "phone" => wanted[at] = true,
            _ => return Err(Error::unknown("kind", kind, KINDS.iter().copied())),
        }
        if let Some(region) = region {
            plans.push(phone::plan(region)?);
        }
    }
    let mut text = Cow::Borrowed(text);
    for (kind, _) in KINDS.iter().zip(wanted).filter(|(_, wanted)| *wanted) {
        let masks = match *kind {
            "email" => email::find(&text),
            "ip" => ip::find(&text),
            "iban" => iban::find(&text),
            "card" => card::find(&text),
            _ => phone::find(&text, &plans),
        };
        if !masks.is_empty() {
            text = Cow::Owned(masked(&text, &masks));
        }
    }
    Ok(text)
}

/// A text with ranges replaced; they come in order and do not overlap.
fn masked(text: &str, masks: &[Mask]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    for (range, token) in masks {
        out.push_str(&text[done..range.start]);
        out.push_str(token);
        done = range.end;
    }
    out.push_str(&text[done..]);
    out
}

/// The value of a decimal digit of any script that numbers are written in today.
fn digit(c: char) -> Option<u8> {
    if c.is_ascii() {
        return c.is_ascii_digit().then(|| c as u8 - b'0');
    }
    if !is_digit(c) {
        return None;
    }
    // Digits come in tens from zero on: ten to the block but for mathematical ones (1D7CE on).
    let code = c as u32;
    let zero = match code {
        0x0660..=0x0669 => 0x0660,
        0x06f0..=0x06f9 => 0x06f0,
        0x07c0..=0x07c9 => 0x07c0,
        0x0966..=0x0d6f => code & !0xf | 0x6,
        0x0de6..=0x0def => 0x0de6,
        0x0e50..=0x0e59 | 0x0ed0..=0x0ed9 | 0xff10..=0xff19 => code & !0xf,
        0x0f20..=0x0f29 | 0x1040..=0x1049 | 0x17e0..=0x17e9 => code & !0xf,
        _ => return None,
    };
    u8::try_from(code.checked_sub(zero)?).ok().filter(|value| *value < 10)
}

/// The character before a place.
fn before(text: &str, at: usize) -> Option<char> {
    text[..at].chars().next_back()
}

/// The character after a place.
fn after(text: &str, at: usize) -> Option<char> {
    text[at..].chars().next()
}

/// Whether a number from one place to another stands by itself: no ASCII letter or digit beside it
/// and no more digits behind a decimal sign or a colon. Letters of other scripts may stand beside
/// it: many are written without spaces.
fn stands_alone(text: &str, start: usize, end: usize) -> bool {
    let joins = |c: char| c.is_ascii_alphanumeric() || c == '_' || digit(c).is_some();
    let binds = |c: char| matches!(c, '.' | ',' | ':');
    let bound = |c: Option<char>, next: Option<char>| {
        c.is_some_and(joins) || c.is_some_and(binds) && next.is_some_and(|c| digit(c).is_some())
    };
    let mut front = text[..start].chars().rev();
    let mut back = text[end..].chars();
    !bound(front.next(), front.next()) && !bound(back.next(), back.next())
}

fn call(args: &[Value<'_>], out: &mut Row<'_>) -> Result<()> {
    let text = args[0].text().unwrap_or_default();
    out.text(&*mask_pii(text, args[1].text().unwrap_or(DEFAULT))?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: &str = "email,ip,iban,card,phone,phone:de,phone:us";

    #[test]
    fn kinds_are_switched_on_by_name() {
        let text = "a@b.de 1.1.1.1 +49 30 1234567";
        assert_eq!(mask_pii(text, "email").unwrap(), "email@example.com 1.1.1.1 +49 30 1234567");
        assert_eq!(mask_pii(text, "ip, phone").unwrap(), "a@b.de 192.0.2.1 +1 202 555 0100");
        assert!(matches!(mask_pii(text, "").unwrap(), Cow::Borrowed(_)));
        let error = mask_pii("", "mail").unwrap_err().to_string();
        assert_eq!(error, "unknown kind `mail`; expected one of: email, ip, iban, card, phone");
        assert!(mask_pii("", "email:de").is_err() && mask_pii("", "phone:xx").is_err());
    }

    #[test]
    fn digits_of_many_scripts_have_values() {
        for (text, number) in [
            ("0129", 129),
            ("٠١٢٩", 129),
            ("۰۱۲۹", 129),
            ("०१२९", 129),
            ("๐๑๒๙", 129),
            ("０１２９", 129),
            ("০১২৯", 129),
            ("൦൧൨൯", 129),
        ] {
            let value =
                text.chars().map(|c| digit(c).unwrap()).fold(0, |n, d| n * 10 + u32::from(d));
            assert_eq!(value, number, "{text}");
        }
        assert_eq!(digit('²'), None);
        assert_eq!(digit('𝟙'), None);
    }

    #[test]
    fn text_without_any_is_borrowed() {
        for text in ["", "ü", "नमस्ते १२", "\u{200f}\u{200d}\u{378}", "10:30 @ home, 3.14.15"]
        {
            assert!(matches!(mask_pii(text, ALL).unwrap(), Cow::Borrowed(same) if same == text));
        }
    }

    #[test]
    fn time_is_linear_in_hostile_text() {
        for piece in [
            "a.", "a@", "@a.", "1.", "1:", "::", "f:", "+", "+4", "+49 ", "00", "0 1 ", "(0", "4",
            "4-", "DE89", "DE89 ", "é@", "@[1.2.3.", "a-", "٣",
        ] {
            let text = piece.repeat(1_000_000 / piece.len());
            mask_pii(&text, ALL).unwrap();
        }
    }

    proptest! {
        #[test]
        fn what_is_masked_once_stays(text in "[a-z@.:+0-9 ()é١DE-]{0,60}") {
            let once = mask_pii(&text, ALL).unwrap().into_owned();
            prop_assert_eq!(&mask_pii(&once, ALL).unwrap(), &once);
        }

        #[test]
        fn nothing_panics(text in any::<String>()) {
            mask_pii(&text, ALL).unwrap();
        }
    }
}
