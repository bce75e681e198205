//! What the text of a token says of its place: whether a word begins with it, whether a sentence
//! may end with it.
//!
//! Tokenizers mark the beginning of words (`▁`, `Ġ`) or their continuation (`##`). A sign of a
//! script that is written without spaces is a word of its own, else a sentence would be one.

/// Marks in front of tokens that begin a word.
const BEGINNINGS: [char; 2] = ['▁', 'Ġ'];

/// The mark in front of tokens that go on with one.
const CONTINUATION: &str = "##";

/// Signs that end sentences (`Sentence_Terminal` of Unicode) in scripts with training text.
const ENDS: &str = ".!?։؟۔؞।॥။፧።…。｡！．？។៕᱾᱿‼⁇⁈⁉︕︖";

/// Two properties of every id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pieces {
    begins: Vec<bool>,
    ends: Vec<bool>,
}

impl Pieces {
    /// Of a vocabulary, by the text of each id; ids without a text begin words.
    pub fn new(texts: &[Option<String>]) -> Self {
        let known = || texts.iter().flatten();
        let marked = known().any(|text| text.starts_with(BEGINNINGS));
        let continued = known().any(|text| text.starts_with(CONTINUATION));
        let begins = |text: &String| match (marked, continued) {
            (true, _) => text.starts_with(BEGINNINGS) || is_word(text),
            (false, true) => !text.starts_with(CONTINUATION),
            (false, false) => true,
        };
        let ends = |text: &String| text.chars().last().is_some_and(|c| ENDS.contains(c));
        Self {
            begins: texts.iter().map(|text| text.as_ref().is_none_or(begins)).collect(),
            ends: texts.iter().map(|text| text.as_ref().is_some_and(ends)).collect(),
        }
    }

    /// Whether a word begins with a token; true of ids that are not known.
    pub fn begins(&self, id: i32) -> bool {
        usize::try_from(id).ok().and_then(|id| self.begins.get(id)).is_none_or(|&begins| begins)
    }

    /// Whether a sentence may end with a token.
    pub fn ends(&self, id: i32) -> bool {
        usize::try_from(id).ok().and_then(|id| self.ends.get(id)).is_some_and(|&ends| ends)
    }
}

/// Whether a token without a mark is a word: signs of scripts without spaces, and punctuation.
fn is_word(text: &str) -> bool {
    text.chars().next().is_some_and(|c| is_unspaced(c) || (c.is_ascii_punctuation() && c != '\''))
}

/// Thai, Lao, Burmese, Khmer, kana and Chinese characters.
fn is_unspaced(c: char) -> bool {
    matches!(c,
        '\u{0E00}'..='\u{0EFF}' | '\u{1000}'..='\u{109F}' | '\u{1780}'..='\u{17FF}'
        | '\u{3000}'..='\u{30FF}' | '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}'
        | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{3FFFF}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begins(texts: &[&str]) -> Vec<bool> {
        let pieces = Pieces::new(&texts.iter().map(|t| Some((*t).to_string())).collect::<Vec<_>>());
        (0..texts.len() as i32).map(|id| pieces.begins(id)).collect()
    }

    #[test]
    fn words_are_told_by_the_marks_of_each_kind_of_tokenizer() {
        assert_eq!(begins(&["▁hús", "ið", "字", "ที่", ","]), [true, false, true, true, true]);
        assert_eq!(begins(&["hús", "##ið"]), [true, false]);
        assert_eq!(begins(&["Ġhouse", "s", "'s"]), [true, false, false]);
        assert_eq!(begins(&["hús", "ið"]), [true, true]);
        assert!(Pieces::default().begins(7) && !Pieces::default().ends(7));
    }

    #[test]
    fn sentences_end_in_many_scripts() {
        let texts = ["▁end.", "です。", "है।", "؟", "▁no,"].map(|t| Some(t.to_string()));
        let pieces = Pieces::new(&texts);
        assert_eq!((0..5).filter(|&id| pieces.ends(id)).collect::<Vec<_>>(), [0, 1, 2, 3]);
    }
}
