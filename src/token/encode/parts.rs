//! Which parts of a tokenizer look no further than to the next white space, and where texts may
//! therefore be cut.

use icu_properties::CodePointMapData;
use icu_properties::props::GraphemeClusterBreak as Cluster;
use serde_json::Value;
use tokenizers::{NormalizedString, Normalizer};
use unicode_normalization::{
    IsNormalized, is_nfc_quick, is_nfd_quick, is_nfkc_quick, is_nfkd_quick,
};

use crate::error::Result;

/// Where a text is cut.
pub(super) struct Cuts {
    at: Before,
    /// The white space that a text may be cut at.
    white: [bool; 128],
    /// Whether the normaliser looks at what is one character to the eye: then there is no cut
    /// where white space may be a part of that.
    clusters: bool,
    /// Whether there is no cut but between letters, digits or signs of ASCII.
    firm: bool,
}

/// What a cut is made at.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Before {
    /// Spaces, tabs and ends of lines, which belong to no stretch.
    White,
    /// A space, which begins the next stretch.
    Space,
}

/// How to see that a stretch is normal already.
pub(super) enum Form {
    /// Every text is.
    Any,
    /// Texts of a normal form of Unicode are.
    Unicode(fn(&str) -> bool),
    /// Texts of these characters of ASCII are.
    Plain(Box<[bool; 128]>),
}

/// How a stretch is made into words, which begin with a mark.
pub(super) struct Words {
    mark: char,
    /// Whether white space ends words and is gone; otherwise a space becomes a mark.
    split: bool,
    /// Whether a text without a mark in front gets one.
    prepend: bool,
}

/// What a stretch is handed to the model as.
pub(super) enum Units {
    /// Words that we cut ourselves.
    Words(Words),
    /// Its bytes.
    Bytes,
    /// What the crate makes of it.
    Crate,
}

/// The parts of a tokenizer. `None` when a part may look at more than a stretch.
pub(super) fn of(inner: &tokenizers::Tokenizer) -> Option<(Cuts, Form, Units)> {
    let json = |part: serde_json::Result<Value>| part.ok();
    let normalizers = flat(json(serde_json::to_value(inner.get_normalizer()))?, "normalizers");
    let splitters = flat(json(serde_json::to_value(inner.get_pre_tokenizer()))?, "pretokenizers");
    let kind = |part: &Value| part["type"].as_str().unwrap_or_default().to_string();
    let names: Vec<String> = splitters.iter().map(kind).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();

    let words = |metaspace: &Value, split: bool| -> Option<Words> {
        let scheme = metaspace["prepend_scheme"].as_str()?;
        let mark = metaspace["replacement"].as_str()?.chars().next()?;
        // `first` means the beginning of the text, which only the first stretch without a space is,
        // and which is not there any more once a normaliser has dropped it.
        let kept = normalizers.iter().all(|part| kind(part).starts_with("NF"));
        let known = scheme != "first" || (!split && kept);
        let usable = known && metaspace["split"] == true && mark != ' ';
        usable.then_some(Words { mark, split, prepend: scheme != "never" })
    };
    let (at, units) = match names.as_slice() {
        ["WhitespaceSplit", "Metaspace"] => {
            (Before::White, Units::Words(words(&splitters[1], true)?))
        }
        // What cuts the words further never sees two of them.
        ["WhitespaceSplit", "Metaspace", further @ ..]
            if further.iter().all(|part| ["Split", "Punctuation", "Digits"].contains(part)) =>
        {
            words(&splitters[1], true)?;
            (Before::White, Units::Crate)
        }
        ["Metaspace"] => (Before::Space, Units::Words(words(&splitters[0], false)?)),
        ["WhitespaceSplit" | "Whitespace" | "BertPreTokenizer"] => (Before::White, Units::Crate),
        ["ByteLevel"] | ["Digits", "ByteLevel"] => {
            let part = &splitters[splitters.len() - 1];
            let units = match part["use_regex"] == true {
                true => Units::Crate,
                false if splitters.len() == 1 => Units::Bytes,
                false => return None,
            };
            (part["add_prefix_space"] == false).then_some((Before::Space, units))?
        }
        _ => return None,
    };

    let marked = matches!(&units, Units::Words(words) if words.prepend);
    let mut clusters = false;
    let mut firm = at == Before::Space;
    let mut quick: Option<fn(&str) -> bool> = None;
    let mut plain = [false; 128];
    (0x21..0x7f).for_each(|byte: usize| plain[byte] = true);
    for part in &normalizers {
        match kind(part).as_str() {
            "NFC" => quick = Some(|t| is_nfc_quick(t.chars()) == IsNormalized::Yes),
            "NFD" => quick = Some(|t| is_nfd_quick(t.chars()) == IsNormalized::Yes),
            "NFKC" => quick = Some(|t| is_nfkc_quick(t.chars()) == IsNormalized::Yes),
            "NFKD" => quick = Some(|t| is_nfkd_quick(t.chars()) == IsNormalized::Yes),
            "Lowercase" | "StripAccents" | "Nmt" | "BertNormalizer" => {}
            "Precompiled" => clusters = true,
            // The left end of a stretch may be a space in the middle of a text.
            "Strip" if at == Before::White || part["strip_left"] == false => {}
            "Replace" => match (&part["pattern"]["String"], &part["pattern"]["Regex"]) {
                (Value::String(text), _) if !text.contains(char::is_whitespace) => {
                    let bytes = text.bytes().filter(u8::is_ascii);
                    bytes.for_each(|byte| plain[usize::from(byte)] = false);
                }
                // Spaces in a row are not cut apart then.
                (_, Value::String(regex)) if regex == " {2,}" => firm = true,
                // A stretch loses the space that it begins with, and gets it back as its mark.
                (_, Value::String(regex)) if regex == r"\A +| +\z" && marked => firm = true,
                _ => return None,
            },
            _ => return None,
        }
    }
    // Normalisers that clean text drop some white space rather than keep it.
    let mut white = [false; 128];
    for byte in b" \t\n\r" {
        let mut string = NormalizedString::from(char::from(*byte).to_string().as_str());
        if let Some(normalizer) = inner.get_normalizer().filter(|_| at == Before::White) {
            normalizer.normalize(&mut string).ok()?;
        }
        let kept = !string.get().is_empty() && string.get().chars().all(char::is_whitespace);
        white[usize::from(*byte)] = kept || normalizers.iter().any(|part| kind(part) == "Strip");
    }
    if at == Before::Space {
        (0..128).for_each(|byte| white[byte] &= byte == usize::from(b' '));
    }
    let form = match (inner.get_normalizer(), normalizers.len(), quick) {
        (None, ..) => Form::Any,
        (Some(_), 1, Some(quick)) => Form::Unicode(quick),
        (Some(normalizer), ..) => {
            for byte in 0x21..0x7fu8 {
                let letter = char::from(byte).to_string();
                let mut string = NormalizedString::from(letter.as_str());
                normalizer.normalize(&mut string).ok()?;
                plain[usize::from(byte)] &= string.get() == letter;
            }
            Form::Plain(Box::new(plain))
        }
    };
    Some((Cuts { at, white, clusters, firm }, form, units))
}

/// A part, or the parts of a sequence.
fn flat(part: Value, below: &str) -> Vec<Value> {
    match part {
        Value::Null => Vec::new(),
        Value::Object(mut object) if object.get("type").is_some_and(|t| t == "Sequence") => {
            let parts = object.remove(below).and_then(|p| p.as_array().cloned());
            parts.unwrap_or_default().into_iter().flat_map(|part| flat(part, below)).collect()
        }
        part => vec![part],
    }
}

impl Cuts {
    /// The stretches of a text; together they are the text, but for white space that is dropped.
    pub fn stretches<'t>(&self, text: &'t str) -> impl Iterator<Item = &'t str> {
        let mut from = 0;
        let mut over = false;
        std::iter::from_fn(move || {
            while !over {
                let cut = self.next(text, from);
                over = cut.is_none();
                let (to, next) = cut.unwrap_or((text.len(), text.len()));
                let stretch = &text[from..to];
                from = next;
                if !stretch.is_empty() {
                    return Some(stretch);
                }
            }
            None
        })
    }

    /// Where the stretch ends that begins at a place, and where the next one begins.
    fn next(&self, text: &str, from: usize) -> Option<(usize, usize)> {
        let bytes = text.as_bytes();
        // Of a stretch that begins with a space, that one is no end.
        let first = if self.at == Before::Space { from + 1 } else { from };
        let white = |byte: u8| byte < 128 && self.white[usize::from(byte)];
        (first..bytes.len()).filter(|at| white(bytes[*at])).find_map(|at| match self.at {
            _ if self.clusters && !apart(text, at) => None,
            _ if self.firm && !between(text, at) => None,
            Before::White => Some((at, at + 1)),
            Before::Space => Some((at, at)),
        })
    }
}

/// The characters before and after a byte, which is one of ASCII.
fn beside(text: &str, at: usize) -> (Option<char>, Option<char>) {
    (text[..at].chars().next_back(), text[at + 1..].chars().next())
}

/// Whether there are characters on both sides that no normaliser makes white space.
fn between(text: &str, at: usize) -> bool {
    let firm = |c: char| c.is_ascii_graphic() || c.is_alphanumeric();
    let (before, after) = beside(text, at);
    before.is_some_and(firm) && after.is_some_and(firm)
}

/// Whether white space is one character to the eye with neither of its neighbours (UAX #29).
fn apart(text: &str, at: usize) -> bool {
    let apart = |c: char| {
        c.is_ascii()
            || matches!(
                CodePointMapData::<Cluster>::new().get(c),
                Cluster::Other | Cluster::L | Cluster::V | Cluster::T | Cluster::LV | Cluster::LVT
            )
    };
    let (before, after) = beside(text, at);
    before.is_none_or(apart) && after.is_none_or(apart)
}

impl Form {
    /// Whether normalising a stretch would surely change nothing.
    pub fn is_normal(&self, text: &str) -> bool {
        match self {
            Form::Any => true,
            Form::Unicode(quick) => text.is_ascii() || quick(text),
            Form::Plain(plain) => {
                // A space in front was left there by a cut.
                let rest = text.strip_prefix(' ').unwrap_or(text);
                !rest.is_empty() && rest.bytes().all(|b| b < 128 && plain[usize::from(b)])
            }
        }
    }
}

impl Words {
    /// Calls `each` with every word of a normal stretch; `word` is used on the way.
    pub fn each(
        &self,
        text: &str,
        word: &mut String,
        mut each: impl FnMut(&str) -> Result<()>,
    ) -> Result<()> {
        if !self.split {
            return self.marked(text, word, &mut each);
        }
        for part in text.split(char::is_whitespace).filter(|part| !part.is_empty()) {
            self.marked(part, word, &mut each)?;
        }
        Ok(())
    }

    fn marked(
        &self,
        text: &str,
        word: &mut String,
        each: &mut impl FnMut(&str) -> Result<()>,
    ) -> Result<()> {
        word.clear();
        if text.is_empty() {
            return Ok(());
        }
        if self.prepend && !text.starts_with([self.mark, ' ']) {
            word.push(self.mark);
        }
        word.extend(text.chars().map(|c| if c == ' ' { self.mark } else { c }));
        let mut from = 0;
        for (at, _) in word.match_indices(self.mark).filter(|(at, _)| *at > 0) {
            each(&word[from..at])?;
            from = at;
        }
        if from < word.len() { each(&word[from..]) } else { Ok(()) }
    }
}
