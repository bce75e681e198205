//! Our verdicts on documents, given the words and sentences that a peer found in them.
//!
//! Run by `tests/bench/measure.sh`, which has the peer: SQL cannot be told words.

use std::fmt::Write;
use std::fs;

use hexapla::measure::c4_quality::{C4Rules, c4_quality};
use hexapla::measure::fineweb_quality::{FinewebRules, fineweb_quality};
use hexapla::measure::gopher_quality::{GopherQualityRules, gopher_quality};
use hexapla::measure::gopher_repetition::{GopherRepetitionRules, gopher_repetition};
use hexapla::measure::sentences::count_sentences;
use hexapla::measure::tokens::tokens;
use serde_json::{Value, json};

/// Reads the peer's answers from the file `PEER_ANSWERS` and writes ours, given its lists and by
/// our own, to `OUR_ANSWERS`; what they are is told in `tests/bench/measure/documents.py`.
#[test]
#[ignore = "needs the answers of a peer: tests/bench/measure.sh"]
fn documents_are_judged_by_the_peers_words() {
    let file = |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set"));
    let quality = GopherQualityRules::datatrove();
    let no_stop_words = GopherQualityRules { stop_words: None, ..quality };
    let repetition = GopherRepetitionRules::DATATROVE;
    let mut ours = String::new();
    for line in fs::read_to_string(file("PEER_ANSWERS")).unwrap().lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        let (text, lang) = (row["text"].as_str().unwrap(), row["lang"].as_str());
        let words = row["words"].as_array().unwrap();
        let words: Vec<&str> = words.iter().map(|word| word.as_str().unwrap()).collect();
        let counts = row["sentences"].as_array().unwrap();
        let mut counts = counts.iter().map(|n| n.as_u64().unwrap() as usize);
        let of = |tokens: &[&str], sentences: &mut dyn FnMut(&str) -> usize| {
            let all = || tokens.iter().copied();
            json!({
                "gopher_quality": gopher_quality(text, all(), &quality).reason,
                "gopher_quality, no stop words": gopher_quality(text, all(), &no_stop_words).reason,
                "gopher_repetition": gopher_repetition(text, all(), &repetition).reason,
                "c4_quality": c4_quality(text, &C4Rules::DATATROVE, sentences).reason,
                "fineweb_quality": fineweb_quality(text, tokens.len(), &FinewebRules::DATATROVE).reason,
            })
        };
        let given = of(&words, &mut |_| counts.next().unwrap_or(0));
        let tokens = tokens(text, lang);
        let own = of(&tokens, &mut |line| count_sentences(line, lang));
        writeln!(ours, "{}", json!({ "id": row["id"], "given": given, "own": own })).unwrap();
    }
    assert!(!ours.is_empty(), "the peer answered nothing");
    fs::write(file("OUR_ANSWERS"), ours).unwrap();
}
