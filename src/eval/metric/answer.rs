//! Exact match and F1 of answers, as the scripts of SQuAD, XQuAD, MLQA and TyDiQA define them.
//!
//! An answer is folded (case, punctuation, articles, spaces) and compared with every right one;
//! the best counts. `squad` is the script of SQuAD 1.1, which XQuAD and TyDiQA's gold passages are
//! scored by whatever their language; `mlqa` knows the articles of seven languages and cuts
//! Chinese into characters (Lewis et al. 2020); `words` is for all others: no articles, words by
//! dictionary where a script has no spaces.

use std::collections::HashMap;

use super::options::Choice;
use super::{Metric, Needs, Rows, Scale, Scored, Statistics, python};
use crate::error::{Error, Result};
use crate::text::segment;

const OPTIONS: &[Choice] = &[
    Choice::one_of("rules", "squad", &["squad", "mlqa", "words"], "whose folding of answers"),
    Choice::flag(
        "no_answer",
        "SQuAD 2: an empty answer is right where there is none, and wrong elsewhere",
    ),
];

/// `exact_match`.
pub const EXACT_MATCH: Metric = Metric {
    name: "exact_match",
    doc: "answers that are right after folding, as the scripts of SQuAD and MLQA",
    needs: Needs::Answers,
    scale: Scale::Hundred,
    lower_is_better: false,
    options: OPTIONS,
    score: |rows| score(rows, |answer, right| f64::from(answer.folded == right.folded)),
};

/// `answer_f1`.
pub const ANSWER_F1: Metric = Metric {
    name: "answer_f1",
    doc: "F1 of the words of answers, as the scripts of SQuAD and MLQA",
    score: |rows| {
        let two = rows.options.flag("no_answer");
        score(rows, move |answer, right| f1(answer, right, two))
    },
    ..EXACT_MATCH
};

/// How an answer is folded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rules {
    Squad,
    Mlqa(Articles, bool),
    Words,
}

/// The articles of a language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Articles {
    Words(&'static [&'static str]),
    /// The Arabic one is written together with its word.
    Arabic,
}

const ENGLISH: &[&str] = &["a", "an", "the"];
const SPANISH: &[&str] = &["un", "una", "unos", "unas", "el", "la", "los", "las"];
const VIETNAMESE: &[&str] = &["của", "là", "cái", "chiếc", "những"];
const GERMAN: &[&str] =
    &["ein", "eine", "einen", "einem", "eines", "einer", "der", "die", "das", "den", "dem", "des"];

impl Rules {
    fn new(name: &str, lang: Option<&str>) -> Result<Self> {
        match name {
            "squad" => return Ok(Self::Squad),
            "words" => return Ok(Self::Words),
            _ => {}
        }
        let code = lang.and_then(|l| l.split(['_', '-']).next()).unwrap_or_default();
        Ok(match code {
            "en" | "eng" => Self::Mlqa(Articles::Words(ENGLISH), false),
            "es" | "spa" => Self::Mlqa(Articles::Words(SPANISH), false),
            "vi" | "vie" => Self::Mlqa(Articles::Words(VIETNAMESE), false),
            "de" | "deu" => Self::Mlqa(Articles::Words(GERMAN), false),
            "hi" | "hin" => Self::Mlqa(Articles::Words(&[]), false),
            "ar" | "arb" | "ara" => Self::Mlqa(Articles::Arabic, false),
            "zh" | "zho" | "cmn" => Self::Mlqa(Articles::Words(&[]), true),
            "" => {
                return Err(Error::usage("`rules=mlqa` wants the language of each row")
                    .hint_with("give a column `lang`"));
            }
            other => {
                return Err(Error::unknown(
                    "language of MLQA",
                    other,
                    ["ar", "de", "en", "es", "hi", "vi", "zh"],
                )
                .hint_with("`rules=words` is for every language"));
            }
        })
    }
}

/// A folded answer and its words.
struct Answer {
    folded: String,
    words: Vec<String>,
}

fn fold(text: &str, rules: Rules) -> Answer {
    let lower = text.to_lowercase();
    let split = |text: &str| -> Vec<String> { python::split(text).map(String::from).collect() };
    let words = match rules {
        Rules::Squad => {
            let bare = lower.replace(python::is_ascii_punctuation, "");
            split(&python::without_words(&bare, ENGLISH))
        }
        Rules::Mlqa(articles, is_chinese) => {
            let mark = |c| python::is_ascii_punctuation(c) || python::is_punctuation(c);
            let bare = lower.replace(mark, "");
            let bare = match articles {
                Articles::Words(words) => python::without_words(&bare, words),
                Articles::Arabic => bare.replace("ال", " "),
            };
            if is_chinese { ideographs(&bare) } else { split(&bare) }
        }
        Rules::Words => segment::words(&lower).map(String::from).collect(),
    };
    Answer { folded: words.join(" "), words }
}

/// Chinese characters one by one, what is between them by spaces.
fn ideographs(text: &str) -> Vec<String> {
    let mut spaced = String::with_capacity(text.len() * 2);
    for c in text.chars() {
        match c {
            '\u{4e00}'..='\u{9fa5}' => spaced.extend([' ', c, ' ']),
            _ => spaced.push(c),
        }
    }
    python::split(&spaced).map(String::from).collect()
}

fn f1(answer: &Answer, right: &Answer, two: bool) -> f64 {
    if two && (answer.words.is_empty() || right.words.is_empty()) {
        return f64::from(answer.words.is_empty() == right.words.is_empty());
    }
    let mut left: HashMap<&str, usize> = HashMap::new();
    right.words.iter().for_each(|word| *left.entry(word).or_default() += 1);
    let mut same = 0;
    for word in &answer.words {
        if let Some(n) = left.get_mut(word.as_str()).filter(|n| **n > 0) {
            *n -= 1;
            same += 1;
        }
    }
    if same == 0 {
        return 0.0;
    }
    let precision = f64::from(same) / answer.words.len() as f64;
    let recall = f64::from(same) / right.words.len() as f64;
    2.0 * precision * recall / (precision + recall)
}

fn score(rows: &Rows<'_>, compare: impl Fn(&Answer, &Answer) -> f64) -> Result<Scored> {
    let rules = Rules::new(rows.options.get("rules"), rows.lang)?;
    let mut values = Vec::with_capacity(rows.items.len());
    for item in rows.items {
        let answer = fold(item.hypothesis()?, rules);
        let mut right = item.references()?;
        // SQuAD 2 leaves out right answers that fold to nothing, and wants "" where none is left.
        if rows.options.flag("no_answer") {
            right.retain(|text| !fold(text, rules).folded.is_empty());
            if right.is_empty() {
                right.push("");
            }
        }
        let best = right.iter().map(|text| compare(&answer, &fold(text, rules)));
        values.push(best.fold(0.0, f64::max));
    }
    let told = rows.options.told(OPTIONS);
    let signature = format!(
        "rules:{}{}",
        rows.options.get("rules"),
        if told.contains("no_answer") { "|no_answer:yes" } else { "" }
    );
    Ok(Scored { statistics: Statistics::mean(values, 100.0), signature, warnings: Vec::new() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str, rules: &str, lang: &str) -> Vec<String> {
        fold(text, Rules::new(rules, Some(lang)).unwrap()).words
    }

    #[test]
    fn squad_knows_english_alone() {
        assert_eq!(words("The  Cat's a-b", "squad", "de"), ["cats", "ab"]);
        assert_eq!(words("«кот»", "squad", "ru"), ["«кот»"]);
        assert_eq!(words("我喜欢猫。", "squad", "zh"), ["我喜欢猫。"]);
    }

    #[test]
    fn mlqa_knows_seven_languages() {
        assert_eq!(words("Der Hund, die Katze", "mlqa", "de"), ["hund", "katze"]);
        assert_eq!(words("Los gatos", "mlqa", "spa_Latn"), ["gatos"]);
        assert_eq!(
            words("2008年 Beijing 奥运", "mlqa", "zh"),
            ["2008", "年", "beijing", "奥", "运"]
        );
        assert_eq!(words("القط", "mlqa", "ar"), ["قط"]);
        assert_eq!(words("«हाँ»", "mlqa", "hi"), ["हाँ"]);
        assert!(Rules::new("mlqa", Some("sw")).is_err() && Rules::new("mlqa", None).is_err());
    }

    #[test]
    fn words_are_found_where_no_spaces_are() {
        assert_eq!(words("ภาษาไทย", "words", "th"), ["ภาษา", "ไทย"]);
        assert_eq!(words("東京に住む。", "words", "ja"), ["東京", "に", "住む"]);
    }

    #[test]
    fn nothing_is_right_only_where_there_is_nothing() {
        let (empty, some) = (fold("the", Rules::Squad), fold("cat", Rules::Squad));
        assert_eq!(f1(&empty, &empty, false), 0.0);
        assert_eq!(f1(&empty, &empty, true), 1.0);
        assert_eq!(f1(&empty, &some, true), 0.0);
    }
}
