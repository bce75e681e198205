//! Whether text looks like mojibake: characters side by side that nobody writes so.
//!
//! The heuristic of ftfy 6.3 (`badness.py`, Apache-2.0): the some 400 characters that UTF-8 turns
//! into when it is read as something else fall into classes, and some sequences of classes hardly
//! occur in any language. A table of classes, one of sequences, and one automaton made of both.

use std::sync::LazyLock;

use regex::Regex;

/// The classes, as the inside of a bracket of a regular expression.
const CLASSES: &[(&str, &str)] = &[
    // Usual everywhere: no sign of anything.
    ("common", r"\xa0\xad·´–—―…’"),
    // C1 controls, which nobody means.
    ("c1", r"\x80-\x9f"),
    // Hardly ever seen elsewhere.
    ("bad", r"¦¤¨¬¯¸ƒˆˇ˘˛˜†‡‰⌐◊\x{fffd}ªº"),
    ("law", r"¶§"),
    ("currency", r"¢£¥₧€"),
    // U+F8FF is the apple of MacRoman.
    ("start_punctuation", r"¡«¿©΄΅‘‚“„•‹\x{f8ff}"),
    ("end_punctuation", r"®»˝”›™"),
    ("numeric", r"²³¹±¼½¾×µ÷⁄∂∆∏∑√∞∩∫≈≠≡≤≥№"),
    // Letters of faces made of characters, which stand beside anything.
    ("kaomoji", r"Ò-ÖÙ-Üò-öø-üŐŌŪŲ°"),
    ("upper_accented", r"À-ÑØÜÝĂĀĄĆČĎĐĘĚĒĖĞĢİĪĶĹĽŁĻŃŇŅŒŘŚŞŠŢŤŮŰŸŹŻŽҐ"),
    ("lower_accented", r"ßà-ñăąāćčďđęěēėğģįīķĺľłļœŕśşšťüźżžґﬁﬂ"),
    // Letters of Greek and Cyrillic, right and wrong.
    ("upper_common", r"ÞΑ-ΩΆΈΉΊΌΎΏΪΫЁ-Я"),
    ("lower_common", r"ά-ωа-џ"),
    // Without the single horizontal line, which draws faces too.
    ("box", r"│┌┐┘├┤┬┼═-╬▀▄█▌▐░▒▓"),
    // White space and parts of words as Python has them.
    ("space", r"\s\x1c-\x1f"),
    ("word", r"\p{L}\p{N}_"),
];

/// The sequences: a class name in braces is replaced by its characters; blanks do not count
/// outside of brackets.
const SEQUENCES: &[&str] = &[
    "[{c1}]",
    "[{bad}{lower_accented}{upper_accented}{box}{start_punctuation}{end_punctuation}{currency}{numeric}{law}] [{bad}]",
    "[a-zA-Z] [{lower_common}{upper_common}] [{bad}]",
    "[{bad}] [{lower_accented}{upper_accented}{box}{start_punctuation}{end_punctuation}{currency}{numeric}{law}]",
    "[{lower_accented}{lower_common}{box}{end_punctuation}{currency}{numeric}] [{upper_accented}]",
    "[{box}{end_punctuation}{currency}{numeric}] [{lower_accented}]",
    "[{lower_accented}{box}{end_punctuation}] [{currency}]",
    "[{space}] [{upper_accented}] [{currency}]",
    "[{upper_accented}{box}] [{numeric}{law}]",
    "[{lower_accented}{upper_accented}{box}{currency}{end_punctuation}] [{start_punctuation}] [{numeric}]",
    "[{lower_accented}{upper_accented}{currency}{numeric}{box}{law}] [{end_punctuation}] [{start_punctuation}]",
    "[{currency}{numeric}{box}] [{start_punctuation}]",
    "[a-z] [{upper_accented}] [{start_punctuation}{currency}]",
    "[{box}] [{kaomoji}]",
    "[{lower_accented}{upper_accented}{currency}{numeric}{start_punctuation}{end_punctuation}{law}] [{box}]",
    "[{box}] [{end_punctuation}]",
    "[{lower_accented}{upper_accented}] [{start_punctuation}{end_punctuation}] [{word}]",
    // The ligature where no plain letter follows, and a degree after a capital.
    "[Œœ] [^A-Za-z]",
    "[{upper_accented}] °",
    // Windows-1252: what the rules above leave.
    r"[ÂÃÎÐ] [€œŠš¢£Ÿž\xa0\xad®©°·»{start_punctuation}{end_punctuation}–—´]",
    "× [²³]",
    r"Ã [\xa0¡]",
    r"[a-z] [{space}]? [ÃÂ] [\x20]",
    r"^ [ÃÂ] [\x20]",
    r"[a-z.,?!{end_punctuation}] Â [\x20{start_punctuation}{end_punctuation}]",
    // Windows-1252 that was Arabic, two letters of it; and scripts of South Asia.
    "[ØÙ] [{common}{currency}{bad}{numeric}{start_punctuation}ŸŠ®°µ»] [ØÙ] [{common}{currency}{bad}{numeric}{start_punctuation}ŸŠ®°µ»]",
    "à [²µ¹¼½¾]",
    // MacRoman.
    "√ [±∂†≠®™´≤≥¥µø]",
    "≈ [°¢]",
    "‚Ä [ìîïòôúùû†°¢π]",
    "‚ [âó] [àä°ê]",
    // Windows-1251: punctuation, then letters, then Windows-1252 beneath it near Latin.
    "вЂ",
    "[ВГРС] [{c1}{bad}{start_punctuation}{end_punctuation}{currency}°µ] [ВГРС]",
    r"ГўВЂВ . [A-Za-z\x20]",
    // Windows-1253: punctuation, then letters.
    r"β€ [™\xa0Ά\xad®°]",
    "[ΒΓΞΟ] [{c1}{bad}{start_punctuation}{end_punctuation}{currency}°] [ΒΓΞΟ]",
    // Windows-1257.
    "ā€",
];

static BADNESS: LazyLock<Regex> = LazyLock::new(|| regex(&pattern()));

/// Whether some of a text looks like mojibake.
pub fn is_bad(text: &str) -> bool {
    BADNESS.is_match(text)
}

/// All sequences as one regular expression.
pub fn pattern() -> String {
    let mut pattern = SEQUENCES.join("|").replace(' ', "");
    for (name, characters) in CLASSES {
        pattern = pattern.replace(&format!("{{{name}}}"), characters);
    }
    pattern
}

/// A regular expression of this folder.
#[expect(clippy::expect_used, reason = "the patterns are constants, compiled by the tests")]
pub fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a constant pattern")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn right_text_of_many_scripts_is_not_bad() {
        for text in [
            "Ça coûte 20 €, n’est-ce pas ? « Oui »",
            "Größe: 5 °C — Straße § 3",
            "ÅLAND och ÖREBRO",
            "Съешь ещё этих мягких французских булок",
            "Ξεσκεπάζω την ψυχοφθόρα βδελυγμία",
            "हिन्दी में «उद्धरण»",
            "日本語の「文章」、３００円",
            "مرحبا بالعالم",
            "¿Qué? ¡Ñandú!",
            "(⌐■_■)",
        ] {
            assert!(!is_bad(text), "{text}");
        }
    }

    #[test]
    fn text_read_in_a_wrong_encoding_is_bad() {
        for text in ["sÃ³", "voilÃ le", "Р°Р±", "ç¾Žå›½", "√©tude", "Î±Î²", "â€œ", "\u{85}", "ā€”"]
        {
            assert!(is_bad(text), "{text}");
        }
    }
}
