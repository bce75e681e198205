//! What the rule sets share: profiles, thresholds in order, guarded ratios, punctuation.
//!
//! No rule of its own.

use arrow::datatypes::DataType;

use crate::error::{Error, Result};
use crate::function::{Arg, Type, struct_of};

/// Whose definition of a rule set is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// datatrove's rules, and those that are made for English asked of no other language.
    Hexapla,
    /// datatrove 0.10 (Hugging Face) with its default arguments, whatever the language.
    Datatrove,
    /// dolma 1.2 (AI2): its taggers and the thresholds of its published mixes.
    Dolma,
    /// tensorflow-datasets 4.9 (Google), where C4 was made.
    Tfds,
}

impl Profile {
    /// Its name in SQL.
    pub fn name(self) -> &'static str {
        match self {
            Profile::Hexapla => "hexapla",
            Profile::Datatrove => "datatrove",
            Profile::Dolma => "dolma",
            Profile::Tfds => "tfds",
        }
    }

    /// The profile of a name among those that a rule set has, the first unless one is given;
    /// errors for another name.
    pub fn named(name: Option<&str>, known: &[Profile]) -> Result<Self> {
        match known.iter().find(|profile| name.is_none_or(|name| name == profile.name())) {
            Some(profile) => Ok(*profile),
            None => {
                let names = known.iter().map(|profile| profile.name());
                Err(Error::unknown("profile", name.unwrap_or_default(), names))
            }
        }
    }
}

/// The arguments of a rule set.
pub const ARGS: &[Arg] = &[
    Arg::text("text"),
    Arg::optional(
        "lang",
        Type::Text,
        "word rules that hold for all languages; the rules of English",
    ),
    Arg::optional("profile", Type::Text, "`hexapla`"),
];

/// The result of a rule set: `keep`, `reason`, then its numbers.
pub fn verdict_of(numbers: &[(&str, DataType)]) -> DataType {
    let mut fields = vec![("keep", DataType::Boolean), ("reason", DataType::Utf8)];
    fields.extend(numbers.iter().cloned());
    struct_of(&fields)
}

/// The reason of the first rule that is broken.
pub fn first_broken(rules: &[(bool, &'static str)]) -> Option<&'static str> {
    rules.iter().find(|(broken, _)| *broken).map(|(_, reason)| *reason)
}

/// `part / whole`, and 0 for a whole of 0.
pub fn ratio(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// Whether datatrove counts a character as the end of a sentence: Unicode's `Sentence_Terminal`
/// as of version 15, without the presentation forms, with the Khmer signs.
pub fn is_terminal(c: char) -> bool {
    within(TERMINAL, c)
}

/// Whether datatrove counts a character as punctuation: a fixed list, the controls except tab
/// and line feed, and the sentence ends.
///
/// ```
/// use hexapla::measure::verdict::is_punctuation;
/// assert!(is_punctuation('«') && is_punctuation('。') && is_punctuation('।'));
/// assert!(!is_punctuation('‹') && !is_punctuation('ª'));
/// ```
pub fn is_punctuation(c: char) -> bool {
    match c {
        '\t' | '\n' | ' ' => false,
        '\0'..='\x1f' | '\x7f'..='\u{9f}' => true,
        '!'..='~' => c.is_ascii_punctuation(),
        _ => PUNCTUATION.contains(c) || is_terminal(c),
    }
}

/// The full-width one is datatrove's.
const PUNCTUATION: &str = "«´»–—’“”„…∶━►、。〈〉《》「」【】！％（），．１：；？～";

fn within(ranges: &[(u32, u32)], c: char) -> bool {
    let c = u32::from(c);
    let place = ranges.partition_point(|(_, last)| *last < c);
    ranges.get(place).is_some_and(|(first, _)| *first <= c)
}

#[rustfmt::skip]
const TERMINAL: &[(u32, u32)] = &[
    (0x0021, 0x0021), (0x002E, 0x002E), (0x003F, 0x003F), (0x0589, 0x0589), (0x061D, 0x061F),
    (0x06D4, 0x06D4), (0x0700, 0x0702), (0x07F9, 0x07F9), (0x0837, 0x0837), (0x0839, 0x0839),
    (0x083D, 0x083E), (0x0964, 0x0965), (0x104A, 0x104B), (0x1362, 0x1362), (0x1367, 0x1368),
    (0x166E, 0x166E), (0x1735, 0x1736), (0x17D4, 0x17D6), (0x17D9, 0x17DA), (0x1803, 0x1803),
    (0x1809, 0x1809), (0x1944, 0x1945), (0x1AA8, 0x1AAB), (0x1B5A, 0x1B5B), (0x1B5E, 0x1B5F),
    (0x1B7D, 0x1B7E), (0x1C3B, 0x1C3C), (0x1C7E, 0x1C7F), (0x203C, 0x203D), (0x2047, 0x2049),
    (0x2E2E, 0x2E2E), (0x2E3C, 0x2E3C), (0x2E53, 0x2E54), (0x3002, 0x3002), (0xA4FF, 0xA4FF),
    (0xA60E, 0xA60F), (0xA6F3, 0xA6F3), (0xA6F7, 0xA6F7), (0xA876, 0xA877), (0xA8CE, 0xA8CF),
    (0xA92F, 0xA92F), (0xA9C8, 0xA9C9), (0xAA5D, 0xAA5F), (0xAAF0, 0xAAF1), (0xABEB, 0xABEB),
    (0xFE52, 0xFE52), (0xFE56, 0xFE57), (0xFF01, 0xFF01), (0xFF0E, 0xFF0E), (0xFF1F, 0xFF1F),
    (0xFF61, 0xFF61), (0x10A56, 0x10A57), (0x10F55, 0x10F59), (0x10F86, 0x10F89),
    (0x11047, 0x11048), (0x110BE, 0x110C1), (0x11141, 0x11143), (0x111C5, 0x111C6),
    (0x111CD, 0x111CD), (0x111DE, 0x111DF), (0x11238, 0x11239), (0x1123B, 0x1123C),
    (0x112A9, 0x112A9), (0x1144B, 0x1144C), (0x115C2, 0x115C3), (0x115C9, 0x115D7),
    (0x11641, 0x11642), (0x1173C, 0x1173E), (0x11944, 0x11944), (0x11946, 0x11946),
    (0x11A42, 0x11A43), (0x11A9B, 0x11A9C), (0x11C41, 0x11C42), (0x11EF7, 0x11EF8),
    (0x11F43, 0x11F44), (0x16A6E, 0x16A6F), (0x16AF5, 0x16AF5), (0x16B37, 0x16B38),
    (0x16B44, 0x16B44), (0x16E98, 0x16E98), (0x1BC9F, 0x1BC9F), (0x1DA88, 0x1DA88),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_have_names() {
        let known = [Profile::Hexapla, Profile::Datatrove];
        assert_eq!(Profile::named(None, &known).unwrap(), Profile::Hexapla);
        assert_eq!(Profile::named(Some("datatrove"), &known).unwrap(), Profile::Datatrove);
        let error = Profile::named(Some("datatroove"), &known).unwrap_err();
        assert_eq!(error.hint(), Some("did you mean `datatrove`?"));
        assert!(Profile::named(Some("tfds"), &known).is_err());
    }

    #[test]
    fn punctuation_is_the_peers_list() {
        let all = ('\0'..=char::MAX).filter(|c| is_punctuation(*c)).count();
        let terminal = ('\0'..=char::MAX).filter(|c| is_terminal(*c)).count();
        assert_eq!((terminal, all), (159, 281));
        assert!(TERMINAL.is_sorted());
        for c in "។؟।።。".chars() {
            assert!(is_terminal(c), "{c}");
        }
    }

    #[test]
    fn a_ratio_of_nothing_is_zero() {
        assert_eq!(ratio(3, 0), 0.0);
        assert_eq!(ratio(1, 4), 0.25);
    }
}
