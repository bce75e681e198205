//! Words in URLs, as datatrove 0.10's URLFilter looks for them.
//!
//! A hard word counts once it is met; soft words when there are two different ones; a subword
//! anywhere in the letters and digits of the URL, across what separates them.

use std::collections::HashSet;

use aho_corasick::AhoCorasick;

use super::list::Reason;
use crate::error::{Error, Result};

/// How many different soft words are too many.
const TOO_MANY_SOFT_WORDS: usize = 2;

/// Lists of words.
#[derive(Default)]
pub struct Words {
    hard: HashSet<String>,
    soft: HashSet<String>,
    sub: Option<AhoCorasick>,
    sub_words: Vec<String>,
}

impl Words {
    /// Words by their kinds, each as [`normal`] makes them.
    pub fn new(hard: HashSet<String>, soft: HashSet<String>, sub: Vec<String>) -> Result<Self> {
        let automaton = match sub.is_empty() {
            true => None,
            false => Some(
                AhoCorasick::new(&sub).map_err(|e| Error::usage(format!("too many words: {e}")))?,
            ),
        };
        Ok(Self { hard, soft, sub: automaton, sub_words: sub })
    }

    /// The word that a URL is blocked for.
    ///
    /// As in datatrove, words are compared as they are written, subwords without regard to case.
    pub fn find<'a>(&'a self, url: &'a str) -> Option<(Reason, &'a str)> {
        let mut soft: [&str; TOO_MANY_SOFT_WORDS] = [""; TOO_MANY_SOFT_WORDS];
        let mut count = 0;
        if !self.hard.is_empty() || !self.soft.is_empty() {
            for word in url.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| !w.is_empty()) {
                if self.hard.contains(word) {
                    return Some((Reason::Word, word));
                }
                if count < TOO_MANY_SOFT_WORDS && self.soft.contains(word) && !soft.contains(&word)
                {
                    soft[count] = word;
                    count += 1;
                }
            }
        }
        if count == TOO_MANY_SOFT_WORDS {
            return Some((Reason::SoftWords, soft[count - 1]));
        }
        let found = self.sub.as_ref()?.find(&normal(url))?;
        Some((Reason::Subword, &self.sub_words[found.pattern().as_usize()]))
    }
}

/// The ASCII letters and digits of a text, in lower case.
pub fn normal(text: &str) -> String {
    let kept = text.bytes().filter(u8::is_ascii_alphanumeric);
    kept.map(|b| char::from(b.to_ascii_lowercase())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words() -> Words {
        let set = |words: &[&str]| words.iter().map(|w| normal(w)).collect::<HashSet<String>>();
        Words::new(set(&["casino-x"]), set(&["slots", "bonus"]), vec![normal("free spins")])
            .unwrap()
    }

    #[test]
    fn kinds_of_words_count_differently() {
        let words = words();
        let reason = |url| words.find(url).map(|(reason, word)| (reason, word.to_owned()));
        assert_eq!(reason("http://a.de/casinox/1"), Some((Reason::Word, "casinox".into())));
        assert_eq!(reason("http://a.de/casinoxes/1"), None);
        assert_eq!(reason("http://slots.de/slots"), None);
        assert_eq!(reason("http://slots.de/bonus"), Some((Reason::SoftWords, "bonus".into())));
        assert_eq!(
            reason("http://a.de/100-Free_Spins"),
            Some((Reason::Subword, "freespins".into()))
        );
        assert_eq!(reason("http://пример.рф/казино"), None);
    }

    #[test]
    fn no_words_block_nothing() {
        assert_eq!(Words::default().find("http://a.de/"), None);
        assert_eq!(words().find(""), None);
    }
}
