//! Moses text: line-aligned files, one a language; every two that are wanted make pairs.
//!
//! Files with different numbers of lines are refused as a whole: from some line on their rows
//! would be no translations of each other, and nothing says from which.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;

use super::input::{Line, Lines, UTF16, decode, too_long};
use super::pattern::Found;
use super::unit::{Unit, in_name};
use super::{Into, Row, Sink, Source, SourceSpec};
use crate::error::{Error, Result};
use crate::id;
use crate::identify::tag;

/// Line-aligned files.
pub const MOSES: Moses = Moses;

/// The format of line-aligned files.
pub struct Moses;

impl Source for Moses {
    fn name(&self) -> &'static str {
        "moses"
    }

    fn doc(&self) -> &'static str {
        "Line-aligned plain text, one file a language, as Moses and OPUS have it."
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["txt", "moses"]
    }

    fn tables(&self) -> &'static [Into] {
        &[Into::Pairs]
    }

    fn sides(&self) -> bool {
        true
    }

    fn read(&self, unit: &Unit, read: &AtomicU64, sink: &mut dyn Sink) -> Result<()> {
        // The counts come first: a file that is refused must not have given any row. What was
        // read for counting stands for half of the way.
        let unread = AtomicU64::new(0);
        let mut counts = Vec::new();
        for (i, name) in unit.names.iter().enumerate() {
            let mut input = unit.open_nth(i, &unread)?;
            if input.is_utf16() {
                return sink.refuse(&format!("{name}: {UTF16}"));
            }
            match count(input.lines())? {
                Ok(lines) => counts.push(lines),
                Err(reason) => return sink.refuse(&format!("{name}: {reason}")),
            }
        }
        let [source, target] = counts[..] else {
            return Err(Error::internal("a pair that is not two files"));
        };
        if source != target {
            let (a, b) = (&unit.names[0], &unit.names[1]);
            return sink.refuse(&format!(
                "`{a}` has {source} lines and `{b}` has {target}; the files are not aligned"
            ));
        }
        let base = [unit.spec.name.as_str(), unit.aligned.as_deref().unwrap_or_default()];
        let mut lines = [unit.open_nth(0, read)?.lines(), unit.open_nth(1, read)?.lines()];
        for line in 0..source {
            let (offset, text) = side(&mut lines[0])?;
            let (_, second) = side(&mut lines[1])?;
            let (text, second) = match (text, second) {
                (Ok(text), Ok(second)) => (text, second),
                (Err((reason, raw)), _) => {
                    sink.reject(offset, &format!("{}: {reason}", unit.names[0]), &raw)?;
                    continue;
                }
                (_, Err((reason, raw))) => {
                    sink.reject(offset, &format!("{}: {reason}", unit.names[1]), &raw)?;
                    continue;
                }
            };
            let number = line.to_string();
            let group = id::hash_fields(base.into_iter().chain([number.as_str()]));
            sink.row(
                offset,
                Row {
                    text,
                    second: Some(second),
                    lang: unit.lang.clone(),
                    second_lang: unit.second_lang.clone(),
                    group: Some(group),
                    ..Row::default()
                },
            )?;
        }
        Ok(())
    }
}

/// The number of lines, or the damage that keeps it from being known.
fn count(mut lines: Lines<'_>) -> Result<Result<u64, String>> {
    let mut n = 0;
    loop {
        let damage = lines.next(|_, line| {
            Ok(match line {
                Line::Damaged(reason, _) => Some(reason.to_string()),
                Line::Whole(_) | Line::TooLong(_) => None,
            })
        })?;
        match damage {
            None => return Ok(Ok(n)),
            Some(Some(reason)) => return Ok(Err(reason)),
            Some(None) => n += 1,
        }
    }
}

/// A line of one side with its offset, or why it is none and its bytes.
type Side = (u64, Result<String, (String, Vec<u8>)>);

fn side(lines: &mut Lines<'_>) -> Result<Side> {
    let line = lines.next(|offset, line| {
        let text = match line {
            Line::Whole(bytes) => {
                decode(bytes).map(str::to_string).map_err(|reason| (reason, bytes.to_vec()))
            }
            Line::TooLong(head) => Err((too_long(), head.to_vec())),
            Line::Damaged(reason, cut) => Err((reason.to_string(), cut.to_vec())),
        };
        Ok((offset, text))
    })?;
    // Fewer lines than a moment ago: somebody is writing to the file.
    line.ok_or_else(|| Error::usage("a file changed while it was read"))
}

/// A pattern in which a repeated `{src}` or `{tgt}` stands for the language of the side:
/// `{src}-{tgt}/a.{src}` finds both files of the pair, as `{src}-{tgt}/a.{lang}` does.
pub fn side_placeholder(pattern: &str) -> String {
    for name in ["{src}", "{tgt}"] {
        let both = pattern.contains("{src}") && pattern.contains("{tgt}");
        if both && pattern.matches(name).count() > 1 && !pattern.contains("{lang}") {
            let at = pattern.rfind(name).unwrap_or_default();
            return format!("{}{{lang}}{}", &pattern[..at], &pattern[at + name.len()..]);
        }
    }
    pattern.to_string()
}

/// One language's file of a set of aligned ones.
struct Language {
    code: String,
    file: Found,
}

/// The pairs of files in what the patterns of a source found (with the number of the pattern).
///
/// Files whose names differ only in what the placeholder of their side matched are aligned. Of
/// `{src}`, `{tgt}` and `{lang}` together, `{lang}` is the side; of several patterns without
/// placeholders, each has the language of `langs` at its place.
pub fn units(spec: &SourceSpec, found: Vec<(usize, Found)>) -> Result<Vec<Unit>> {
    let mut sets: BTreeMap<String, Vec<Language>> = BTreeMap::new();
    let several = spec.path.all().len() > 1;
    for (pattern, file) in found {
        let has = |name: &str| file.captures.contains_key(name);
        let side = match (has("lang"), has("src"), has("tgt")) {
            (true, _, _) => "lang",
            (false, true, false) => "src",
            (false, false, true) => "tgt",
            (false, true, true) => {
                return Err(Error::usage(format!(
                    "{}: the side of the pair is not told",
                    file.name
                ))
                .hint_with("put `{lang}` where the two file names differ"));
            }
            (false, false, false) => "",
        };
        let (code, stem) = match (file.captures.get(side), spec.langs.get(pattern)) {
            (Some(code), _) => (code.clone(), file.stems.get(side).cloned().unwrap_or_default()),
            (None, Some(code)) if several && spec.langs.len() == spec.path.all().len() => {
                (code.clone(), String::new())
            }
            _ => {
                return Err(Error::usage(format!("{}: the language is not told", file.name))
                    .hint_with(
                        "put `{lang}` into `path`, or list a path and one of `langs` each",
                    ));
            }
        };
        let set = sets.entry(stem).or_default();
        // `a.{src}` and `a.{tgt}` both find every side.
        if set.iter().all(|f| f.file.name != file.name) {
            set.push(Language { code, file });
        }
    }
    let mut units = Vec::new();
    let any = !sets.is_empty();
    let mut codes: Vec<String> = Vec::new();
    for (stem, files) in sets {
        codes.extend(files.iter().map(|f| f.code.clone()));
        for (source, target) in wanted(spec, &files)? {
            let (lang, second) = (
                in_name(&source.code, &source.file.name)?,
                in_name(&target.code, &target.file.name)?,
            );
            units.push(Unit {
                paths: vec![source.file.path.clone(), target.file.path.clone()],
                names: vec![source.file.name.clone(), target.file.name.clone()],
                format: &MOSES,
                spec: spec.clone(),
                into: Into::Pairs,
                lang: Some(lang),
                second_lang: Some(second),
                label: None,
                split: None,
                aligned: Some(stem.clone()),
            });
        }
    }
    if any && units.is_empty() {
        codes.sort();
        codes.dedup();
        let message = format!("no two files are aligned; found languages: {}", codes.join(", "));
        return Err(Error::usage(message)
            .hint_with("the names of aligned files differ in the language alone"));
    }
    Ok(units)
}

/// The pairs wanted of a set of aligned files.
fn wanted<'a>(
    spec: &SourceSpec,
    files: &'a [Language],
) -> Result<Vec<(&'a Language, &'a Language)>> {
    let of = |code: &str| find(files, code);
    let captured = |name: &str| files.iter().find_map(|f| f.file.captures.get(name).cloned());
    let named = files.iter().all(|f| f.file.captures.contains_key("lang"));
    if let (true, Some(src), Some(tgt)) = (named, captured("src"), captured("tgt")) {
        return match (of(&src)?, of(&tgt)?) {
            (Some(source), Some(target)) => Ok(vec![(source, target)]),
            (None, None) => Ok(Vec::new()),
            (found, _) => {
                let there = found.map_or_else(|| of(&tgt), |f| Ok(Some(f)))?;
                let lacks = if found.is_some() { tgt } else { src };
                let name = there.map_or("", |f| f.file.name.as_str());
                Err(Error::usage(format!("{name}: the side in `{lacks}` is missing")))
            }
        };
    }
    if let Some((first, others)) = spec.langs.split_first() {
        let Some(source) = of(first)? else { return Ok(Vec::new()) };
        let mut pairs = Vec::new();
        for code in others {
            pairs.extend(of(code)?.map(|target| (source, target)));
        }
        return Ok(pairs);
    }
    match files {
        [a, b] => Ok(vec![(a, b)]),
        [_] => Ok(Vec::new()),
        _ => {
            let codes: Vec<&str> = files.iter().map(|f| f.code.as_str()).collect();
            let message = format!("{} aligned languages: {}", files.len(), codes.join(", "));
            Err(Error::usage(message)
                .hint_with("set `langs`; the first is paired with each of the others"))
        }
    }
}

/// The file in a language: spelt like it, else meant by it.
fn find<'a>(files: &'a [Language], code: &str) -> Result<Option<&'a Language>> {
    if let Some(file) = files.iter().find(|f| f.code == code) {
        return Ok(Some(file));
    }
    let want = tag::tag(code).map_err(|e| e.within("option"))?;
    let mut meant = files.iter().filter(|f| tag::find(&f.code) == Some(want));
    match (meant.next(), meant.next()) {
        (Some(a), Some(b)) => {
            let message = format!("`{code}` may be `{}` or `{}`", a.file.name, b.file.name);
            Err(Error::usage(message).hint_with("spell it in `langs` as the file name does"))
        }
        (file, _) => Ok(file),
    }
}

#[cfg(test)]
mod tests {
    use super::super::unit::{tests::read, units};
    use super::*;

    const LANGS: &str = "langs = ['en', 'ka']\nformat = 'moses'";

    #[test]
    fn lines_at_the_same_place_are_a_pair() {
        let (kept, result) =
            read(&MOSES, &["yes\r\n\r\nno".as_bytes(), "დიახ\n\nარა\n".as_bytes()], LANGS);
        result.unwrap();
        assert_eq!(kept.texts(), ["yes", "", "no"]);
        let row = &kept.rows[2].1;
        assert_eq!(row.second.as_deref(), Some("არა"));
        assert_eq!(row.group, Some(id::hash_fields(["s", "f", "2"])));
    }

    #[test]
    fn unequal_files_are_refused_and_bad_lines_cost_themselves() {
        let (kept, result) = read(&MOSES, &[b"a\nb\nc\n", b"d\ne\n"], LANGS);
        result.unwrap();
        assert!(kept.rows.is_empty());
        assert!(kept.reasons()[0].starts_with("`f0` has 3 lines and `f1` has 2"));
        let (kept, _) = read(&MOSES, &[b"a\nb\nc\n", b"d\n\xff\nf"], LANGS);
        assert_eq!(kept.texts(), ["a", "c"]);
        assert_eq!(kept.rows[1].1.group, Some(id::hash_fields(["s", "f", "2"])));
        assert_eq!(kept.reasons(), ["f1: invalid UTF-8 at byte 0"]);
    }

    #[test]
    fn a_truncated_side_refuses_the_pair() {
        let text: Vec<u8> =
            (0..9999).flat_map(|i| format!("{}\n", i * 7919).into_bytes()).collect();
        let gz = super::super::input::tests::gzip(&text);
        let (kept, result) = read(&MOSES, &[&text, &gz[..gz.len() / 2]], LANGS);
        result.unwrap();
        assert!(kept.rows.is_empty());
        assert!(kept.reasons()[0].starts_with("f1: gzip file is truncated"));
    }

    fn pairs(files: &[&str], spec: &str) -> Result<Vec<String>> {
        let dir = tempfile::tempdir().unwrap();
        for file in files {
            let path = dir.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "x\n").unwrap();
        }
        let spec: SourceSpec = toml::from_str(spec).unwrap();
        let units = units(&SourceSpec { name: "s".into(), ..spec }, dir.path())?;
        let show = |u: Unit| {
            format!("{} {} {}", u.lang.clone().unwrap(), u.second_lang.clone().unwrap(), u.name())
        };
        Ok(units.into_iter().map(show).collect())
    }

    #[test]
    fn two_files_are_found_by_every_way_to_say_so() {
        let files = ["o/b.de-en.de.gz", "o/b.de-en.en.gz", "o/b.de-en.ids.gz"];
        let want = ["deu_Latn eng_Latn o/b.de-en.de.gz + o/b.de-en.en.gz"];
        for path in [
            "'o/{name}.{src}-{tgt}.{lang}.gz'",
            "'o/{name}.{src}-{tgt}.{src}.gz'",
            "['o/b.de-en.{src}.gz', 'o/b.de-en.{tgt}.gz']\nlangs = ['de', 'en']",
            "['o/b.de-en.de.gz', 'o/b.de-en.en.gz']\nlangs = ['de', 'en']",
            "'o/b.de-en.{lang}.gz'\nlangs = ['deu', 'eng']",
            "'o/b.de-en.{lang}.gz'\nexclude = ['*.ids.gz']\nformat = 'moses'",
        ] {
            let found = pairs(&files, &format!("path = {path}\ninto = 'pairs'"));
            assert_eq!(found.unwrap(), want, "{path}");
        }
    }

    #[test]
    fn files_in_many_languages_need_a_choice() {
        let files = ["n.eng-GB.gz", "n.eng.gz", "n.isl.gz", "n.swa.gz", "n.docids.gz"];
        let spec = "path = 'n.{lang}.gz'\ninto = 'pairs'";
        let error = pairs(&files, spec).unwrap_err();
        assert!(error.to_string().contains("5 aligned languages"), "{error}");
        let found = pairs(&files, &format!("{spec}\nlangs = ['eng', 'is', 'swa']")).unwrap();
        assert_eq!(
            found,
            ["eng_Latn isl_Latn n.eng.gz + n.isl.gz", "eng_Latn swh_Latn n.eng.gz + n.swa.gz"]
        );
        let error = pairs(&files, &format!("{spec}\nlangs = ['en', 'is']")).unwrap_err();
        assert!(error.to_string().contains("`en` may be"), "{error}");
    }

    #[test]
    fn a_missing_side_is_an_error() {
        let error = pairs(&["b.de-en.de"], "path = 'b.{src}-{tgt}.{lang}'").unwrap_err();
        assert!(error.to_string().ends_with("b.de-en.de: the side in `en` is missing"), "{error}");
    }
}
