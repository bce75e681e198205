//! What tokenizers make of languages, as a page of dot plots: `hexapla tokenizer eval --plot`.
//!
//! A row is a language, a dot a tokenizer; languages stand in the order of what they pay.

use super::chart::{Dots, dots};
use super::html::{escape, numbers};
use super::page::page;
use super::section::{Section, figure};

/// The rates of a language under one tokenizer.
#[derive(Debug, Clone, Default)]
pub struct LangRates {
    /// The language.
    pub lang: String,
    /// Tokens of translations relative to the reference, where there are some.
    pub parity: Option<f64>,
    /// Tokens per word.
    pub fertility: f64,
    /// Bytes of text per token.
    pub bytes_per_token: f64,
    /// The share of tokens that stand for what cannot be spelled.
    pub unknown: f64,
    /// The share of tokens that are bytes for want of a better one.
    pub byte_fallback: f64,
}

/// The rates of one tokenizer.
#[derive(Debug, Clone)]
pub struct TokenizerRates {
    /// Its name.
    pub name: String,
    /// Its languages.
    pub langs: Vec<LangRates>,
}

struct Chart {
    id: &'static str,
    title: &'static str,
    caption: String,
    value: fn(&LangRates) -> Option<f64>,
    /// What is fair, drawn as a tick.
    mark: Option<f64>,
    /// Whether what is all zeros is worth a sentence and no chart.
    zeros: &'static str,
}

/// The page; `reference` is the language that parity is relative to.
pub fn tokenizers(found: &[TokenizerRates], reference: &str) -> String {
    let reference = escape(reference);
    let charts = [
        Chart {
            id: "parity",
            title: "Parity",
            caption: format!(
                "Tokens that a language needs for the sentences that {reference} says in one: at \
                 the tick both pay the same."
            ),
            value: |rates| rates.parity,
            mark: Some(1.0),
            zeros: "",
        },
        Chart {
            id: "fertility",
            title: "Fertility",
            caption: "Tokens per word.".into(),
            value: |rates| Some(rates.fertility),
            mark: None,
            zeros: "",
        },
        Chart {
            id: "bytes",
            title: "Bytes per token",
            caption: "Bytes of UTF-8 per token; scripts differ in how many bytes a letter has."
                .into(),
            value: |rates| Some(rates.bytes_per_token),
            mark: None,
            zeros: "",
        },
        Chart {
            id: "unknown",
            title: "Unknown",
            caption: "The share of tokens that stand for what cannot be spelled.".into(),
            value: |rates| Some(rates.unknown),
            mark: None,
            zeros: "No tokenizer leaves anything unknown.",
        },
        Chart {
            id: "fallback",
            title: "Byte fallback",
            caption: "The share of tokens that are bytes for want of a better one.".into(),
            value: |rates| Some(rates.byte_fallback),
            mark: None,
            zeros: "No tokenizer falls back to bytes.",
        },
    ];
    let sections: Vec<Section> = charts.iter().filter_map(|chart| draw(chart, found)).collect();
    let names: Vec<&str> = found.iter().map(|one| one.name.as_str()).collect();
    page(&names.join(", "), "hexapla tokenizer eval", &sections, "No language was given.")
}

fn draw(chart: &Chart, found: &[TokenizerRates]) -> Option<Section> {
    let mut langs: Vec<&str> =
        found.iter().flat_map(|one| &one.langs).map(|rates| rates.lang.as_str()).collect();
    langs.sort_unstable();
    langs.dedup();
    let value = |one: &TokenizerRates, lang: &str| {
        one.langs.iter().find(|rates| rates.lang == lang).and_then(chart.value)
    };
    let mut rows: Vec<(&str, Vec<Option<f64>>)> = langs
        .into_iter()
        .map(|lang| (lang, found.iter().map(|one| value(one, lang)).collect::<Vec<_>>()))
        .filter(|(_, values)| values.iter().any(Option::is_some))
        .collect();
    if rows.is_empty() {
        return None;
    }
    let worst = |values: &[Option<f64>]| values.iter().flatten().copied().fold(0.0, f64::max);
    rows.sort_by(|a, b| worst(&b.1).total_cmp(&worst(&a.1)).then(a.0.cmp(b.0)));
    let (id, title) = (chart.id, chart.title);
    if !chart.zeros.is_empty() && rows.iter().all(|(_, values)| worst(values) == 0.0) {
        return Some(Section { id, title, html: format!("<p>{}</p>", chart.zeros) });
    }
    let class = |i: usize| format!("c{}", i % 6);
    let dotted: Vec<Dots> = rows
        .iter()
        .map(|(lang, values)| Dots {
            label: (*lang).to_string(),
            dots: values
                .iter()
                .enumerate()
                .filter_map(|(i, v)| {
                    Some((class(i), (*v)?, format!("{} {:.3}", found[i].name, (*v)?)))
                })
                .collect(),
            mark: chart.mark,
        })
        .collect();
    let classes: Vec<(String, String)> =
        found.iter().enumerate().map(|(i, one)| (class(i), escape(&one.name))).collect();
    let legend: Vec<(&str, &str)> = match found.len() {
        1 => Vec::new(),
        _ => classes.iter().map(|(class, name)| (class.as_str(), name.as_str())).collect(),
    };
    let head: Vec<&str> =
        std::iter::once("language").chain(classes.iter().map(|(_, name)| name.as_str())).collect();
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|(lang, values)| {
            let number = |v: &Option<f64>| v.map_or_else(String::new, |v| format!("{v:.3}"));
            std::iter::once(escape(lang)).chain(values.iter().map(number)).collect()
        })
        .collect();
    let numbers = numbers(title, &head, &cells);
    Some(Section {
        id,
        title,
        html: figure(&chart.caption, &legend, &dots(title, &dotted), &numbers),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(lang: &str, parity: Option<f64>) -> LangRates {
        LangRates { lang: lang.into(), parity, fertility: 1.5, ..LangRates::default() }
    }

    #[test]
    fn languages_stand_in_the_order_of_what_they_pay() {
        let one = |name: &str, langs| TokenizerRates { name: name.into(), langs };
        let found = [
            one("own", vec![rates("eng_Latn", Some(1.0)), rates("mya_Mymr", Some(1.4))]),
            one("a<b", vec![rates("eng_Latn", Some(1.0)), rates("isl_Latn", None)]),
        ];
        let page = tokenizers(&found, "eng_Latn");
        let parity =
            &page[page.find("id=\"parity\"").unwrap()..page.find("id=\"fertility\"").unwrap()];
        assert!(parity.find("mya_Mymr").unwrap() < parity.find(">eng_Latn").unwrap(), "{parity}");
        // A language without translations is left out there, and not elsewhere.
        assert!(!parity.contains("isl_Latn") && page.contains("isl_Latn"));
        assert!(page.contains("a&lt;b") && !page.contains("a<b"));
        assert!(page.contains("No tokenizer leaves anything unknown."));
        assert_eq!(page, tokenizers(&found, "eng_Latn"));
        assert!(tokenizers(&[], "eng_Latn").contains("No language was given."));
    }
}
