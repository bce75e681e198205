//! From what a person says to what is read: units with their format, languages and labels settled.
//!
//! Reads folders and the first bytes of files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;

use super::input::Input;
use super::pattern::{self, Found};
use super::{Into, Source, SourceSpec, moses, named, recognise};
use crate::error::{Error, Result};
use crate::identify::tag;

/// What is read in one go and numbered in one sequence: a file, or the two files of a pair.
#[derive(Clone)]
pub struct Unit {
    /// Its files; of Moses text, the source side and the target side.
    pub paths: Vec<PathBuf>,
    /// Their names relative to the project.
    pub names: Vec<String>,
    /// Its format.
    pub format: &'static dyn Source,
    /// What the person said.
    pub spec: SourceSpec,
    /// The table that its rows go into.
    pub into: Into,
    /// The language of all its texts, or of the source side, as a tag.
    pub lang: Option<String>,
    /// The language of the target side, as a tag.
    pub second_lang: Option<String>,
    /// The class of all its rows.
    pub label: Option<String>,
    /// The part of the data set that all its rows are in.
    pub split: Option<String>,
    /// What line-aligned files have in common; rows with equal numbers in it are translations.
    pub aligned: Option<String>,
}

impl Unit {
    /// Its name inside its source: that of its file, or of both.
    pub fn name(&self) -> String {
        self.names.join(" + ")
    }

    /// The file that a row of it is said to come from.
    pub fn source_path(&self) -> &str {
        self.names.first().map_or("", String::as_str)
    }

    /// Opens its first file.
    pub fn open<'a>(&'a self, read: &'a AtomicU64) -> Result<Input<'a>> {
        self.open_nth(0, read)
    }

    /// Opens one of its files.
    pub fn open_nth<'a>(&'a self, n: usize, read: &'a AtomicU64) -> Result<Input<'a>> {
        let path = self.paths.get(n).ok_or_else(|| Error::internal("a unit without this file"))?;
        Input::open(path, read)
    }

    /// What its rows are a function of besides the bytes of its files, as JSON.
    pub fn key(&self) -> String {
        // The pattern only finds files: moving it about changes no row.
        let spec =
            SourceSpec { path: Default::default(), exclude: Vec::new(), ..self.spec.clone() };
        serde_json::json!([
            self.format.name(),
            self.format.version(),
            self.into.table(),
            self.names,
            self.lang,
            self.second_lang,
            self.label,
            self.split,
            self.aligned,
            spec
        ])
        .to_string()
    }
}

/// The units of a source, sorted by name.
///
/// Errors when a pattern matches nothing, a language code in a path or an option is unknown, a
/// format cannot be told or cannot fill the table, or one side of a pair is missing.
pub fn units(spec: &SourceSpec, root: &Path) -> Result<Vec<Unit>> {
    let place = || format!("source `{}`", spec.name);
    spec.check()?;
    let into = spec.table();
    let format = spec.format.as_deref().map(named).transpose().map_err(|e| e.within(place()))?;
    let mut found: Vec<(usize, Found)> = Vec::new();
    for (i, pattern) in spec.path.all().iter().enumerate() {
        let pattern = moses::side_placeholder(pattern);
        let files = pattern::find(&pattern, root).map_err(|e| e.within(place()))?;
        found.extend(files.into_iter().map(|f| (i, f)));
    }
    for exclude in &spec.exclude {
        let mut kept = Vec::new();
        for (i, file) in found {
            if !pattern::matches(exclude, &file.name).map_err(|e| e.within(place()))? {
                kept.push((i, file));
            }
        }
        found = kept;
    }
    if found.is_empty() {
        return Err(Error::usage("`exclude` leaves no file").within(place()));
    }
    let mut units = Vec::new();
    let mut sides = Vec::new();
    let mut seen: BTreeMap<String, ()> = BTreeMap::new();
    for (i, file) in found {
        let format = match format {
            Some(format) => format,
            None => recognise(&file.path, &file.name, into).map_err(|e| e.within(place()))?,
        };
        if !format.tables().contains(&into) {
            let can: Vec<&str> = format.tables().iter().map(|t| t.table()).collect();
            let message = format!(
                "{}: format `{}` cannot fill `{}`, only `{}`",
                file.name,
                format.name(),
                into.table(),
                can.join("`, `")
            );
            return Err(Error::usage(message).hint_with("set `into`").within(place()));
        }
        if format.name() == moses::MOSES.name() {
            sides.push((i, file));
        } else if seen.insert(file.name.clone(), ()).is_none() {
            units.push(single(spec, into, format, file).map_err(|e| e.within(place()))?);
        }
    }
    units.extend(moses::units(spec, sides).map_err(|e| e.within(place()))?);
    if !spec.languages.is_empty() {
        let wanted = Wanted::new(&spec.languages)?;
        units.retain(|u| [&u.lang, &u.second_lang].into_iter().flatten().all(|l| wanted.has(l)));
        if units.is_empty() {
            let message = "no file is in one of the project's languages";
            return Err(Error::usage(message).within(place()));
        }
    }
    units.sort_by_key(Unit::name);
    Ok(units)
}

/// The project's languages: codes without a script stand for every script.
struct Wanted {
    tags: Vec<String>,
    codes: Vec<String>,
}

impl Wanted {
    fn new(languages: &[String]) -> Result<Self> {
        let (mut tags, mut codes) = (Vec::new(), Vec::new());
        for language in languages {
            let tag = tagged(language, "`languages`")?;
            match language.contains(['_', '-']) {
                true => tags.push(tag),
                false => codes.push(tag.split('_').next().unwrap_or_default().to_string()),
            }
        }
        Ok(Self { tags, codes })
    }

    fn has(&self, tag: &str) -> bool {
        let code = tag.split('_').next().unwrap_or_default();
        self.tags.iter().any(|t| t == tag) || self.codes.iter().any(|c| c == code)
    }
}

/// A language code from a path or an option as a tag; the error names the place.
pub fn tagged(code: &str, place: &str) -> Result<String> {
    tag::tag(code).map(|t| t.to_string()).map_err(|e| e.within(place))
}

/// A language code that a file name has as a tag.
pub fn in_name(code: &str, name: &str) -> Result<String> {
    tagged(code, name).map_err(|e| {
        let near = e.hint().map(|hint| format!("{hint} ")).unwrap_or_default();
        e.hint_with(format!("{near}(`exclude` leaves files out)"))
    })
}

fn single(spec: &SourceSpec, into: Into, format: &'static dyn Source, file: Found) -> Result<Unit> {
    let captured = |name: &str| file.captures.get(name).cloned();
    let language = |name: &str, option: Option<&String>| -> Result<Option<String>> {
        match (captured(name), option) {
            (Some(code), _) => in_name(&code, &file.name).map(Some),
            (None, Some(code)) => tagged(code, "option").map(Some),
            (None, None) => Ok(None),
        }
    };
    let single = language("lang", spec.lang.as_ref())?;
    let (lang, second_lang) = match into {
        Into::Documents | Into::Labelled => (single, None),
        Into::Pairs => {
            let src = language("src", spec.langs.first())?;
            let tgt = language("tgt", spec.langs.get(1))?;
            (src, tgt.or(single))
        }
    };
    Ok(Unit {
        format,
        spec: spec.clone(),
        into,
        lang,
        second_lang,
        label: captured("label").or_else(|| spec.label.clone()),
        split: captured("split").or_else(|| spec.split.clone()),
        aligned: None,
        paths: vec![file.path],
        names: vec![file.name],
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::row::Kept;
    use super::*;

    /// Reads files through a format with options as in the project file.
    pub fn read(format: &'static dyn Source, files: &[&[u8]], options: &str) -> (Kept, Result<()>) {
        let dir = tempfile::tempdir().unwrap();
        let spec: SourceSpec = toml::from_str(&format!("path = 'x'\n{options}")).unwrap();
        let spec = SourceSpec { name: "s".into(), ..spec };
        let names: Vec<String> = (0..files.len()).map(|i| format!("f{i}")).collect();
        let paths: Vec<PathBuf> = names.iter().map(|n| dir.path().join(n)).collect();
        for (path, bytes) in paths.iter().zip(files) {
            std::fs::write(path, bytes).unwrap();
        }
        let found = Found {
            path: paths[0].clone(),
            name: names[0].clone(),
            captures: BTreeMap::new(),
            stems: BTreeMap::new(),
        };
        let unit = match single(&spec, spec.table(), format, found) {
            Ok(unit) => Unit { paths, names, aligned: Some("f".into()), ..unit },
            Err(e) => return (Kept::default(), Err(e)),
        };
        let mut kept = Kept::default();
        let result = format.read(&unit, &AtomicU64::new(0), &mut kept);
        (kept, result)
    }

    #[test]
    fn paths_and_options_give_languages_and_their_mistakes() {
        let dir = tempfile::tempdir().unwrap();
        for lang in ["zh_Hans", "es_AR", "sr_Latn"] {
            std::fs::create_dir_all(dir.path().join(lang)).unwrap();
            std::fs::write(dir.path().join(lang).join("a.jsonl"), "").unwrap();
        }
        let spec = SourceSpec::new("s", "{lang}/a.jsonl");
        let langs: Vec<_> =
            units(&spec, dir.path()).unwrap().into_iter().map(|u| u.lang.unwrap()).collect();
        assert_eq!(langs, ["spa_Latn", "srp_Latn", "cmn_Hans"]);
        std::fs::create_dir_all(dir.path().join("qqq")).unwrap();
        std::fs::write(dir.path().join("qqq/a.jsonl"), "").unwrap();
        let error = units(&spec, dir.path()).err().unwrap().to_string();
        assert!(error.starts_with("source `s`: qqq/a.jsonl: unknown language code `qqq`"));
        let spec = SourceSpec { exclude: vec!["qqq/*".into()], ..spec };
        assert_eq!(units(&spec, dir.path()).unwrap().len(), 3);
    }

    #[test]
    fn a_format_that_cannot_fill_the_table_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("a.txt"), "").unwrap();
        let mut spec = SourceSpec::new("s", "a.txt");
        spec.format = Some("lines".into());
        spec.langs = vec!["en".into(), "de".into()];
        let error = units(&spec, dir.path()).err().unwrap().to_string();
        assert!(error.contains("format `lines` cannot fill `pairs`"), "{error}");
    }
}
