//! From a unit in several languages to rows: pairs of the languages that are wanted, or documents.
//!
//! Shared by all formats whose units say which text is in which language. Knows no bytes of a
//! format. Every unit makes at least one row, one rejected row or one that is skipped.

use serde_json::{Map, Value};

use super::input::MAX_RECORD;
use super::row::{Row, Sink};
use super::spec::Into;
use super::unit::{Unit, tagged};
use super::xml::shown;
use crate::error::Result;
use crate::id;
use crate::identify::tag;

/// The text of a unit in one language.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Variant {
    /// The code of the language as the file has it.
    pub code: String,
    /// The text.
    pub text: String,
    /// What else is said of it.
    pub about: Map<String, Value>,
}

/// Texts that are translations of one another.
#[derive(Debug, Default)]
pub struct Aligned<'a> {
    /// Where it begins in the file.
    pub offset: u64,
    /// Its bytes, for when it is rejected.
    pub raw: &'a [u8],
    /// Its number in the file, from 1.
    pub position: u64,
    /// The id it came with.
    pub id: Option<String>,
    /// The part of a unit that it is, where units are divided.
    pub part: Option<String>,
    /// The code of the language that the others are translated from.
    pub source: Option<String>,
    /// The score it came with.
    pub score: Option<f32>,
    /// What is said of all of it.
    pub about: Map<String, Value>,
    /// The texts.
    pub variants: Vec<Variant>,
}

/// A language that is asked for.
struct Wanted {
    spelled: String,
    tag: String,
    /// Whether any script of the language will do.
    any_script: bool,
}

/// Turns the units of one file into rows.
pub struct Rows<'u> {
    unit: &'u Unit,
    source: Option<Wanted>,
    /// None of them: all that there are.
    targets: Vec<Wanted>,
    /// The codes that were seen and their tags.
    tags: Vec<(String, Option<String>)>,
}

/// Codes that are kept with their tags; a file with more of them is no longer about languages.
const CODES: usize = 200;

/// What is written once for each row of a unit is no more than this in sum.
pub const LARGEST: usize = 8 * MAX_RECORD;

/// Why a unit is rejected that would be more.
pub const REPEATS: &str = "much that would be repeated in very many rows";

/// Codes longer than this are not looked up twice.
const LONGEST_CODE: usize = 64;

impl<'u> Rows<'u> {
    /// For a file. Errors when `langs` names an unknown language.
    pub fn new(unit: &'u Unit) -> Result<Self> {
        let asked = |code: &String| {
            let any_script = !code.contains(['_', '-']);
            Ok(Wanted { spelled: code.clone(), tag: tagged(code, "option")?, any_script })
        };
        // What a path says of scripts is no more than what its code means by default.
        let in_path = |tag: &Option<String>| {
            let tag = tag.clone()?;
            Some(Wanted { spelled: tag.clone(), tag, any_script: true })
        };
        let langs = unit.spec.langs.iter().map(asked).collect::<Result<Vec<_>>>()?;
        let (source, targets) = if langs.len() > 1 || unit.into != Into::Pairs {
            let mut langs = langs.into_iter();
            (langs.next(), langs.collect())
        } else {
            (in_path(&unit.lang), in_path(&unit.second_lang).into_iter().collect())
        };
        Ok(Self { unit, source, targets, tags: Vec::new() })
    }

    /// Hands the rows of a unit to the sink.
    pub fn unit(&mut self, aligned: Aligned<'_>, sink: &mut dyn Sink) -> Result<()> {
        if aligned.variants.is_empty() {
            return sink.reject(aligned.offset, "a unit without a text", aligned.raw);
        }
        let tags: Vec<Option<String>> =
            aligned.variants.iter().map(|variant| self.tag(&variant.code)).collect();
        match self.unit.into {
            Into::Pairs => self.pairs(aligned, &tags, sink),
            Into::Documents | Into::Labelled => self.documents(aligned, &tags, sink),
        }
    }

    fn tag(&mut self, code: &str) -> Option<String> {
        if let Some((_, tag)) = self.tags.iter().find(|(known, _)| known == code) {
            return tag.clone();
        }
        let tag = tag::find(code).map(|tag| tag.to_string());
        if self.tags.len() < CODES && code.len() <= LONGEST_CODE {
            self.tags.push((code.to_string(), tag.clone()));
        }
        tag
    }

    fn group(&self, aligned: &Aligned<'_>) -> u64 {
        let position = aligned.position.to_string();
        let fields = [self.unit.spec.name.as_str(), self.unit.source_path(), &position];
        id::hash_fields(fields.into_iter().chain(aligned.part.as_deref()))
    }

    fn pairs(
        &self,
        mut aligned: Aligned<'_>,
        tags: &[Option<String>],
        sink: &mut dyn Sink,
    ) -> Result<()> {
        let variants = &aligned.variants;
        if variants.len() < 2 {
            sink.skip("in one language only");
            return Ok(());
        }
        let source = match (&self.source, &aligned.source) {
            (Some(wanted), _) => wanted.among(variants, tags).first().copied(),
            (None, Some(code)) => {
                let spelled = variants.iter().position(|v| same_code(&v.code, code));
                let meant = || {
                    let tag = tag::find(code)?.to_string();
                    tags.iter().position(|t| t.as_ref() == Some(&tag))
                };
                spelled.or_else(meant).or(Some(0))
            }
            (None, None) => Some(0),
        };
        let Some(source) = source else {
            sink.skip("not in the languages wanted");
            return Ok(());
        };
        let targets: Vec<usize> = if self.targets.is_empty() {
            (0..variants.len()).filter(|i| *i != source).collect()
        } else {
            let mut found = among(self.targets.iter(), variants, tags);
            found.retain(|i| *i != source);
            found
        };
        if repeats_too_much(&aligned, &targets) {
            return sink.reject(aligned.offset, REPEATS, aligned.raw);
        }
        let (mut rows, mut why, mut unknown) = (Vec::new(), "not in the languages wanted", None);
        for target in targets {
            let (from, to) = (&variants[source], &variants[target]);
            let (Some(lang), Some(second_lang)) = (&tags[source], &tags[target]) else {
                let code = if tags[source].is_none() { &from.code } else { &to.code };
                unknown.get_or_insert_with(|| unknown_code(code));
                continue;
            };
            if lang == second_lang && self.targets.is_empty() {
                why = "in one language only";
            } else if from.text.trim().is_empty() || to.text.trim().is_empty() {
                why = "without a text in one of the languages";
            } else {
                rows.push((target, lang.clone(), second_lang.clone()));
            }
        }
        if let Some(reason) = unknown {
            sink.reject(aligned.offset, &reason, aligned.raw)?;
        } else if rows.is_empty() {
            sink.skip(why);
        }
        let group = self.group(&aligned);
        let last = rows.len();
        for (n, (target, lang, second_lang)) in rows.into_iter().enumerate() {
            let last = n + 1 == last;
            let mut meta = about(&mut aligned, last);
            for (key, i) in [("src", source), ("tgt", target)] {
                let said = handed(&mut aligned.variants[i].about, last);
                if !said.is_empty() {
                    meta.insert(key.into(), Value::Object(said));
                }
            }
            let text = handed(&mut aligned.variants[source].text, last);
            let second = Some(std::mem::take(&mut aligned.variants[target].text));
            let row = Row {
                text,
                second,
                lang: Some(lang),
                second_lang: Some(second_lang),
                score: aligned.score,
                group: Some(group),
                meta,
                ..Row::default()
            };
            sink.row(aligned.offset, row)?;
        }
        Ok(())
    }

    fn documents(
        &self,
        mut aligned: Aligned<'_>,
        tags: &[Option<String>],
        sink: &mut dyn Sink,
    ) -> Result<()> {
        let group = self.group(&aligned);
        let wanted: Vec<&Wanted> = self.source.iter().chain(&self.targets).collect();
        let chosen: Vec<usize> = match wanted.is_empty() {
            true => (0..tags.len()).collect(),
            false => among(wanted.into_iter(), &aligned.variants, tags),
        };
        if repeats_too_much(&aligned, &chosen) {
            return sink.reject(aligned.offset, REPEATS, aligned.raw);
        }
        let (mut kept, mut why, mut unknown) = (false, "not in the languages wanted", None);
        for i in chosen {
            let variant = &mut aligned.variants[i];
            if variant.text.trim().is_empty() {
                why = "without a text";
                continue;
            }
            let Some(lang) = tags[i].clone() else {
                unknown.get_or_insert_with(|| unknown_code(&variant.code));
                continue;
            };
            let (text, said) = (handed(&mut variant.text, true), handed(&mut variant.about, true));
            let mut meta = about(&mut aligned, false);
            meta.extend(said);
            let row = Row {
                text,
                lang: Some(lang),
                id: aligned.id.clone(),
                label: self.unit.label.clone(),
                split: self.unit.split.clone(),
                group: Some(group),
                meta,
                ..Row::default()
            };
            sink.row(aligned.offset, row)?;
            kept = true;
        }
        match unknown {
            Some(reason) => sink.reject(aligned.offset, &reason, aligned.raw),
            None => {
                if !kept {
                    sink.skip(why);
                }
                Ok(())
            }
        }
    }
}

impl Wanted {
    /// The variants in this language: those spelled like it, else those meant by it.
    fn among(&self, variants: &[Variant], tags: &[Option<String>]) -> Vec<usize> {
        let spelled = |i: &usize| same_code(&variants[*i].code, &self.spelled);
        let meant = |i: &usize| tags[*i].as_ref() == Some(&self.tag);
        let language = |tag: &str| tag.split('_').next().map(str::to_string);
        let near = |i: &usize| {
            let code = tags[*i].as_deref().and_then(language);
            self.any_script && code.is_some() && code == language(&self.tag)
        };
        let all = 0..variants.len();
        let ways: [&dyn Fn(&usize) -> bool; 3] = [&spelled, &meant, &near];
        let found = ways.iter().map(|way| all.clone().filter(*way).collect::<Vec<_>>());
        found.into_iter().find(|found| !found.is_empty()).unwrap_or_default()
    }
}

/// Whether what all rows of a unit have in common is too much for so many.
fn repeats_too_much(aligned: &Aligned<'_>, chosen: &[usize]) -> bool {
    let own: usize = chosen.iter().map(|i| aligned.variants[*i].text.len()).sum();
    aligned.raw.len().saturating_sub(own).saturating_mul(chosen.len()) > LARGEST
}

fn unknown_code(code: &str) -> String {
    format!("unknown language code `{}`", shown(code))
}

/// The variants in any of the languages, each once.
fn among<'w>(
    wanted: impl Iterator<Item = &'w Wanted>,
    variants: &[Variant],
    tags: &[Option<String>],
) -> Vec<usize> {
    let mut seen = vec![false; variants.len()];
    let mut found: Vec<usize> = wanted.flat_map(|wanted| wanted.among(variants, tags)).collect();
    found.retain(|i| !std::mem::replace(&mut seen[*i], true));
    found
}

fn same_code(a: &str, b: &str) -> bool {
    let plain = |c: u8| if c == b'-' { b'_' } else { c.to_ascii_lowercase() };
    a.len() == b.len() && a.bytes().map(plain).eq(b.bytes().map(plain))
}

/// A value for one of the rows of a unit; the last one need not leave it for others.
fn handed<T: Clone + Default>(value: &mut T, last: bool) -> T {
    if last { std::mem::take(value) } else { value.clone() }
}

/// What every row of a unit says besides its texts.
fn about(aligned: &mut Aligned<'_>, last: bool) -> Map<String, Value> {
    let mut meta = Map::new();
    meta.insert("position".into(), aligned.position.into());
    for (key, value) in [("id", &mut aligned.id), ("segment", &mut aligned.part)] {
        if let Some(text) = handed(value, last) {
            meta.insert(key.into(), text.into());
        }
    }
    meta.extend(handed(&mut aligned.about, last));
    meta
}
