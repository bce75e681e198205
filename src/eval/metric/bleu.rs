//! BLEU (Papineni et al. 2002) as sacreBLEU defines it (Post 2018).
//!
//! Clipped n-gram precisions up to order 4 over a whole corpus, times the brevity penalty. The
//! references' n-grams are merged by their largest count, the nearest reference length counts, of
//! equally near ones the shorter.

pub mod tokenize;

use std::collections::HashMap;

use super::options::Choice;
use super::{Item, Metric, Needs, Rows, SACREBLEU, Scale, Scored, Statistics, python};
use crate::error::Result;

/// `bleu`.
pub const BLEU: Metric = Metric {
    name: "bleu",
    doc: "BLEU, equal to sacreBLEU's",
    needs: Needs::Texts,
    scale: Scale::Hundred,
    lower_is_better: false,
    options: &[
        Choice::one_of(
            "tokenize",
            "13a",
            &["auto", "13a", "zh", "intl", "char", "none"],
            "how words are told apart; `auto` is `zh` in Chinese, else `13a`",
        ),
        Choice::one_of(
            "smooth_method",
            "exp",
            &["exp", "floor", "add-k", "none"],
            "what stands in for an order without a match (Chen and Cherry 2014)",
        ),
        Choice::one_of(
            "smooth_value",
            "default",
            super::options::ANY,
            "ε of `floor` (0.1), k of `add-k` (1)",
        ),
        Choice::flag("lowercase", "letter case does not count"),
        Choice::flag(
            "effective_order",
            "orders longer than the text do not count; for single rows",
        ),
        Choice::number("max_ngram_order", "4", "the longest n-gram"),
    ],
    score,
};

/// What stands in for orders without a match.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Smoothing {
    /// Nothing: the score is 0.
    None,
    /// This many matches.
    Floor(f64),
    /// Matches and n-grams are raised by this much from order 2 on.
    AddK(f64),
    /// A half, a quarter, an eighth of a match: NIST's.
    Exp,
}

/// The score of a corpus from its sums: lengths of hypothesis and reference, then the matches of
/// each order, then the n-grams of each.
pub fn formula(sums: &[f64], smoothing: Smoothing, effective_order: bool) -> f64 {
    let order = sums.len() / 2 - 1;
    let (correct, total) = sums[2..].split_at(order);
    let (hypothesis, reference) = (sums[0], sums[1]);
    let brevity = match () {
        _ if hypothesis >= reference => 1.0,
        _ if hypothesis > 0.0 => (1.0 - reference / hypothesis).exp(),
        _ => 0.0,
    };
    if correct.iter().all(|c| *c == 0.0) {
        return 0.0;
    }
    let mut precisions = vec![0.0; order];
    let (mut halves, mut effective) = (1.0, order);
    for n in 0..order {
        let (mut correct, mut total) = (correct[n], total[n]);
        if let (Smoothing::AddK(k), true) = (smoothing, n > 0) {
            correct += k;
            total += k;
        }
        if total == 0.0 {
            break;
        }
        if effective_order {
            effective = n + 1;
        }
        precisions[n] = match (correct == 0.0, smoothing) {
            (true, Smoothing::Exp) => {
                halves *= 2.0;
                100.0 / (halves * total)
            }
            (true, Smoothing::Floor(epsilon)) => 100.0 * epsilon / total,
            (true, _) => 0.0,
            (false, _) => 100.0 * correct / total,
        };
    }
    // The logarithm of nothing, as sacreBLEU has it.
    let log = |p: &f64| if *p == 0.0 { -9_999_999_999.0 } else { p.ln() };
    let mean = precisions[..effective].iter().map(log).sum::<f64>() / effective as f64;
    brevity * mean.exp()
}

fn score(rows: &Rows<'_>) -> Result<Scored> {
    let options = rows.options;
    let order = options.count("max_ngram_order", 1, 64)?;
    let value = match options.get("smooth_value") {
        "default" => None,
        _ => Some(options.number("smooth_value")?),
    };
    let smoothing = match options.get("smooth_method") {
        "floor" => Smoothing::Floor(value.unwrap_or(0.1)),
        "add-k" => Smoothing::AddK(value.unwrap_or(1.0)),
        "none" => Smoothing::None,
        _ => Smoothing::Exp,
    };
    let tokenizer = match options.get("tokenize") {
        "auto" if rows.lang.is_some_and(tokenize::is_chinese) => "zh",
        "auto" => "13a",
        named => named,
    };
    let effective = options.flag("effective_order");
    let words = |text: &str| tokenize::tokenize(tokenizer, text, options.flag("lowercase"));
    let mut statistics = Vec::with_capacity(rows.items.len());
    for item in rows.items {
        statistics.push(sums(item, order, &words)?);
    }
    let smooth = match smoothing {
        Smoothing::Floor(v) => format!("floor[{v:.2}]"),
        Smoothing::AddK(v) => format!("add-k[{v:.2}]"),
        Smoothing::None => "none".into(),
        Smoothing::Exp => "exp".into(),
    };
    let signature = format!(
        "nrefs:{}|case:{}|eff:{}|tok:{tokenizer}|smooth:{smooth}|version:{SACREBLEU}",
        rows.reference_count()?,
        if options.flag("lowercase") { "lc" } else { "mixed" },
        options.get("effective_order"),
    );
    let formula = move |sums: &[f64]| formula(sums, smoothing, effective);
    Ok(Scored {
        statistics: Statistics::dense(2 + 2 * order, statistics, Box::new(formula)),
        signature,
        warnings: warnings(rows, tokenizer)?,
    })
}

fn sums(item: &Item, order: usize, words: &dyn Fn(&str) -> String) -> Result<Vec<f64>> {
    let hypothesis = words(item.hypothesis()?);
    let references: Vec<String> = item.references()?.into_iter().map(words).collect();
    let mut ids: HashMap<&str, u32> = HashMap::new();
    let mut numbered = |text| -> Vec<u32> {
        let mut of = |word| {
            let next = ids.len() as u32;
            *ids.entry(word).or_insert(next)
        };
        python::split(text).map(&mut of).collect()
    };
    let ours = numbered(&hypothesis);
    let theirs: Vec<Vec<u32>> = references.iter().map(|r| numbered(r)).collect();
    let distance = |r: &Vec<u32>| (r.len().abs_diff(ours.len()), r.len());
    let nearest = theirs.iter().map(distance).min().map_or(0, |(_, length)| length);
    let mut sums = vec![0.0; 2 + 2 * order];
    sums[0] = ours.len() as f64;
    sums[1] = nearest as f64;
    for n in 1..=order {
        let mut wanted: HashMap<&[u32], u32> = HashMap::new();
        for reference in &theirs {
            for (gram, count) in counts(reference, n) {
                let most = wanted.entry(gram).or_default();
                *most = count.max(*most);
            }
        }
        for (gram, count) in counts(&ours, n) {
            sums[1 + n] += f64::from(wanted.get(gram).map_or(0, |most| count.min(*most)));
            sums[1 + order + n] += f64::from(count);
        }
    }
    Ok(sums)
}

fn counts(words: &[u32], n: usize) -> HashMap<&[u32], u32> {
    let mut counts = HashMap::new();
    words.windows(n).for_each(|gram| *counts.entry(gram).or_default() += 1);
    counts
}

/// Words of languages that write none are whole sentences to a tokenizer of spaces.
fn warnings(rows: &Rows<'_>, tokenizer: &str) -> Result<Vec<String>> {
    if matches!(tokenizer, "char" | "zh") {
        return Ok(Vec::new());
    }
    let (mut unspaced, mut letters) = (0, 0);
    for item in rows.items.iter().take(1000) {
        for reference in item.references()? {
            let of = reference.chars().filter(|c| c.is_alphabetic());
            of.for_each(|c| {
                (unspaced, letters) =
                    (unspaced + usize::from(tokenize::is_unspaced(c)), letters + 1)
            });
        }
    }
    if unspaced * 2 <= letters {
        return Ok(Vec::new());
    }
    Ok(vec![format!(
        "the references are in a script without spaces, whose words `{tokenizer}` does not tell \
         apart: use `bleu:tokenize=zh` for Chinese, `bleu:tokenize=char`, or chrf"
    )])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_formula_by_hand() {
        // 3 of 4 words, 1 of 3 pairs, no longer match; lengths 4 and 5.
        let sums = [4.0, 5.0, 3.0, 1.0, 0.0, 0.0, 4.0, 3.0, 2.0, 1.0];
        assert_eq!(formula(&sums, Smoothing::None, false), 0.0);
        let expected = (1.0f64 - 5.0 / 4.0).exp()
            * (75.0f64.ln() + (100.0f64 / 3.0).ln() + 25.0f64.ln() + 25.0f64.ln())
                .mul_add(0.25, 0.0)
                .exp();
        assert!((formula(&sums, Smoothing::Exp, false) - expected).abs() < 1e-12);
        assert_eq!(formula(&[0.0; 10], Smoothing::Exp, false), 0.0);
    }
}
