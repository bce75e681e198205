//! `fix_text`: text that was decoded wrongly, escaped or littered with controls, as it was meant.
//!
//! The definition is that of ftfy 6.3 with the settings of datatrove's FTFYFormatter. What only
//! changes the look of right text is left alone: quotes, ligatures, width, line ends, normal form.
//! Bytes in a wrong encoding are the business of `source/`; here everything is Unicode already.

mod badness;
mod charmap;
mod entities;
mod utf8;

use std::borrow::Cow;
use std::sync::LazyLock;

use arrow::datatypes::DataType;
use memchr::memchr;
use regex::Regex;

use crate::error::Result;
use crate::function::{Arg, Family, Function, Row, Signature, Value};

use badness::is_bad;

/// `fix_text(text)`.
pub const FIX_TEXT: Function = Function {
    signature: Signature {
        name: "fix_text",
        family: Family::Text,
        args: &[Arg::text("text")],
        returns: || DataType::Utf8,
        doc: "The text with mojibake undone, line by line, as ftfy 6.3 does with the settings of \
              datatrove's FTFYFormatter; character references become characters up to the first \
              line with a `<`; C1 controls become their Windows-1252 characters; terminal escapes \
              and invisible controls go. Quotes, ligatures, width, line ends and normal form stay.",
        examples: &[
            ("fix_text('sÃ£o')", "são"),
            ("fix_text('РџСЂРёРІРµС‚')", "Привет"),
            ("fix_text('æ—¥æœ¬')", "日本"),
            ("fix_text('P&EACUTE;REZ &amp; Söhne')", "PÉREZ & Söhne"),
            ("fix_text('नमस्ते, «мир»')", "नमस्ते, «мир»"),
        ],
        version: 1,
    },
    body: call,
};

/// The longest piece without a line end that is mended as one, in characters.
const LONGEST_SEGMENT: usize = 1_000_000;

/// The bytes that may be looked at for each byte of a segment, so that hostile text costs linear
/// time. Real text needs some ten; ftfy has no such limit.
const WORK_PER_BYTE: usize = 64;

/// Whatever may have to be changed: a superset of what the fixes act on, found in one pass.
static SUSPECT: LazyLock<Regex> = LazyLock::new(|| {
    // A segment may begin anywhere, so what is bad at the beginning of one is suspect anywhere.
    let bad = badness::pattern().replace("^[", "[");
    badness::regex(&format!(r"{bad}|{ENTITY}|[{CONTROL}\x1b]"))
});

/// What may be a character reference.
const ENTITY: &str = "&#?[0-9A-Za-z]{1,24};";

/// Characters that go: controls other than white space, deprecated Arabic controls, annotation
/// marks, the object replacement character and byte order marks. Joiners and direction marks stay.
const CONTROL: &str = r"\x00-\x08\x0b\x0e-\x1f\x7f\x{206a}-\x{206f}\x{feff}\x{fff9}-\x{fffc}";

static CONTROLS: LazyLock<Regex> = LazyLock::new(|| badness::regex(&format!("[{CONTROL}]+")));

static TERMINAL_ESCAPE: LazyLock<Regex> =
    LazyLock::new(|| badness::regex(r"\x1b\[[\p{Nd};]*[a-zA-Z]"));

/// The text as it was meant; borrowed when there is nothing to mend.
///
/// Differs from ftfy in three points: a lone byte C0 before a line end does not swallow it, hostile
/// text that needs more than a bounded number of rounds stays half mended, and surrogates cannot
/// occur.
///
/// ```
/// use hexapla::text::fix_text::fix_text;
/// assert_eq!(fix_text("âœ” schÃ¶n"), "✔ schön");
/// assert_eq!(fix_text("Ça va ? — Да."), "Ça va ? — Да.");
/// ```
pub fn fix_text(text: &str) -> Cow<'_, str> {
    if !SUSPECT.is_match(text) {
        return Cow::Borrowed(text);
    }
    let mut fixed = String::with_capacity(text.len());
    // A `<` says that this is HTML, where references have to stay: from its line on.
    let mut unescape = true;
    let mut rest = text;
    while !rest.is_empty() {
        let (segment, after) = rest.split_at(segment_end(rest));
        unescape = unescape && memchr(b'<', segment.as_bytes()).is_none();
        fixed.push_str(&fix_segment(segment, unescape));
        rest = after;
    }
    if fixed == text { Cow::Borrowed(text) } else { Cow::Owned(fixed) }
}

/// The length of the first line with its end, or of as much as is mended at once.
fn segment_end(text: &str) -> usize {
    let line = memchr(b'\n', text.as_bytes()).map_or(text.len(), |at| at + 1);
    if line <= LONGEST_SEGMENT {
        return line;
    }
    text[..line].char_indices().nth(LONGEST_SEGMENT).map_or(line, |(at, _)| at)
}

/// All fixes in turn until none of them changes anything.
fn fix_segment(segment: &str, unescape: bool) -> Cow<'_, str> {
    if !SUSPECT.is_match(segment) {
        return Cow::Borrowed(segment);
    }
    let mut work = segment.len().saturating_mul(WORK_PER_BYTE);
    let mut text = Cow::Borrowed(segment);
    loop {
        let before = text.clone();
        if unescape {
            apply(&mut text, entities::unescape);
        }
        apply(&mut text, |text| fix_encoding(text, &mut work));
        apply(&mut text, c1_as_windows_1252);
        apply(&mut text, |text| changed(TERMINAL_ESCAPE.replace_all(text, "")));
        apply(&mut text, |text| changed(CONTROLS.replace_all(text, "")));
        if text == before || !spend(&mut work, text.len()) {
            return text;
        }
    }
}

/// Replaces the text if a fix returns another.
fn apply(text: &mut Cow<'_, str>, fix: impl FnOnce(&str) -> Option<String>) {
    if let Some(fixed) = fix(text) {
        *text = Cow::Owned(fixed);
    }
}

/// The text of a replacement that replaced something.
fn changed(text: Cow<'_, str>) -> Option<String> {
    match text {
        Cow::Borrowed(_) => None,
        Cow::Owned(text) => Some(text),
    }
}

/// Takes an amount from what is left, if there is as much.
fn spend(work: &mut usize, amount: usize) -> bool {
    match work.checked_sub(amount.max(1)) {
        Some(left) => {
            *work = left;
            true
        }
        None => false,
    }
}

/// Undoes wrong decoding layer by layer; `None` if there was none.
fn fix_encoding(text: &str, work: &mut usize) -> Option<String> {
    let mut fixed: Option<String> = None;
    loop {
        let current = fixed.as_deref().unwrap_or(text);
        match fix_layer(current, work) {
            Some(next) if next != current => fixed = Some(next),
            _ => return fixed,
        }
    }
}

/// Undoes one wrong decoding.
fn fix_layer(text: &str, work: &mut usize) -> Option<String> {
    if text.is_ascii() || !spend(work, text.len()) || !is_bad(text) {
        return None;
    }
    // UTF-8 that was read as if it were in an encoding with one byte a character.
    for charmap in charmap::ALL.iter() {
        if let Some(fixed) = charmap.encode(text).and_then(|bytes| utf8::decode(bytes, charmap)) {
            return Some(fixed);
        }
    }
    // Parts of the text that were, where the whole is not.
    if let Some(fixed) = fix_parts(text, work) {
        return Some(fixed);
    }
    // Windows-1252 that was read as Latin-1.
    c1_as_windows_1252(text)
}

/// Undoes wrong decoding within those parts of a text that look like it.
fn fix_parts(text: &str, work: &mut usize) -> Option<String> {
    let mut fixed = String::new();
    let mut done = 0;
    for part in utf8::suspects(text) {
        let garbled = &text[part.clone()];
        // The whole again would never end.
        if garbled.len() == text.len() || !is_bad(garbled) {
            continue;
        }
        if let Some(mended) = fix_encoding(garbled, work) {
            fixed.push_str(&text[done..part.start]);
            fixed.push_str(&mended);
            done = part.end;
        }
    }
    (done > 0).then(|| fixed + &text[done..])
}

/// C1 controls as the characters of Windows-1252, as browsers read them.
fn c1_as_windows_1252(text: &str) -> Option<String> {
    let is_c1 = |c| ('\u{80}'..='\u{9f}').contains(&c);
    if !text.contains(is_c1) {
        return None;
    }
    let fixed = |c| if is_c1(c) { charmap::windows_1252(c as u8) } else { c };
    Some(text.chars().map(fixed).collect()).filter(|fixed: &String| fixed != text)
}

fn call(args: &[Value<'_>], out: &mut Row<'_>) -> Result<()> {
    out.text(&*fix_text(args[0].text().unwrap_or_default()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// UTF-8 read as Windows-1252, some layers of it.
    fn garble(text: &str, layers: usize) -> String {
        (0..layers).fold(text.to_owned(), |text, _| {
            text.bytes()
                .map(|b| if b < 0x80 { char::from(b) } else { charmap::windows_1252(b) })
                .collect()
        })
    }

    #[test]
    fn layers_of_wrong_decoding_are_undone() {
        for text in
            ["schön — “naïve”", "Привет, мир…", "日本語の文章", "नमस्ते", "שלום עולם", "😀 ሰላም"]
        {
            for layers in 1..=3 {
                assert_eq!(fix_text(&garble(text, layers)), text);
            }
        }
    }

    #[test]
    fn right_text_is_returned_as_it_is() {
        for text in [
            "",
            "é",
            "Ça coûte 20 € — «oui» ; l’été ﬁn",
            "ＡＢＣ　ｶﾅ\r\nzwei\u{2028}drei",
            "می\u{200c}خواهم \u{200f}א\u{200e} 👩\u{200d}👩",
            "\u{378}\u{e0fff}\u{10ffff}",
            "if a<b && b>c: AT&T; R&D",
        ] {
            assert!(matches!(fix_text(text), Cow::Borrowed(same) if same == text), "{text}");
        }
    }

    #[test]
    fn garbled_parts_of_right_text_are_mended_by_themselves() {
        assert_eq!(fix_text("Да, это “schÃ¶n” — и всё"), "Да, это “schön” — и всё");
        assert_eq!(fix_text("中文 and donâ€™t"), "中文 and don’t");
    }

    #[test]
    fn references_stay_from_the_first_line_of_html_on() {
        assert_eq!(fix_text("a &lt; b\n<p>&lt;\n&lt;"), "a < b\n<p>&lt;\n&lt;");
    }

    #[test]
    fn controls_go_and_c1_controls_become_characters() {
        assert_eq!(fix_text("\u{feff}a\x00b\tc\u{fffc}\x7f\u{206a}"), "ab\tc");
        assert_eq!(fix_text("\x1b[31;1mrot\x1b[0m"), "rot");
        assert_eq!(fix_text("Москва\u{85} \u{93}да\u{94}"), "Москва… “да”");
    }

    #[test]
    fn time_is_linear_in_hostile_text() {
        for piece in
            ["&amp;", "amp;", "ƒ", "Ã", "Ãƒ", "\u{83}", "â€", "\x1b[1", "a.", "𝒥", "é\u{301}"]
        {
            let text = format!("&Ã{}", piece.repeat(200_000 / piece.len()));
            assert!(fix_text(&text).len() <= 2 * text.len());
        }
    }

    proptest! {
        #[test]
        fn no_control_survives(text in any::<String>()) {
            let survivor = fix_text(&text).contains(['\0', '\x07', '\u{85}', '\u{feff}']);
            prop_assert!(!survivor);
        }

        #[test]
        fn ascii_without_references_and_controls_stays(text in "[a-zA-Z0-9 .,;<>%\n\t]*") {
            prop_assert_eq!(&fix_text(&text), &text);
        }
    }
}
