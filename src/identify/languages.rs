//! The languages hexapla knows, with their codes and scripts: two data files, read once.
//!
//! Reading a code that is more than a language is `tag`'s.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::tag::Tag;

/// The languages with codes besides their own, or with a name here.
const LANGUAGES: &str = include_str!("languages.tsv");
/// Scripts, each with codes of further languages.
const MORE_LANGUAGES: &str = include_str!("more_languages.tsv");

/// A language of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Language {
    /// Its tag with the script it is mostly written in.
    pub tag: Tag,
    /// Its ISO 639-1 code, or "".
    pub iso639_1: &'static str,
    /// Its English name, or its code where the table has no name.
    pub name: &'static str,
}

/// The languages hexapla knows, sorted by tag.
pub fn languages() -> &'static [Language] {
    &TABLE.languages
}

/// The language of an ISO 639 code in lower case, the macrolanguage's too.
pub fn by_code(code: &str) -> Option<&'static Language> {
    TABLE.languages.get(*TABLE.by_code.get(code)?)
}

struct Table {
    languages: Vec<Language>,
    /// Rows by every code of the table, in lower case.
    by_code: HashMap<&'static str, usize>,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let mut rows: Vec<(Language, Vec<&str>)> = Vec::new();
    for line in data_lines(LANGUAGES) {
        let mut cells = line.split('\t');
        let mut next = || cells.next().unwrap_or_default();
        let (tag, iso639_1, part2b, of, others, name) =
            (next(), next(), next(), next(), next(), next());
        let Some((code, script)) = tag.split_once('_') else { continue };
        let aliases = [iso639_1, part2b, of].into_iter().chain(others.split(',')).collect();
        rows.push((Language { tag: Tag { code, script }, iso639_1, name }, aliases));
    }
    for (script, codes) in data_lines(MORE_LANGUAGES).filter_map(|l| l.split_once('\t')) {
        for code in codes.split(' ') {
            let language = Language { tag: Tag { code, script }, iso639_1: "", name: code };
            rows.push((language, Vec::new()));
        }
    }
    rows.sort_unstable_by_key(|(language, _)| language.tag);
    let mut table = Table { languages: Vec::with_capacity(rows.len()), by_code: HashMap::new() };
    for (row, (language, aliases)) in rows.into_iter().enumerate() {
        let codes = aliases.into_iter().chain([language.tag.code]).filter(|c| !c.is_empty());
        table.by_code.extend(codes.map(|code| (code, row)));
        table.languages.push(language);
    }
    table
});

fn data_lines(data: &'static str) -> impl Iterator<Item = &'static str> {
    data.lines().filter(|line| !line.starts_with('#'))
}

#[cfg(test)]
mod tests {
    use super::super::script;
    use super::*;
    use crate::identify::tag::find;

    #[test]
    fn every_code_of_the_tables_is_its_own_and_every_tag_a_fixed_point() {
        assert!(data_lines(LANGUAGES).all(|l| l.split('\t').count() == 6));
        let named = data_lines(LANGUAGES).flat_map(|l| l.split('\t').take(5));
        let more = data_lines(MORE_LANGUAGES).flat_map(|l| l.split(['\t', ' ']).skip(1));
        let codes: Vec<&str> = named
            .flat_map(|cell| cell.split(','))
            .map(|code| code.split('_').next().unwrap_or_default())
            .filter(|code| !code.is_empty())
            .chain(more)
            .collect();
        assert_eq!(codes.len(), TABLE.by_code.len(), "a code stands in two rows");
        for language in languages() {
            assert_eq!(find(&language.tag.to_string()), Some(language.tag));
            assert!(script::script_code(language.tag.script).is_some(), "{}", language.tag);
        }
    }

    #[test]
    fn macrolanguages_are_read_as_a_member() {
        assert_eq!(by_code("ara").map(|l| l.name), Some("Modern Standard Arabic"));
        assert_eq!(by_code("quy").map(|l| l.iso639_1), Some("qu"));
        assert_eq!(by_code("niv").map(|l| l.name), Some("niv"));
    }
}
