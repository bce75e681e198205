//! Training: a model from labelled rows.
//!
//! The model is a function of the set of rows and the options alone: neither the order of the rows
//! nor threads matter, and a line that comes twice counts once. What the weights are is said in
//! `tables`, what the probabilities are in `calibrate`.

use std::collections::{BTreeMap, BinaryHeap, HashMap};

use super::calibrate::{Calibration, Fit, Scored};
use super::features::{KINDS, Letters};
use super::model::{self, Model};
use super::predict::Scores;
use super::tables::{Language, Line, Tables};
use crate::error::{Error, Result};
use crate::id;
use crate::identify::tag::{self, Tag};
use crate::identify::{hans, script};

/// What a model is made with; the defaults are those of the model that is built in.
#[derive(Debug, Clone)]
pub struct Options {
    /// Decides which lines are read where there are too many.
    pub seed: u64,
    /// Characters that are read of each language in each source at most.
    pub max_chars: usize,
    /// Characters without which a language is left out.
    pub min_chars: usize,
    /// The size of the model at most, in bytes.
    pub max_bytes: usize,
    /// What is left to unseen features of each kind, in times the seen ones.
    pub prior: [f32; KINDS],
    /// How much more that is where there is less text: the power of the ratio to the most.
    pub scarcity: f32,
    /// The weight of each kind.
    pub kind: [f32; KINDS],
    /// What a language has in advance of one with less text: times the logarithm of the ratio.
    pub bias: f32,
    /// The power of a count that counts.
    pub power: f32,
    /// Standard deviations by which a count is taken to be too high when features are chosen.
    pub z: f32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seed: 0,
            max_chars: 50_000,
            min_chars: 4000,
            max_bytes: 7_900_000,
            prior: [1.0; KINDS],
            scarcity: 0.2,
            kind: [0.7, 0.8, 0.9, 1.0, 1.2, 3.0],
            bias: 3.0,
            power: 0.75,
            z: 1.0,
        }
    }
}

/// Rows so far: of each language in each source the lines with the smallest hashes, so that memory
/// stays bounded and no source outweighs the others.
#[derive(Debug)]
pub struct Trainer {
    options: Options,
    /// By language and the hash of the source.
    languages: BTreeMap<(Tag, u64), Lines>,
}

#[derive(Debug, Default)]
struct Lines {
    lines: BinaryHeap<(u64, Box<str>)>,
    /// The half of each line, by hash.
    halves: HashMap<u64, u8>,
    chars: usize,
}

impl Trainer {
    /// A trainer without rows.
    pub fn new(options: Options) -> Self {
        Self { options, languages: BTreeMap::new() }
    }

    /// Adds those lines of a text that are in the script of its tag.
    ///
    /// Texts of one source are never on both sides when the calibration is measured on one half
    /// of the rows with a model of the other; without a source each text is its own.
    pub fn add(&mut self, text: &str, tag: Tag, source: Option<&str>) {
        let half = (id::hash64(source.unwrap_or(text).as_bytes()) & 1) as u8;
        let source = id::hash64(source.unwrap_or_default().as_bytes());
        let lines = self.languages.entry((tag, source)).or_default();
        for line in text.lines().filter(|line| is_in_script(line, tag)) {
            lines.add(line, half, &self.options);
        }
    }

    /// The model file of the rows.
    ///
    /// Errors if no language has enough text, or one script has too many languages.
    pub fn finish(self) -> Result<Vec<u8>> {
        let Self { options, languages } = self;
        let mut lines: BTreeMap<Tag, Vec<Line>> = BTreeMap::new();
        for ((tag, _), of_source) in languages {
            lines.entry(tag).or_default().extend(of_source.lines());
        }
        let mut groups: BTreeMap<Letters, Vec<Language>> = BTreeMap::new();
        for (tag, mut lines) in lines {
            // A line of several sources is on the first side of any.
            lines.sort_unstable_by_key(|line| (line.hash, line.half));
            lines.dedup_by_key(|line| line.hash);
            let chars: usize = lines.iter().map(|line| line.text.chars().count()).sum();
            if let Some(letters) = Letters::of(tag.script)
                && chars >= options.min_chars
            {
                groups.entry(letters).or_default().push(Language { tag, lines });
            }
        }
        if groups.is_empty() {
            let least = options.min_chars;
            return Err(Error::usage(format!("no language has {least} characters of text")));
        }
        if let Some(languages) = groups.values().find(|l| l.len() > model::MAX_LABELS) {
            let (n, most) = (languages.len(), model::MAX_LABELS);
            return Err(Error::usage(format!("{n} languages in one script; the most is {most}")));
        }
        let groups: Vec<(Letters, Vec<Language>)> = groups.into_iter().collect();
        let (calibration, usual) = calibrate(&groups, &options)?;
        Ok(build(&groups, None, &options, &calibration, &usual))
    }
}

/// Whether a line shows the script of a tag; characters of the one Han spelling are not the other's.
fn is_in_script(line: &str, tag: Tag) -> bool {
    script::script(line).is_some_and(|found| tag::script_agrees(tag.script, found))
        && match tag.script {
            "Hans" => hans::spelling(line) != "Hant",
            "Hant" => hans::spelling(line) != "Hans",
            _ => true,
        }
}

impl Lines {
    fn add(&mut self, line: &str, half: u8, options: &Options) {
        let hash = id::keyed(id::hash64(line.as_bytes()), options.seed);
        if let Some(known) = self.halves.get_mut(&hash) {
            *known = half.min(*known);
            return;
        }
        self.halves.insert(hash, half);
        self.chars += line.chars().count();
        self.lines.push((hash, line.into()));
        while let Some((hash, last)) = self.lines.peek() {
            let n = last.chars().count();
            if self.chars - n < options.max_chars {
                break;
            }
            self.chars -= n;
            self.halves.remove(hash);
            self.lines.pop();
        }
    }

    fn lines(self) -> impl Iterator<Item = Line> {
        let Self { lines, halves, .. } = self;
        lines.into_iter().map(move |(hash, text)| Line {
            hash,
            half: halves.get(&hash).copied().unwrap_or(0),
            text,
        })
    }
}

/// A weight that larger ones are cut to: finer steps are worth more.
const LARGEST: f32 = 20.0;

/// The file of a model of one half of the lines, or of all.
fn build(
    groups: &[(Letters, Vec<Language>)],
    half: Option<u8>,
    options: &Options,
    calibration: &Calibration,
    usual: &Usual,
) -> Vec<u8> {
    let tables: Vec<(Letters, Tables)> = groups
        .iter()
        .map(|(letters, languages)| (*letters, Tables::count(*letters, languages, half, options)))
        .filter(|(_, tables)| !tables.labels.is_empty())
        .collect();
    let step =
        tables.iter().map(|(_, t)| t.most()).fold(f32::MIN_POSITIVE, f32::max).min(LARGEST) / 255.0;
    let mut bytes = model::header(step, calibration, tables.len());
    // The features that tell most for their bytes, over all groups.
    let mut uses: Vec<(f32, usize)> = tables.iter().flat_map(|(_, t)| t.uses()).collect();
    uses.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
    let fixed: usize = tables.iter().map(|(_, t)| t.fixed_bytes()).sum();
    let mut room = options.max_bytes.saturating_sub(bytes.len() + fixed);
    let mut least = 0.0;
    for (use_, bytes) in uses {
        match room.checked_sub(bytes) {
            Some(rest) => room = rest,
            // Features of the same use as the first that has no room are left out with it.
            None => {
                least = use_;
                break;
            }
        }
    }
    for (letters, tables) in &tables {
        let usual = usual.get(letters).copied().unwrap_or_default();
        tables.write(usual, least, step, &mut bytes);
    }
    bytes
}

/// Lines of each language that the calibration looks at.
const SAMPLES: usize = 150;
/// One text in this many is taken to be in no language of the model.
const UNKNOWN: f32 = 10.0;

/// The mean score and depth of the texts of each group.
type Usual = BTreeMap<Letters, [f32; 2]>;

/// What is known of one held-out text.
struct Held {
    letters: Letters,
    fit: Fit,
    known: bool,
}

/// The calibration of the rows, and what is usual in each group, by models of their halves.
fn calibrate(
    groups: &[(Letters, Vec<Language>)],
    options: &Options,
) -> Result<(Calibration, Usual)> {
    let mut scored: Vec<Scored> = Vec::new();
    let mut held: Vec<Held> = Vec::new();
    for half in [0, 1] {
        let bytes = build(groups, Some(half), options, &Calibration::default(), &Usual::new());
        let model = Model::parse(&bytes)?;
        for (letters, languages) in groups {
            for language in languages {
                let others = language.lines.iter().filter(|line| line.half != half);
                for line in others.take(SAMPLES) {
                    let text = piece(&line.text, line.hash);
                    hold_out(&model, *letters, language.tag, text, &mut scored, &mut held);
                }
            }
        }
    }
    let usual = usual(&held);
    let weight = |known: bool| {
        let all = held.iter().filter(|h| h.known == known).count().max(1) as f32;
        held.len() as f32 / all * if known { 1.0 - 1.0 / UNKNOWN } else { 1.0 / UNKNOWN }
    };
    let weights = [weight(false), weight(true)];
    let fits: Vec<(Fit, bool, f32)> = held
        .iter()
        .map(|h| {
            let of_group: [f32; 2] = usual.get(&h.letters).copied().unwrap_or_default();
            let fit =
                Fit { score: h.fit.score - of_group[0], depth: h.fit.depth - of_group[1], ..h.fit };
            (fit, h.known, weights[usize::from(h.known)])
        })
        .collect();
    Ok((Calibration::fit(&scored, &fits), usual))
}

/// Scores a held-out text: as it is, as if its language were unknown, and spelt backwards.
fn hold_out(
    model: &Model,
    letters: Letters,
    tag: Tag,
    text: &str,
    scored: &mut Vec<Scored>,
    held: &mut Vec<Held>,
) {
    let Some(group) = model.group(letters) else { return };
    let mut hold = |scores: &Scores, without: Option<usize>, known: bool| {
        let best = (0..scores.scores.len())
            .filter(|i| Some(*i) != without)
            .max_by(|a, b| scores.scores[*a].total_cmp(&scores.scores[*b]));
        if let Some(best) = best
            && scores.features > 0
        {
            held.push(Held { letters, fit: scores.fit(best, [0.0; 2]), known });
        }
    };
    let scores = model.scores(group, text);
    let truth = group.labels.iter().position(|label| *label == tag);
    hold(&scores, None, truth.is_some());
    if let Some(truth) = truth {
        hold(&scores, Some(truth), false);
        let of_truth = scores.scores[truth];
        let mut others: Vec<f32> = scores.scores.clone();
        others.swap_remove(truth);
        others.sort_unstable_by(|a, b| b.total_cmp(a));
        others.truncate(16);
        scored.push(Scored { features: scores.features as f32, truth: of_truth, others });
    }
    let backwards: String = text.chars().rev().collect();
    hold(&model.scores(group, &backwards), None, false);
}

/// The mean score and depth of known texts in each group, and of all in those without.
fn usual(held: &[Held]) -> Usual {
    let mut sums: BTreeMap<Letters, [f32; 3]> = BTreeMap::new();
    for held in held {
        let sums = sums.entry(held.letters).or_default();
        if held.known {
            for (sum, value) in sums.iter_mut().zip([held.fit.score, held.fit.depth, 1.0]) {
                *sum += value;
            }
        }
    }
    let mean = |s: &[f32; 3]| [s[0] / s[2].max(1.0), s[1] / s[2].max(1.0)];
    let all = sums.values().fold([0.0; 3], |a, b| [a[0] + b[0], a[1] + b[1], a[2] + b[2]]);
    sums.iter().map(|(l, s)| (*l, if s[2] > 0.0 { mean(s) } else { mean(&all) })).collect()
}

/// A piece of a line, of one of several lengths, from the beginning of a word if one is near.
fn piece(line: &str, draw: u64) -> &str {
    const LENGTHS: [usize; 6] = [3, 6, 12, 30, 80, 200];
    let length = LENGTHS[(draw % 6) as usize];
    let total = line.chars().count();
    if total <= length {
        return line;
    }
    let at = |n: usize, text: &str| text.char_indices().nth(n).map_or(text.len(), |(i, _)| i);
    let start = at((draw >> 8) as usize % (total - length + 1), line);
    let start =
        line[..start].rfind(' ').filter(|space| start - space < 40).map_or(start, |s| s + 1);
    let rest = &line[start..];
    let end = at(length, rest);
    let end = rest[end..].find(' ').filter(|space| *space < 40).map_or(end, |space| end + space);
    &rest[..end]
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::identify::tag::find;

    const ROWS: &[(&str, &str)] = &[
        ("de", "der hund schläft unter dem tisch, weil es draußen regnet"),
        ("de", "wir gehen heute nicht mehr in die stadt"),
        ("fi", "koira nukkuu pöydän alla, koska ulkona sataa"),
        ("fi", "emme mene enää tänään kaupunkiin"),
        ("ru", "собака спит под столом, потому что на улице дождь"),
        ("uk", "собака спить під столом, бо надворі йде дощ"),
    ];

    fn options() -> Options {
        Options { min_chars: 20, max_bytes: 6000, ..Options::default() }
    }

    fn model_of<'a>(rows: impl Iterator<Item = &'a (&'a str, &'a str)>) -> Vec<u8> {
        let mut trainer = Trainer::new(options());
        for (lang, text) in rows {
            trainer.add(text, find(lang).unwrap(), None);
        }
        trainer.finish().unwrap()
    }

    /// The bytes of a model of four languages.
    pub(in super::super) fn small_model() -> Vec<u8> {
        model_of(ROWS.iter())
    }

    #[test]
    fn the_order_of_rows_does_not_matter_nor_repetition() {
        let bytes = small_model();
        assert!(bytes.len() <= 6000, "{}", bytes.len());
        assert_eq!(model_of(ROWS.iter().rev()), bytes);
        assert_eq!(model_of(ROWS.iter().chain(ROWS)), bytes);
    }

    #[test]
    fn languages_are_told_apart() {
        let model = Model::parse(&small_model()).unwrap();
        for (text, script, label) in [
            ("unter dem tisch", "Latn", "deu_Latn"),
            ("pöydän alla", "Latn", "fin_Latn"),
            ("під столом", "Cyrl", "ukr_Cyrl"),
        ] {
            let found = model.label(text, script).map(|l| l.tag.to_string());
            assert_eq!(found.as_deref(), Some(label), "{text}");
        }
        assert_eq!(model.label("ქართული", "Geor"), None);
    }

    #[test]
    fn lines_in_another_script_are_left_out() {
        let mut trainer = Trainer::new(options());
        trainer.add("собака спит под столом\nпотому что дождь", find("de").unwrap(), None);
        trainer.add("我們學習語言的時候", find("zh-Hans").unwrap(), None);
        let error = trainer.finish().unwrap_err();
        assert_eq!(error.to_string(), "no language has 20 characters of text");
    }

    #[test]
    fn long_sources_are_cut_by_chance_and_not_by_order() {
        let line = |i: u32| format!("zeile {i} hat worte wie hund{i} und katze{i}");
        let lines: Vec<String> = (0..400).map(line).collect();
        let options = Options { max_chars: 2000, ..options() };
        let of = |lines: &mut dyn Iterator<Item = &String>| {
            let mut trainer = Trainer::new(options.clone());
            lines.for_each(|l| trainer.add(l, find("de").unwrap(), Some("source")));
            trainer.finish().unwrap()
        };
        assert_eq!(of(&mut lines.iter()), of(&mut lines.iter().rev()));
    }
}
