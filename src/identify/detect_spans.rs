//! `detect_spans`: the languages of a text that is in several, span by span.
//!
//! A text is cut into lines and sentences, each is labelled, and the likeliest sequence of labels
//! is found, in which every change of language must be worth its price (Viterbi, 1967). A foreign
//! word inside of a sentence is no span.

use std::collections::BTreeMap;
use std::ops::Range;

use super::ngram;
use super::ngram::model::Model;
use super::script;
use super::tag::Tag;

/// What a change of language costs, in nats.
const CHANGE: f64 = 3.0;
/// The least probability of a label, so that no single segment decides alone.
const LEAST: f64 = 1e-4;
/// Labels of a segment that are looked at.
const LABELS: usize = 5;
/// Languages of a text that are looked at.
const LANGUAGES: usize = 24;
/// Bytes after which a segment ends at the next blank, and those after which it ends anywhere.
const LONG: usize = 1 << 10;
const LONGEST: usize = 4 << 10;

/// A part of a text in one language.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    /// Where it begins and ends in the text, in bytes.
    pub bytes: Range<usize>,
    /// Where it begins and ends in the text, in code points.
    pub chars: Range<usize>,
    /// The language; `None` when the model knows none that fits.
    pub tag: Option<Tag>,
    /// The script of the tag, else that of most letters; `None` without letters.
    pub script: Option<&'static str>,
    /// The mean probability of the language over the span's bytes; 0 without a language.
    pub score: f64,
}

/// The spans of a text by the built-in model, in order and without blanks at their ends.
///
/// They do not overlap, and leave out nothing but blanks.
///
/// ```
/// use hexapla::identify::detect_spans::detect_spans;
/// let spans = detect_spans("Die Katze schläft unter dem Tisch.\nКошка спит под столом.");
/// let tags: Vec<String> = spans.iter().filter_map(|s| s.tag).map(|t| t.to_string()).collect();
/// assert_eq!(tags, ["deu_Latn", "rus_Cyrl"]);
/// ```
pub fn detect_spans(text: &str) -> Vec<Span> {
    detect_spans_with(ngram::built_in(), text)
}

/// The spans of a text by a model; see [`detect_spans`].
pub fn detect_spans_with(model: Option<&Model>, text: &str) -> Vec<Span> {
    let segments: Vec<Segment> = segments(text)
        .map(|bytes| {
            let of = &text[bytes.clone()];
            let script = script::script(of);
            let labels = match (model, script) {
                (Some(model), Some(script)) => model.labels_of(of, script, LABELS),
                _ => Vec::new(),
            };
            Segment { bytes, script, labels }
        })
        .collect();
    let path = path(&segments);
    let mut spans: Vec<Span> = Vec::new();
    let (mut at, mut chars) = (0, 0);
    for (segment, tag) in segments.iter().zip(path) {
        let start = chars + text[at..segment.bytes.start].chars().count();
        chars = start + text[segment.bytes.clone()].chars().count();
        at = segment.bytes.end;
        let score = segment.probability(tag) * segment.bytes.len() as f64;
        match spans.last_mut() {
            // What has no letters is in the language around it.
            Some(last)
                if last.tag == tag && (tag.is_some() || agree(last.script, segment.script)) =>
            {
                last.bytes.end = at;
                last.chars.end = chars;
                last.script = last.script.or(segment.script);
                last.score += score;
            }
            _ => spans.push(Span {
                bytes: segment.bytes.clone(),
                chars: start..chars,
                tag,
                script: tag.map(|tag| tag.script).or(segment.script),
                score,
            }),
        }
    }
    for span in &mut spans {
        let mean = span.score / span.bytes.len().max(1) as f64;
        span.score = if span.tag.is_some() { mean.clamp(0.0, 1.0) } else { 0.0 };
    }
    spans
}

fn agree(a: Option<&str>, b: Option<&str>) -> bool {
    a.is_none() || b.is_none() || a == b
}

struct Segment {
    bytes: Range<usize>,
    script: Option<&'static str>,
    /// The likeliest languages with their probabilities.
    labels: Vec<(Tag, f64)>,
}

impl Segment {
    /// The probability of a language, or of none; all are alike without letters.
    fn probability(&self, tag: Option<Tag>) -> f64 {
        if self.script.is_none() {
            return 1.0;
        }
        match tag {
            Some(tag) => self.labels.iter().find(|(label, _)| *label == tag).map_or(0.0, |l| l.1),
            None => 1.0 - self.labels.iter().map(|l| l.1).sum::<f64>(),
        }
    }
}

/// The likeliest language of each segment.
fn path(segments: &[Segment]) -> Vec<Option<Tag>> {
    let mut mass: BTreeMap<Tag, f64> = BTreeMap::new();
    for (tag, probability) in segments.iter().flat_map(|s| &s.labels) {
        *mass.entry(*tag).or_default() += probability;
    }
    let mut languages: Vec<(Tag, f64)> = mass.into_iter().collect();
    languages.sort_by(|a, b| b.1.total_cmp(&a.1));
    languages.truncate(LANGUAGES);
    let states: Vec<Option<Tag>> =
        languages.into_iter().map(|(tag, _)| Some(tag)).chain([None]).collect();
    let mut scores = vec![0.0; states.len()];
    let best_of = |scores: &[f64]| {
        (1..scores.len()).fold(0, |best, i| if scores[i] > scores[best] { i } else { best })
    };
    // For each segment and state, the state before.
    let mut before: Vec<u8> = Vec::with_capacity(segments.len() * states.len());
    for segment in segments {
        let best = best_of(&scores);
        let changed = scores[best] - CHANGE;
        for (state, score) in scores.iter_mut().enumerate() {
            before.push(if *score >= changed { state as u8 } else { best as u8 });
            *score = score.max(changed) + segment.probability(states[state]).max(LEAST).ln();
        }
    }
    let mut state = best_of(&scores);
    let mut path: Vec<Option<Tag>> = before
        .chunks(states.len())
        .rev()
        .map(|before| {
            let of_segment = states[state];
            state = usize::from(before[state]);
            of_segment
        })
        .collect();
    path.reverse();
    path
}

/// The lines and sentences of a text, without blanks at their ends.
fn segments(text: &str) -> impl Iterator<Item = Range<usize>> {
    let mut rest = 0;
    std::iter::from_fn(move || {
        let start = rest + text[rest..].find(|c: char| !c.is_whitespace())?;
        let end = start + segment_length(&text[start..]);
        rest = end;
        Some(start..start + text[start..end].trim_end().len())
    })
}

/// The bytes of the line or sentence that a text begins with.
fn segment_length(text: &str) -> usize {
    let mut full_stop = false;
    for (i, c) in text.char_indices() {
        let end = match c {
            '\n' | '\r' | '\u{2028}' | '\u{2029}' => true,
            c if c.is_whitespace() => full_stop || i >= LONG,
            _ => i >= LONGEST,
        };
        if end && i > 0 {
            return i;
        }
        match c {
            '。' | '！' | '？' => return i + c.len_utf8(),
            '.' | '!' | '?' | '…' | '؟' | '۔' | '।' | '॥' | '።' | '။' | '។' | ';' => {
                full_stop = true
            }
            // Closing marks may stand between a full stop and the blank.
            '"' | '\'' | ')' | '»' | '”' | '’' => {}
            _ => full_stop = false,
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(text: &str, spans: &[Span]) {
        let mut at = 0;
        for span in spans {
            assert!(at <= span.bytes.start && span.bytes.start < span.bytes.end, "{spans:?}");
            assert!(text[at..span.bytes.start].trim().is_empty(), "{spans:?}");
            assert_eq!(text[..span.bytes.start].chars().count(), span.chars.start);
            assert_eq!(text[..span.bytes.end].chars().count(), span.chars.end);
            assert!((0.0..=1.0).contains(&span.score), "{spans:?}");
            at = span.bytes.end;
        }
        assert!(text[at..].trim().is_empty(), "{spans:?}");
    }

    #[test]
    fn languages_follow_each_other() {
        let text = "Der Hund schläft heute unter dem Tisch, weil es draußen regnet. Er wacht bald \
                    auf.\n\nThe dog sleeps under the table today because it is raining outside. \
                    It will wake up soon.\n 12:30 —\nСобака спит под столом, потому что на улице \
                    идёт дождь.";
        let spans = detect_spans(text);
        covers(text, &spans);
        let tags: Vec<String> = spans.iter().filter_map(|s| s.tag).map(|t| t.to_string()).collect();
        assert_eq!(tags, ["deu_Latn", "eng_Latn", "rus_Cyrl"]);
        assert!(text[spans[1].bytes.clone()].starts_with("The dog"), "{spans:?}");
    }

    #[test]
    fn one_language_is_one_span() {
        let text = "外面下雨，所以狗在桌子底下睡觉。他很快就会醒来！然后我们去散步。";
        let spans = detect_spans(text);
        covers(text, &spans);
        assert_eq!(spans.len(), 1, "{spans:?}");
        assert_eq!(spans[0].tag.map(|t| t.to_string()).as_deref(), Some("cmn_Hans"));
    }

    #[test]
    fn hostile_texts_are_covered() {
        let long = "слово ".repeat(200_000);
        let unbroken = "字".repeat(400_000);
        for text in [
            "",
            " \n\t",
            "a",
            "12:30",
            "\u{200f}\u{200d}\u{202e}",
            "\u{378}\u{10ffff}",
            ".\n.\n.",
            "ok. \u{301}",
            "x\u{2028}y",
            "…",
            &long,
            &unbroken,
        ] {
            covers(text, &detect_spans(text));
        }
    }
}
