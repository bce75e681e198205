//! From what a person says to what is read: units with their format, languages and labels settled.
//!
//! Reads folders and the first bytes of files.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;

use super::charset;
use super::input::Input;
use super::location::{Local, Location};
use super::pattern::{self, Found};
use super::sides::{self, Side};
use super::{Into, SOURCES, Source, SourceSpec, archive, named, recognise};
use crate::error::{Error, Result};
use crate::identify::tag;

/// What is read in one go and numbered in one sequence: a file, or the two files of a pair.
#[derive(Clone)]
pub struct Unit {
    /// Where its files are; of Moses text, the source side and the target side.
    pub locations: Vec<Location>,
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
    /// Why it cannot be read at all, where that is known without opening it.
    pub fault: Option<String>,
    /// The encoding of each file, known once it was opened; `None` for UTF-8.
    pub(super) charsets: Vec<OnceLock<Option<&'static str>>>,
}

impl Unit {
    /// The unit of some files, of which nothing else is known yet.
    pub fn new<'a>(
        spec: &SourceSpec,
        format: &'static dyn Source,
        files: impl IntoIterator<Item = &'a Found>,
    ) -> Self {
        let files: Vec<&Found> = files.into_iter().collect();
        Self {
            locations: files.iter().map(|f| f.location.clone()).collect(),
            names: files.iter().map(|f| f.name.clone()).collect(),
            charsets: files.iter().map(|_| OnceLock::new()).collect(),
            fault: files.iter().find_map(|f| f.fault.clone()),
            into: spec.table(),
            spec: spec.clone(),
            format,
            lang: None,
            second_lang: None,
            label: None,
            split: None,
            aligned: None,
        }
    }

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
        let location = self.location(n)?;
        let charsets = self.format.charsets();
        let asked = self.spec.encoding.as_deref().map(charset::named).transpose()?;
        let input = Input::open(location, charsets, asked, read)?;
        let found = input.charset().map(|charset| charset.name());
        if let Some(known) = self.charsets.get(n) {
            known.get_or_init(|| found);
        }
        Ok(input)
    }

    /// Its first file as one that can be read at any place.
    pub fn local(&self) -> Result<Local> {
        self.location(0)?.local()
    }

    /// The encoding of its text where that is not UTF-8, as far as its files were opened.
    pub fn charset(&self) -> Option<&'static str> {
        self.charsets.iter().find_map(|known| *known.get()?)
    }

    fn location(&self, n: usize) -> Result<&Location> {
        self.locations.get(n).ok_or_else(|| Error::internal("a unit without this file"))
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
        let pattern = sides::placeholder(pattern);
        let files = pattern::find(&pattern, root).map_err(|e| e.within(place()))?;
        let files = archive::expand(files).map_err(|e| e.within(place()))?;
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
        let message = match spec.exclude.is_empty() {
            true => "the archive has no member that is read",
            false => "`exclude` leaves no file",
        };
        return Err(Error::usage(message).within(place()));
    }
    let mut units = Vec::new();
    let mut sides = Vec::new();
    let mut seen: BTreeMap<String, ()> = BTreeMap::new();
    for (pattern, file) in found {
        let format = match format {
            Some(format) => format,
            // Some format has to stand for a file that no format will be asked to read.
            None if file.fault.is_some() => SOURCES[0],
            None => recognise(&file, into).map_err(|e| e.within(place()))?,
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
        if format.sides() && into == Into::Pairs && file.fault.is_none() {
            sides.push(Side { pattern, format, file });
        } else if seen.insert(file.name.clone(), ()).is_none() {
            units.push(single(spec, into, format, file).map_err(|e| e.within(place()))?);
        }
    }
    units.extend(sides::units(spec, sides).map_err(|e| e.within(place()))?);
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

/// The table that the files of a source are made for, where nothing that is said tells it: what
/// the first of its files that is of a known format is.
pub fn natural(spec: &SourceSpec, root: &Path) -> Result<Into> {
    let said = spec.table();
    if said != Into::Documents || spec.into.is_some() || spec.format.is_some() {
        return Ok(said);
    }
    for pattern in spec.path.all() {
        let files = archive::expand(pattern::find(pattern, root)?)?;
        if let Some(into) = files.iter().find_map(super::natural) {
            return Ok(into);
        }
    }
    Ok(said)
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
        lang,
        second_lang,
        label: captured("label").or_else(|| spec.label.clone()),
        split: captured("split").or_else(|| spec.split.clone()),
        ..Unit::new(spec, format, [&file])
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
        let mut found: Vec<Found> = Vec::new();
        for (name, bytes) in names.iter().zip(files) {
            let path = dir.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            found.push(Found {
                location: Location::File(path),
                name: name.clone(),
                captures: BTreeMap::new(),
                stems: BTreeMap::new(),
                fault: None,
            });
        }
        let unit = match single(&spec, spec.table(), format, found[0].clone()) {
            Ok(unit) => Unit {
                lang: unit.lang,
                second_lang: unit.second_lang,
                label: unit.label,
                split: unit.split,
                aligned: Some("f".into()),
                ..Unit::new(&spec, format, &found)
            },
            Err(e) => return (Kept::default(), Err(e)),
        };
        let mut kept = Kept::default();
        let result = format.read(&unit, &AtomicU64::new(0), &mut kept);
        (kept, result)
    }

    /// A file that is cut, flipped in one bit or spliced with its own end, by a number: what a
    /// format must read without a panic.
    pub fn damaged(file: &[u8], n: u64) -> Vec<u8> {
        let mut bytes = file.to_vec();
        let draw = |k: u64, below: usize| (crate::id::keyed(n, k) % below as u64) as usize;
        let (at, to) = (draw(1, bytes.len()), draw(2, bytes.len()));
        match n % 3 {
            0 => bytes.truncate(at),
            1 => bytes[at] ^= 1 << draw(3, 8),
            _ => bytes.splice(at..at, file[to..].iter().copied()).for_each(drop),
        }
        bytes
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
