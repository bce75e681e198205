//! Counts the words of texts, language by language, in bounded memory.
//!
//! Words collect in memory up to a limit, are then sorted and spilled to a file without a name, and
//! the files are merged on reading. What is read is a function of the texts alone: not of their
//! order, nor of the limit. Words are those of the tokenizer itself, cut by its own parts.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::fs::File;
use std::hash::{BuildHasherDefault, Hasher};
use std::io::{BufReader, BufWriter, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::train::parts::Parts;
use crate::error::{Error, Result};
use crate::id;
use crate::store::mmap::full;

/// What a word takes in memory beside its letters, about.
const ENTRY: usize = 64;
/// Bytes of text whose words are counted by several threads at a time.
const AT_ONCE: usize = 4 << 20;
/// Bytes of a run that are read at a time.
const READ: usize = 128 << 10;

type Counts = HashMap<Box<str>, u64, BuildHasherDefault<Letters>>;

/// Takes texts.
pub(super) struct WordCounter<'a> {
    dir: PathBuf,
    parts: &'a Parts,
    memory: usize,
    by_lang: BTreeMap<String, Counts>,
    held: usize,
    waiting: Vec<(String, String)>,
    waiting_bytes: usize,
    runs: Vec<File>,
}

/// The words of a language with their counts.
type OfLanguage = (String, Vec<(Box<str>, u64)>);

/// Words with their counts, by language and word.
pub(super) struct WordCounts {
    dir: PathBuf,
    /// What never left memory, when nothing did.
    held: Vec<OfLanguage>,
    runs: Vec<File>,
}

impl<'a> WordCounter<'a> {
    /// Holds words of at most `memory` bytes, and spills to the file system of `dir`.
    pub fn new(dir: &Path, memory: usize, parts: &'a Parts) -> Self {
        Self {
            dir: dir.into(),
            parts,
            memory: memory.max(1 << 20),
            by_lang: BTreeMap::new(),
            held: 0,
            waiting: Vec::new(),
            waiting_bytes: 0,
            runs: Vec::new(),
        }
    }

    /// Counts the words of a text; errors when a run cannot be written.
    pub fn add(&mut self, lang: &str, text: &str) -> Result<()> {
        self.waiting_bytes += text.len();
        self.waiting.push((lang.into(), text.into()));
        if self.waiting_bytes < AT_ONCE.min(self.memory) { Ok(()) } else { self.count() }
    }

    fn count(&mut self) -> Result<()> {
        let texts = std::mem::take(&mut self.waiting);
        self.waiting_bytes = 0;
        let some = texts.len().div_ceil(rayon::current_num_threads()).max(1);
        let counted: Vec<BTreeMap<&str, Counts>> =
            texts.par_chunks(some).map(|some| count(self.parts, some)).collect::<Result<_>>()?;
        for (lang, counts) in counted.into_iter().flatten() {
            if !self.by_lang.contains_key(lang) {
                self.by_lang.insert(lang.to_string(), Counts::default());
            }
            let Some(all) = self.by_lang.get_mut(lang) else { continue };
            for (word, n) in counts {
                match all.get_mut(&word) {
                    Some(sum) => *sum += n,
                    None => {
                        self.held += word.len() + ENTRY;
                        all.insert(word, n);
                    }
                }
            }
        }
        if self.held > self.memory { self.spill() } else { Ok(()) }
    }

    /// What is held, in order.
    fn sorted(&mut self) -> impl Iterator<Item = (String, Vec<(Box<str>, u64)>)> + use<> {
        self.held = 0;
        std::mem::take(&mut self.by_lang).into_iter().map(|(lang, counts)| {
            let mut words: Vec<(Box<str>, u64)> = counts.into_iter().collect();
            words.par_sort_unstable();
            (lang, words)
        })
    }

    fn spill(&mut self) -> Result<()> {
        let dir = self.dir.clone();
        let failed = |e| full(&dir, e);
        let mut file = BufWriter::new(tempfile::tempfile_in(&dir).map_err(failed)?);
        for (lang, words) in self.sorted() {
            for (word, n) in words {
                for text in [lang.as_bytes(), word.as_bytes()] {
                    file.write_all(&(text.len() as u32).to_le_bytes()).map_err(failed)?;
                    file.write_all(text).map_err(failed)?;
                }
                file.write_all(&n.to_le_bytes()).map_err(failed)?;
            }
        }
        self.runs.push(file.into_inner().map_err(|e| full(&dir, e.into_error()))?);
        Ok(())
    }

    /// Ends the input.
    pub fn finish(mut self) -> Result<WordCounts> {
        self.count()?;
        let mut held = Vec::new();
        if self.runs.is_empty() {
            held = self.sorted().collect();
        } else {
            self.spill()?;
        }
        Ok(WordCounts { dir: self.dir, held, runs: self.runs })
    }
}

impl WordCounts {
    /// Calls `each(language, word, count)` for all words, by language and word; may be called any
    /// number of times.
    pub fn each(&self, mut each: impl FnMut(&str, &str, u64)) -> Result<()> {
        for (lang, words) in &self.held {
            words.iter().for_each(|(word, n)| each(lang, word, *n));
        }
        let mut runs: Vec<Run<'_>> = self.runs.iter().map(Run::new).collect();
        let mut heads = BinaryHeap::new();
        let failed = |e| Error::io(&self.dir, e);
        for (i, run) in runs.iter_mut().enumerate() {
            heads.extend(run.next().map_err(failed)?.map(|(word, n)| Reverse((word, i, n))));
        }
        let mut now: Option<((String, String), u64)> = None;
        while let Some(Reverse((word, i, n))) = heads.pop() {
            heads.extend(runs[i].next().map_err(failed)?.map(|(word, n)| Reverse((word, i, n))));
            match &mut now {
                Some((same, sum)) if *same == word => *sum += n,
                _ => {
                    if let Some(((lang, word), n)) = now.replace((word, n)) {
                        each(&lang, &word, n);
                    }
                }
            }
        }
        if let Some(((lang, word), n)) = now {
            each(&lang, &word, n);
        }
        Ok(())
    }
}

/// Reads a spilled run from its beginning.
struct Run<'a>(BufReader<At<'a>>);

struct At<'a>(&'a File, u64);

impl Read for At<'_> {
    fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
        let n = self.0.read_at(to, self.1)?;
        self.1 += n as u64;
        Ok(n)
    }
}

impl<'a> Run<'a> {
    fn new(file: &'a File) -> Self {
        Self(BufReader::with_capacity(READ, At(file, 0)))
    }

    fn next(&mut self) -> std::io::Result<Option<((String, String), u64)>> {
        use std::io::BufRead;
        if self.0.fill_buf()?.is_empty() {
            return Ok(None);
        }
        let mut text = || -> std::io::Result<String> {
            let mut length = [0; 4];
            self.0.read_exact(&mut length)?;
            let mut text = vec![0; u32::from_le_bytes(length) as usize];
            self.0.read_exact(&mut text)?;
            String::from_utf8(text).map_err(std::io::Error::other)
        };
        let both = (text()?, text()?);
        let mut n = [0; 8];
        self.0.read_exact(&mut n)?;
        Ok(Some((both, u64::from_le_bytes(n))))
    }
}

fn count<'t>(parts: &Parts, texts: &'t [(String, String)]) -> Result<BTreeMap<&'t str, Counts>> {
    let mut by_lang: BTreeMap<&str, Counts> = BTreeMap::new();
    for (lang, text) in texts {
        let counts = by_lang.entry(lang).or_default();
        parts.words(text, |word| match counts.get_mut(word) {
            Some(n) => *n += 1,
            None => {
                counts.insert(word.into(), 1);
            }
        })?;
    }
    Ok(by_lang)
}

/// Hashes words by all their letters at once.
#[derive(Default)]
struct Letters(u64);

impl Hasher for Letters {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = self.0.rotate_left(5) ^ id::hash64(bytes);
    }

    // What ends a text; the letters say enough.
    fn write_u8(&mut self, _: u8) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::train::TrainSpec;

    fn counted(memory: usize, texts: &[(&str, String)]) -> Vec<(String, String, u64)> {
        let dir = tempfile::tempdir().unwrap();
        let parts = Parts::new(&TrainSpec::default(), false).unwrap();
        let mut counter = WordCounter::new(dir.path(), memory, &parts);
        for (lang, text) in texts {
            counter.add(lang, text).unwrap();
            counter.count().unwrap();
        }
        let counts = counter.finish().unwrap();
        assert_eq!(counts.runs.is_empty(), memory > 1 << 30);
        let mut all = Vec::new();
        counts.each(|lang, word, n| all.push((lang.into(), word.into(), n))).unwrap();
        all
    }

    #[test]
    fn words_are_those_of_the_tokenizer() {
        let texts = [("eng_Latn", "ﬁne\tday fine\u{3000}day▁day".to_string())];
        let words = counted(usize::MAX, &texts);
        let of = |word: &str, n| ("eng_Latn".to_string(), word.to_string(), n);
        assert_eq!(words, [of("▁day", 3), of("▁fine", 2)]);
    }

    #[test]
    fn spilling_changes_nothing() {
        let texts: Vec<(&str, String)> = (0..40u64)
            .map(|i| {
                let lang = ["swh_Latn", "ell_Grek", "jpn_Jpan"][i as usize % 3];
                let words = (0..4000u64).map(|n| format!("{} ", id::keyed(n % 1500, i % 7) >> 48));
                (lang, words.collect::<String>() + "ναι 天気")
            })
            .collect();
        let whole = counted(usize::MAX, &texts);
        assert!(whole.is_sorted() && whole.len() > 15_000);
        let mut reversed = texts.clone();
        reversed.reverse();
        assert_eq!(counted(0, &reversed), whole);
    }
}
