//! The parts of unigram training against numbers worked out by hand.

use super::*;
use crate::token::sample;

fn words(of: &[(&str, u64)]) -> Vec<(String, u64)> {
    let mut words: Vec<(String, u64)> = of.iter().map(|(w, n)| (w.to_string(), *n)).collect();
    words.sort();
    words
}

#[test]
fn digamma_has_its_known_values() {
    const EULER: f64 = 0.577_215_664_901_532_9;
    assert!((digamma(1.0) + EULER).abs() < 1e-7);
    assert!((digamma(0.5) + EULER + 2.0 * 2f64.ln()).abs() < 1e-7);
}

#[test]
fn expectations_are_those_of_all_segmentations() {
    // Of `ab`, with p(a) = 0.5, p(b) = 0.25, p(ab) = 0.25: one of two words is a + b.
    let words = words(&[("ab", 6)]);
    let characters = [('a', 6), ('b', 6)];
    let corpus = Corpus::new(&words, &characters);
    let piece = |chars: &[u32], p: f64| Piece { chars: chars.to_vec(), score: p.ln() };
    let pieces = [piece(&[0], 0.5), piece(&[1], 0.25), piece(&[0, 1], 0.25)];
    let trie = Trie::new(&pieces, 2);
    let expected = corpus.expect(&trie, &pieces);
    let split = 6.0 * 0.125 / (0.125 + 0.25);
    for (found, right) in expected.iter().zip([split, split, 6.0 - split]) {
        assert!((found - right).abs() < 1e-12, "{expected:?}");
    }
    assert_eq!(trie.segment(&[0, 1], &pieces, NONE).0, [2]);
    assert_eq!(trie.segment(&[0, 1], &pieces, 2).0, [0, 1]);
}

#[test]
fn seeds_are_the_repeated_substrings() {
    let words = words(&[("▁bana", 1), ("▁banana", 1)]);
    let characters = sample::characters(&words);
    let corpus = Corpus::new(&words, &characters);
    let found = seeds(&corpus, &characters, 16, 100);
    let spelled: Vec<String> = found
        .iter()
        .map(|piece| piece.chars.iter().map(|c| characters[*c as usize].0).collect())
        .collect();
    let longer: Vec<&str> =
        spelled.iter().filter(|s| s.chars().count() > 1).map(String::as_str).collect();
    // By count × length: 2 × 5, 3 × 3, 2 × 4, 3 × 2; `▁ban` always goes on to `▁bana`.
    assert_eq!(longer, ["▁bana", "ana", "bana", "na"]);
}

#[test]
fn frequent_words_become_pieces_and_characters_stay() {
    let words = words(&[("▁fjall", 50), ("▁fjara", 40), ("▁dalur", 60), ("▁x", 1)]);
    let characters = sample::characters(&words);
    let pieces = learn(&words, &characters, characters.len() + 3, 16);
    let spelled: Vec<&str> = pieces.iter().map(|(piece, _)| piece.as_str()).collect();
    assert_eq!(pieces.len(), characters.len() + 3);
    assert!(spelled.contains(&"▁dalur") && spelled.contains(&"x"), "{spelled:?}");
    assert!(pieces.windows(2).all(|w| w[0].1 >= w[1].1));
    assert!(pieces.iter().all(|(_, score)| score.is_finite() && *score < 0.0));
}
