//! The stop words of a language: words so frequent that running text has some of them.
//!
//! Case counts, as it does for the peers.

use std::collections::BTreeSet;

/// A set of stop words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StopWords {
    /// In the order of their bytes, each once.
    words: Vec<String>,
    /// Bytes of the longest.
    longest: usize,
}

/// Which of some stop words have been met.
pub struct Met<'s> {
    stop_words: &'s StopWords,
    met: Vec<bool>,
    /// Occurrences of any of them.
    pub occurrences: usize,
}

impl StopWords {
    /// The set of some words.
    pub fn new<'w>(words: impl IntoIterator<Item = &'w str>) -> Self {
        let words: BTreeSet<&str> = words.into_iter().collect();
        let longest = words.iter().map(|word| word.len()).max().unwrap_or(0);
        Self { words: words.into_iter().map(str::to_owned).collect(), longest }
    }

    /// Those of Gopher, for English.
    pub fn english() -> Self {
        Self::new(["the", "be", "to", "of", "and", "that", "have", "with"])
    }

    /// The words in the order of their bytes.
    pub fn words(&self) -> &[String] {
        &self.words
    }

    /// A count of them, with none met yet.
    pub fn count(&self) -> Met<'_> {
        Met { stop_words: self, met: vec![false; self.words.len()], occurrences: 0 }
    }
}

impl Met<'_> {
    /// Looks at one word.
    pub fn see(&mut self, word: &str) {
        if word.len() > self.stop_words.longest {
            return;
        }
        if let Ok(at) = self.stop_words.words.binary_search_by(|known| known.as_str().cmp(word)) {
            self.met[at] = true;
            self.occurrences += 1;
        }
    }

    /// The number of different ones met.
    pub fn different(&self) -> usize {
        self.met.iter().filter(|met| **met).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn different_words_and_occurrences_are_counted() {
        let words = StopWords::new(["и", "в", "не", "и"]);
        assert_eq!(words.words(), ["в", "и", "не"]);
        let mut count = words.count();
        for word in "и кот и пёс не В дом вв".split(' ') {
            count.see(word);
        }
        assert_eq!((count.different(), count.occurrences), (2, 3));
        assert_eq!(StopWords::new([]).count().different(), 0);
    }
}
