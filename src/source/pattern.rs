//! Path patterns with placeholders: from `wiki/{lang}wiki-*.jsonl` to files and what they matched.
//!
//! Reads folders, never files.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use glob::MatchOptions;
use regex::Regex;

use super::location::{Location, STDIN};
use crate::error::{Error, Result, nearest};
use crate::store::remote::{self, Entry};

/// The placeholders that a pattern may have.
pub const PLACEHOLDERS: &[&str] = &["lang", "src", "tgt", "name", "split", "label"];

/// A file that a pattern matched.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// Where it is.
    pub location: Location,
    /// Its path relative to the project, with `/` between components.
    pub name: String,
    /// What each placeholder matched.
    pub captures: BTreeMap<String, String>,
    /// The name without what the placeholder of each name matched (the last, when repeated).
    pub stems: BTreeMap<String, String>,
    /// Why it cannot be read, where its archive tells.
    pub fault: Option<String>,
}

const OPTIONS: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    // Hidden files are temporary or somebody else's.
    require_literal_leading_dot: true,
};

/// The files that a pattern matches below a folder, sorted by name. A pattern that is the name of
/// a file matches that file alone; one that is the name of a folder, all files below it.
///
/// Errors on an unknown placeholder, on a pattern that matches nothing, and on a file whose name
/// is not Unicode, as its rows could not be told from another's.
pub fn find(pattern: &str, root: &Path) -> Result<Vec<Found>> {
    if pattern == STDIN {
        return Ok(vec![Found { name: STDIN.into(), ..Found::default() }]);
    }
    if remote::is_url(pattern) {
        return objects(pattern);
    }
    let pattern = &plain(pattern, root);
    let literal = root.join(pattern);
    let alternatives = if pattern.is_empty() {
        // The root itself, written as `.`: nothing may stand before the slash, else it is `/`.
        vec!["**/*".to_string()]
    } else if literal.is_file() {
        vec![escape(pattern)]
    } else if literal.is_dir() {
        vec![format!("{}/**/*", escape(pattern.trim_end_matches('/')))]
    } else {
        braces(pattern)
    };
    let mut found = BTreeMap::new();
    for alternative in &alternatives {
        let parsed = Parsed::new(alternative)?;
        for path in parsed.walk(root)? {
            let name = relative(&path, root)?;
            if let Some((captures, stems)) = parsed.captures(&name) {
                let location = Location::File(path);
                let file = Found { location, name, captures, stems, fault: None };
                found.entry(file.name.clone()).or_insert(file);
            }
        }
    }
    if found.is_empty() {
        return Err(nothing(pattern, root));
    }
    Ok(found.into_values().collect())
}

/// The objects that a URL with placeholders matches, sorted by name. A web server lists nothing:
/// there, a URL is one file.
fn objects(pattern: &str) -> Result<Vec<Found>> {
    let found = |entry: Entry| Found {
        // A signature is no part of a name, and does not stay the same.
        name: remote::shown(&entry.url).into(),
        location: Location::Remote(Arc::new(entry)),
        ..Found::default()
    };
    if let Some(entry) =
        remote::find(pattern).or_else(|e| match pattern.contains(['*', '?', '[', '{']) {
            true => Ok(None),
            false => Err(e),
        })?
    {
        return Ok(vec![found(entry)]);
    }
    let literal = pattern.find(['*', '?', '[', '{']).unwrap_or(pattern.len());
    let folder = pattern[..literal].rfind('/').map_or(literal, |slash| slash + 1);
    let mut all = BTreeMap::new();
    let parsed = braces(pattern).iter().map(|p| Parsed::new(p)).collect::<Result<Vec<_>>>()?;
    let entries =
        if remote::is_http(pattern) { Vec::new() } else { remote::list(&pattern[..folder])? };
    for entry in entries {
        // The URL of a folder is all objects below it.
        let below = literal == pattern.len() && pattern.ends_with('/');
        let matched = parsed.iter().find_map(|p| p.captures(&entry.url));
        if let Some((captures, stems)) = matched.or(below.then(Default::default)) {
            all.insert(entry.url.clone(), Found { captures, stems, ..found(entry) });
        }
    }
    match all.is_empty() {
        true => Err(Error::usage(format!("no object matches `{pattern}`"))),
        false => Ok(all.into_values().collect()),
    }
}

/// A pattern as the names of files are: relative where it is inside the root, without `.`.
fn plain(pattern: &str, root: &Path) -> String {
    let inside = Path::new(pattern).strip_prefix(root).ok().and_then(Path::to_str);
    let pattern = inside.unwrap_or(pattern);
    let components = pattern.split('/').enumerate();
    let kept = components.filter(|(i, c)| (*i == 0 && c.is_empty()) || !matches!(*c, "" | "."));
    kept.map(|(_, c)| c).collect::<Vec<_>>().join("/")
}

/// Whether a file's project-relative name matches a glob, for exclusion.
pub fn matches(pattern: &str, name: &str) -> Result<bool> {
    let bad = |e| Error::usage(format!("pattern `{pattern}`: {e}"));
    // Without a folder, the pattern is about the file name.
    let name = if pattern.contains('/') { name } else { name.rsplit('/').next().unwrap_or(name) };
    for alternative in braces(pattern) {
        if glob::Pattern::new(&alternative).map_err(bad)?.matches_with(name, OPTIONS) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A pattern without braces of alternatives.
struct Parsed {
    glob: String,
    /// Languages have to look like tags (`pt-BR`), which settles where `{src}-{tgt}` divides.
    strict: Regex,
    loose: Regex,
    /// The placeholder of each group; one that is repeated has to match the same text again.
    names: Vec<String>,
}

/// A language tag by its shape: language, then script, region, variants.
const TAG: &str = "([a-z]{2,3}(?:[-_](?:[A-Z][a-z]{3}|[A-Z]{2}|[0-9]{3}))*(?:[-_@][a-z0-9]{5,8})?)";

impl Parsed {
    fn new(pattern: &str) -> Result<Self> {
        let bad = |what: &str| Error::usage(format!("pattern `{pattern}`: {what}"));
        let (mut glob, mut strict, mut loose) = (String::new(), String::new(), String::new());
        let mut names = Vec::new();
        let mut rest = pattern;
        while let Some(c) = rest.chars().next() {
            let both = |text: &str, strict: &mut String, loose: &mut String| {
                strict.push_str(text);
                loose.push_str(text);
            };
            let mut length = c.len_utf8();
            match c {
                '{' => {
                    let end = rest.find('}').ok_or_else(|| bad("`{` without `}`"))?;
                    let name = &rest[1..end];
                    if !PLACEHOLDERS.contains(&name) {
                        let known = PLACEHOLDERS.iter().copied();
                        return Err(Error::unknown("placeholder", name, known)
                            .within(format!("pattern `{pattern}`")));
                    }
                    let language = matches!(name, "lang" | "src" | "tgt");
                    strict.push_str(if language { TAG } else { "([^/]+)" });
                    loose.push_str("([^/]+?)");
                    glob.push('*');
                    names.push(name.to_string());
                    length = end + 1;
                }
                '*' if rest.starts_with("**/") => {
                    both("(?:[^/]+/)*", &mut strict, &mut loose);
                    glob.push_str("**/");
                    length = 3;
                }
                '*' if rest.starts_with("**") => {
                    both(".*", &mut strict, &mut loose);
                    glob.push_str("**");
                    length = 2;
                }
                '*' => {
                    both("[^/]*", &mut strict, &mut loose);
                    glob.push('*');
                }
                '?' => {
                    both("[^/]", &mut strict, &mut loose);
                    glob.push('?');
                }
                '[' => {
                    let end = rest[1..].find(']').ok_or_else(|| bad("`[` without `]`"))? + 1;
                    // `[]]` and `[!]]` are how a bracket itself is matched.
                    let end = match &rest[1..end] {
                        "" | "!" => rest[end + 1..].find(']').map_or(end, |i| end + 1 + i),
                        _ => end,
                    };
                    let class = &rest[1..end];
                    let (not, set) = match class.strip_prefix('!') {
                        Some(set) => ("^", set),
                        None => ("", class),
                    };
                    let set: String = set
                        .chars()
                        .flat_map(|c| {
                            if c == '-' {
                                vec![c]
                            } else {
                                regex::escape(&c.to_string()).chars().collect()
                            }
                        })
                        .collect();
                    both(&format!("[{not}{set}]"), &mut strict, &mut loose);
                    glob.push_str(&rest[..=end]);
                    length = end + 1;
                }
                _ => {
                    both(&regex::escape(&rest[..length]), &mut strict, &mut loose);
                    glob.push(c);
                }
            }
            rest = &rest[length..];
        }
        let regex =
            |text: &str| Regex::new(&format!("(?s)^{text}$")).map_err(|e| bad(&e.to_string()));
        Ok(Self { glob, strict: regex(&strict)?, loose: regex(&loose)?, names })
    }

    /// The files that the glob matches. Walks by itself, as the walk of the crate `glob` passes
    /// over names that are not Unicode, or panics at them.
    fn walk(&self, root: &Path) -> Result<Vec<PathBuf>> {
        let (start, glob) = match self.glob.strip_prefix('/') {
            Some(glob) => (PathBuf::from("/"), glob),
            None => (root.to_path_buf(), self.glob.as_str()),
        };
        let components: Vec<&str> = glob.split('/').collect();
        let mut files = Vec::new();
        descend(&start, &components, &mut files).map_err(|e| e.within(&self.glob))?;
        Ok(files)
    }

    fn captures(&self, name: &str) -> Option<(BTreeMap<String, String>, BTreeMap<String, String>)> {
        [&self.strict, &self.loose].into_iter().find_map(|regex| {
            let groups = regex.captures(name)?;
            let (mut captures, mut stems) = (BTreeMap::new(), BTreeMap::new());
            for (i, placeholder) in self.names.iter().enumerate() {
                let group = groups.get(i + 1)?;
                let text = group.as_str().to_string();
                if captures.get(placeholder).is_some_and(|earlier| *earlier != text) {
                    return None;
                }
                let stem = format!("{}\0{}", &name[..group.start()], &name[group.end()..]);
                captures.insert(placeholder.clone(), text);
                stems.insert(placeholder.clone(), stem);
            }
            Some((captures, stems))
        })
    }
}

/// Adds the files below a folder that match the components of a glob.
fn descend(folder: &Path, components: &[&str], files: &mut Vec<PathBuf>) -> Result<()> {
    let Some((first, rest)) = components.split_first() else { return Ok(()) };
    if !first.contains(['*', '?', '[']) {
        let path = folder.join(first);
        match rest.is_empty() {
            true if path.is_file() => files.push(path),
            false if path.is_dir() => return descend(&path, rest, files),
            _ => {}
        }
        return Ok(());
    }
    let anywhere = *first == "**";
    if anywhere && !rest.is_empty() {
        descend(folder, rest, files)?;
    }
    let pattern = glob::Pattern::new(if anywhere { "*" } else { first })
        .map_err(|e| Error::usage(e.to_string()))?;
    let here = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let mut names = Vec::new();
    for entry in fs::read_dir(here).map_err(|e| Error::io(here, e))? {
        names.push(entry.map_err(|e| Error::io(here, e))?.file_name());
    }
    names.sort();
    for name in names {
        // A name that is not Unicode is found by what can be read of it, and told as an error.
        if !pattern.matches_with(&name.to_string_lossy(), OPTIONS) {
            continue;
        }
        let path = folder.join(&name);
        if anywhere {
            // A link to a folder may lead round in a circle.
            if path.is_dir() && !path.is_symlink() {
                descend(&path, components, files)?;
            } else if rest.is_empty() && path.is_file() {
                files.push(path);
            }
        } else if rest.is_empty() {
            if path.is_file() {
                files.push(path);
            }
        } else if path.is_dir() {
            descend(&path, rest, files)?;
        }
    }
    Ok(())
}

/// A name as a pattern that matches it alone, whatever characters it has.
fn escape(name: &str) -> String {
    glob::Pattern::escape(name).replace('{', "[{]")
}

/// The path of a file relative to the project where it is inside, with `/`.
fn relative(path: &Path, root: &Path) -> Result<String> {
    let inside = path.strip_prefix(root).unwrap_or(path);
    let mut name = String::new();
    for component in inside.components() {
        let Some(text) = component.as_os_str().to_str() else {
            return Err(Error::input(path, "the name is not Unicode").hint_with("rename the file"));
        };
        if !name.is_empty() && !name.ends_with('/') {
            name.push('/');
        }
        name.push_str(text);
    }
    Ok(name)
}

/// A pattern with `{a,b}` written out; placeholders have no comma.
fn braces(pattern: &str) -> Vec<String> {
    let mut from = 0;
    while let Some(open) = pattern[from..].find('{').map(|i| from + i) {
        let Some(close) = pattern[open..].find('}').map(|i| open + i) else { break };
        let inner = &pattern[open + 1..close];
        if inner.contains(',') {
            return inner
                .split(',')
                .flat_map(|choice| {
                    let (before, after) = (&pattern[..open], &pattern[close + 1..]);
                    braces(&format!("{before}{choice}{after}"))
                })
                .collect();
        }
        from = close + 1;
    }
    vec![pattern.to_string()]
}

/// The error for a pattern without files; the hint shows what is there instead.
fn nothing(pattern: &str, root: &Path) -> Error {
    let mut folder = root.to_path_buf();
    let mut wanted = "";
    for component in pattern.split('/') {
        wanted = component;
        let next = folder.join(component);
        if component.contains(['*', '?', '[', '{']) || !next.is_dir() {
            break;
        }
        folder = next;
    }
    let error = Error::usage(format!("no file matches `{pattern}` in `{}`", root.display()));
    let mut names: Vec<String> = fs::read_dir(&folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| !name.starts_with('.'))
        .collect();
    names.sort();
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    let shown = folder.display();
    match (nearest(wanted, &all), all.len()) {
        (Some(near), _) => error.hint_with(format!("`{shown}` has `{near}`")),
        (None, 0) => error.hint_with(format!("`{shown}` is empty or does not exist")),
        (None, n) => {
            let some: Vec<String> = all.iter().take(5).map(|n| format!("`{n}`")).collect();
            let more = if n > 5 { format!(" and {} more", n - 5) } else { String::new() };
            error.hint_with(format!("`{shown}` has {}{more}", some.join(", ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(names: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for name in names {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "x").unwrap();
        }
        dir
    }

    fn found(pattern: &str, dir: &tempfile::TempDir) -> Vec<(String, String)> {
        let show = |f: Found| {
            let captures: Vec<String> =
                f.captures.iter().map(|(k, v)| format!("{k}={v}")).collect();
            (f.name, captures.join(" "))
        };
        find(pattern, dir.path()).unwrap().into_iter().map(show).collect()
    }

    #[test]
    fn a_placeholder_matches_inside_a_component() {
        let dir = tree(&[
            "x/locale/zh_Hans/LC/d.po",
            "x/locale/sr_Latn/LC/d.po",
            "x/y/locale/es_AR/LC/d.po",
            "x/y/locale/.hidden/LC/d.po",
        ]);
        let want = [
            ("x/locale/sr_Latn/LC/d.po", "lang=sr_Latn"),
            ("x/locale/zh_Hans/LC/d.po", "lang=zh_Hans"),
            ("x/y/locale/es_AR/LC/d.po", "lang=es_AR"),
        ];
        let want: Vec<_> = want.map(|(a, b)| (a.to_string(), b.to_string())).into();
        assert_eq!(found("x/**/locale/{lang}/LC/*.po", &dir), want);
    }

    #[test]
    fn tags_settle_where_a_pair_divides() {
        let dir = tree(&["o/b.pt-BR-en.gz", "o/b.en-zh-CN.gz", "o/b.acehnese-english.gz"]);
        let pairs = found("o/{name}.{src}-{tgt}.gz", &dir);
        let pairs: Vec<&str> = pairs.iter().map(|(_, c)| c.as_str()).collect();
        assert_eq!(
            pairs,
            [
                "name=b src=acehnese tgt=english",
                "name=b src=en tgt=zh-CN",
                "name=b src=pt-BR tgt=en"
            ]
        );
    }

    #[test]
    fn names_folders_braces_and_repetition() {
        let dir = tree(&["a[1].txt", "d/b.txt", "d/e/c.txt", "p.de-en.de", "p.de-en.en"]);
        assert_eq!(found("a[1].txt", &dir).len(), 1);
        assert_eq!(found("d", &dir).len(), 2);
        assert_eq!(found("p.de-en.{de,en}", &dir).len(), 2);
        assert_eq!(found("p.{src}-{tgt}.{src}", &dir).len(), 1);
        assert!(matches("*.de", "x/p.de").unwrap() && !matches("y/*.de", "x/p.de").unwrap());
    }

    #[test]
    fn a_pattern_without_files_shows_what_there_is() {
        let dir = tree(&["wiki/is.jsonl", "wiki/sw.jsonl"]);
        let error = find("wiki/*.tsv", dir.path()).unwrap_err();
        assert!(error.to_string().starts_with("no file matches `wiki/*.tsv` in"));
        assert!(error.hint().unwrap().ends_with("has `is.jsonl`, `sw.jsonl`"), "{error:?}");
        let error = find("wikki/*.tsv", dir.path()).unwrap_err();
        assert!(error.hint().unwrap().ends_with("has `wiki`"), "{error:?}");
        let error = find("wiki/{language}.tsv", dir.path()).unwrap_err();
        assert!(error.to_string().contains("unknown placeholder `language`"));
    }

    #[test]
    fn names_are_relative_to_any_root() {
        for root in [".", "./", "src/.."] {
            for pattern in ["schemas/doc*.toml", "./schemas//doc*.toml", "schemas/documents.toml"] {
                let found = find(pattern, Path::new(root)).unwrap();
                assert_eq!(found[0].name, "schemas/documents.toml", "{root} {pattern}");
            }
        }
        let found = find("../schemas/doc*.toml", Path::new("src")).unwrap();
        assert_eq!(found[0].name, "../schemas/documents.toml");
        let dir = tree(&["a/b.txt"]);
        let absolute = dir.path().join("a/*.txt");
        let found = find(absolute.to_str().unwrap(), Path::new("/usr")).unwrap();
        assert_eq!(found[0].name, dir.path().join("a/b.txt").to_str().unwrap());
        let found = find(absolute.to_str().unwrap(), dir.path()).unwrap();
        assert_eq!(found[0].name, "a/b.txt");
    }

    #[test]
    fn a_dot_is_the_root_and_braces_of_a_name_are_its_own() {
        let dir = tree(&["a/b.txt", "{lang} [x].txt"]);
        for pattern in [".", "./", dir.path().to_str().unwrap()] {
            let names: Vec<_> = found(pattern, &dir).into_iter().map(|(name, _)| name).collect();
            assert_eq!(names, ["a/b.txt", "{lang} [x].txt"], "{pattern}");
        }
        assert_eq!(found("{lang} [x].txt", &dir), [("{lang} [x].txt".into(), String::new())]);
    }

    #[cfg(unix)]
    #[test]
    fn a_name_that_is_not_unicode_is_told() {
        use std::os::unix::ffi::OsStrExt;
        let dir = tree(&["a/b.txt"]);
        let name = std::ffi::OsStr::from_bytes(b"c\xff.txt");
        fs::write(dir.path().join("a").join(name), "x").unwrap();
        for pattern in ["a/*.txt", "a", ".", "**/*.txt"] {
            let error = find(pattern, dir.path()).unwrap_err().to_string();
            assert!(error.ends_with("the name is not Unicode"), "{pattern}: {error}");
        }
        assert_eq!(found("a/b*", &dir).len(), 1);
    }
}
