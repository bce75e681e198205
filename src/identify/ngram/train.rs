//! Training: a model from labelled rows, by counting.
//!
//! The model is a function of the set of rows and the options alone: neither the order of the rows
//! nor threads matter, and a line that comes twice counts once.
//!
//! A language is the frequencies of its features, smoothed towards the mean of the languages that
//! share its letters in the manner of Witten and Bell: the mass left to what was not seen is the
//! share of new features among those that were. The weight of a feature is the logarithm of its
//! frequency over that mean, so that the score of a text is how much likelier it is in a language
//! than in none of them in particular (multinomial naive Bayes with Dirichlet smoothing).

use std::collections::{BTreeMap, BinaryHeap, HashSet};

use super::features::{KINDS, Letters};
use super::tables::{Language, Tables};
use super::model::{MAGIC, VERSION};
use crate::identify::tag::{self, Tag};
use crate::identify::{hans, script};
use crate::id;

/// What a model is made of.
#[derive(Debug, Clone)]
pub struct Options {
    pub seed: u64,
    /// Characters read of each language at most, chosen by chance.
    pub max_chars: usize,
    /// A language with fewer characters is left out.
    pub min_chars: usize,
    /// Bytes.
    pub max_bytes: usize,
    pub least: f32,
    pub smallest: f32,
    /// Prior mass
    pub prior: [f32; KINDS],
    pub kind: [f32; KINDS],
    pub z: f32,
    pub bias: f32,
    pub power: f32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seed: 0,
            max_chars: 600_000,
            min_chars: 4000,
            max_bytes: 7_500_000,
            least: 0.05,
            smallest: 0.1,
            prior: [1.0; KINDS],
            kind: [0.7, 0.8, 0.9, 1.0, 1.2, 3.0],
            z: 1.0,
            bias: 2.0,
            power: 0.75,
        }
    }
}

/// Rows so far: of each language the lines with the smallest hashes.
pub struct Trainer {
    options: Options,
    languages: BTreeMap<Tag, Lines>,
}

#[derive(Default)]
struct Lines {
    lines: BinaryHeap<(u64, Box<str>)>,
    hashes: HashSet<u64>,
    chars: usize,
}

impl Trainer {
    pub fn new(options: Options) -> Self {
        Self { options, languages: BTreeMap::new() }
    }

    /// Adds the lines of a text that are in the script of its tag.
    pub fn add(&mut self, text: &str, tag: Tag) {
        let language = self.languages.entry(tag).or_default();
        for line in text.lines() {
            let Some(found) = script::script(line) else { continue };
            if !tag::script_agrees(tag.script, found) {
                continue;
            }
            if matches!(tag.script, "Hans" | "Hant")
                && !matches!(hans::spelling(line), s if s == tag.script || s == "Hani")
            {
                continue;
            }
            let hash = id::keyed(id::hash64(line.as_bytes()), self.options.seed);
            if !language.hashes.insert(hash) {
                continue;
            }
            language.chars += line.chars().count();
            language.lines.push((hash, line.into()));
            while let Some((_, last)) = language.lines.peek() {
                let n = last.chars().count();
                if language.chars - n < self.options.max_chars {
                    break;
                }
                language.chars -= n;
                if let Some((hash, _)) = language.lines.pop() {
                    language.hashes.remove(&hash);
                }
            }
        }
    }

    /// The model of the rows.
    pub fn finish(self) -> Vec<u8> {
        let options = self.options;
        let mut groups: BTreeMap<Letters, Vec<Language>> = BTreeMap::new();
        for (tag, Lines { lines, chars, .. }) in self.languages {
            if chars >= options.min_chars
                && let Some(letters) = Letters::of(tag.script)
            {
                let lines = lines.into_sorted_vec();
                groups.entry(letters).or_default().push(Language { tag, lines, chars });
            }
        }
        let tables: Vec<Tables> = groups
            .iter()
            .map(|(letters, languages)| Tables::count(*letters, languages, &options))
            .collect();
        let mut bytes = Vec::new();
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        let step = 20.0 / 255.0_f32;
        bytes.extend_from_slice(&step.to_le_bytes());
        bytes.extend_from_slice(&[0; 32]);
        bytes.extend_from_slice(&(groups.len() as u32).to_le_bytes());
        let mut uses: Vec<(f32, usize)> = tables.iter().flat_map(Tables::uses).collect();
        uses.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
        let mut room = options.max_bytes;
        let mut least = 0.0;
        for (use_, bytes) in uses {
            if bytes > room { least = use_; break; }
            room -= bytes;
        }
        for table in &tables {
            table.write(least, step, &mut bytes);
        }
        bytes
    }
}
