//! Sides: the files of one text in several languages, and which two of them make pairs.
//!
//! Of formats whose pairs are two files: line-aligned text, subtitles, treebanks. Opens nothing.

use std::collections::BTreeMap;

use super::decompress;
use super::pattern::Found;
use super::unit::{Unit, in_name};
use super::{Source, SourceSpec};
use crate::error::{Error, Result};
use crate::identify::tag;

/// A pattern in which a repeated `{src}` or `{tgt}` stands for the language of the side:
/// `{src}-{tgt}/a.{src}` finds both files of the pair, as `{src}-{tgt}/a.{lang}` does.
pub fn placeholder(pattern: &str) -> String {
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
    format: &'static dyn Source,
    file: Found,
}

/// A file that is one side of a pair, and what found it.
pub struct Side {
    /// The number of the pattern among those of the source.
    pub pattern: usize,
    /// Its format.
    pub format: &'static dyn Source,
    /// The file.
    pub file: Found,
}

/// What a name like `x.de-en.de` says of its side, as OPUS and Moses name files; what a
/// placeholder matched stands.
fn by_name(file: &mut Found) {
    if file.captures.contains_key("lang") {
        return;
    }
    let stem = decompress::stem(&file.name);
    let Some((before, code, [src, tgt])) = side(stem) else { return };
    let ending = &file.name[stem.len()..];
    let captures = [("src", src), ("tgt", tgt), ("lang", code)].map(|(k, v)| (k, v.to_string()));
    file.stems.insert("lang".into(), format!("{before}.\0{ending}"));
    for (name, text) in captures {
        file.captures.entry(name.into()).or_insert(text);
    }
}

/// The name of one side of a pair without the language at its end.
pub fn pair_stem(file: &Found) -> Option<String> {
    side(decompress::stem(&file.name)).map(|(before, ..)| before.to_string())
}

/// A name like `x.de-en.de` as `x.de-en`, `de` and both languages.
fn side(stem: &str) -> Option<(&str, &str, [&str; 2])> {
    let (before, code) = stem.rsplit_once('.')?;
    let pair = before.rsplit(['.', '/', '_']).next().unwrap_or(before);
    let divided = pair.match_indices('-').map(|(i, _)| [&pair[..i], &pair[i + 1..]]);
    let known =
        |pair: &[&str; 2]| pair.contains(&code) && pair.iter().all(|c| tag::find(c).is_some());
    divided.into_iter().find(known).map(|pair| (before, code, pair))
}

/// The pairs of files in what the patterns of a source found (with the number of the pattern).
///
/// Files whose names differ only in what the placeholder of their side matched are aligned. Of
/// `{src}`, `{tgt}` and `{lang}` together, `{lang}` is the side; of several patterns without
/// placeholders, each has the language of `langs` at its place.
pub fn units(spec: &SourceSpec, found: Vec<Side>) -> Result<Vec<Unit>> {
    let mut sets: BTreeMap<String, Vec<Language>> = BTreeMap::new();
    let several = spec.path.all().len() > 1;
    for Side { pattern, format, mut file } in found {
        by_name(&mut file);
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
            set.push(Language { code, format, file });
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
                lang: Some(lang),
                second_lang: Some(second),
                label: None,
                split: None,
                aligned: Some(stem.clone()),
                ..Unit::new(spec, source.format, [&source.file, &target.file])
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
    use super::super::unit::units;
    use super::*;

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
