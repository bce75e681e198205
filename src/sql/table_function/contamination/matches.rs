//! What both have: the n-grams of training texts joined with those of evaluation sets, and the
//! rows that they make, a document, an item and a column of the document at a time.

use super::evals::Evals;
use super::run::{Rule, Space};
use super::scan::{Candidates, Passages};
use crate::dedup::contamination::spans::{Span, longest, merged};
use crate::error::Result;
use crate::store::group::{Groups, Sorted, Sorter};

/// Code points of a match that are shown.
const SHOWN: u64 = 300;

/// `[doc_id, benchmark, eval_id, columns | start, code points | n-grams, hash, passage | language]`.
///
/// A benchmark is its place in the order of the names and then its number, so that these are in
/// the order of the result.
pub(super) type Matches = Sorted<7>;

/// One row of the result.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Match {
    pub doc_id: u64,
    /// The place of the document's column among those that were read.
    pub column: u16,
    pub benchmark: u16,
    pub eval_id: u64,
    pub eval_column: u16,
    pub eval_lang: u16,
    /// The document's language, empty when it has none.
    pub lang: String,
    /// Distinct n-grams of the item, and how many of them the document has.
    pub grams: u64,
    pub matched: u64,
    /// Where they stand, in code points from 0.
    pub spans: Vec<Span>,
    pub longest: Span,
    /// The beginning of the longest.
    pub text: String,
}

/// Joins what the filter let through with what it was made of, n-gram by n-gram.
pub(super) fn join(candidates: &Candidates, evals: &Evals, space: &Space) -> Result<Matches> {
    let mut matches = Sorter::new(&space.dir, space.memory);
    let ranks = evals.benchmarks.ranks();
    let mut items = Items { groups: evals.grams.groups(1)?, group: Vec::new() };
    for candidate in candidates.iter()? {
        let [hash, about, doc, place, passage] = candidate?;
        for [_, check, of, eval_id, _] in items.with(hash)? {
            if check >> 32 != about >> 32 {
                continue;
            }
            let (benchmark, lang, eval_column) = (of >> 32, of >> 16 & 0xffff, of & 0xffff);
            let (start, length) = (place >> 32, place & 0xffff_ffff);
            matches.push([
                doc,
                u64::from(ranks[benchmark as usize]) << 16 | benchmark,
                *eval_id,
                (eval_column << 8 | about & 0xff) << 32 | start,
                length << 32 | check & 0xffff_ffff,
                hash,
                passage << 16 | lang,
            ])?;
        }
    }
    matches.finish()
}

/// The items of each n-gram, for hashes in ascending order.
struct Items<'a> {
    groups: Groups<'a, 5>,
    group: Vec<[u64; 5]>,
}

impl Items<'_> {
    fn with(&mut self, hash: u64) -> Result<&[[u64; 5]]> {
        while self.group.first().is_none_or(|first| first[0] < hash) {
            match self.groups.next() {
                Some(group) => self.group = group?,
                None => return Ok(&[]),
            }
        }
        Ok(if self.group[0][0] == hash { &self.group } else { &[] })
    }
}

/// Hands the rows of the result to `each`, in their order.
pub(super) fn rows(
    matches: &Matches,
    passages: &Passages,
    rule: &Rule,
    mut each: impl FnMut(Match) -> Result<()>,
) -> Result<()> {
    let mut hits: Vec<[u64; 7]> = Vec::new();
    let key = |hit: &[u64; 7]| (hit[0], hit[1], hit[2], hit[3] >> 32);
    for hit in matches.iter()? {
        let hit = hit?;
        if hits.first().is_some_and(|first| key(first) != key(&hit)) {
            if let Some(row) = row(&hits, passages, rule)? {
                each(row)?;
            }
            hits.clear();
        }
        hits.push(hit);
    }
    match row(&hits, passages, rule)? {
        Some(row) => each(row),
        None => Ok(()),
    }
}

/// The row of the n-grams that a column of a document shares with an item; none below the threshold.
fn row(hits: &[[u64; 7]], passages: &Passages, rule: &Rule) -> Result<Option<Match>> {
    let Some(&[doc_id, benchmark, eval_id, columns, grams, _, passage]) = hits.first() else {
        return Ok(None);
    };
    let mut hashes: Vec<u64> = hits.iter().map(|hit| hit[5]).collect();
    hashes.sort_unstable();
    hashes.dedup();
    let (grams, matched) = (grams & 0xffff_ffff, hashes.len() as u64);
    if (matched as f64) < rule.threshold * grams as f64 {
        return Ok(None);
    }
    let start = |hit: &[u64; 7]| hit[3] & 0xffff_ffff;
    let spans =
        merged(hits.iter().map(|hit| Span { start: start(hit), end: start(hit) + (hit[4] >> 32) }));
    let Some(longest) = longest(&spans) else { return Ok(None) };
    // All n-grams of a span were let through, so it lies in one passage: that of its first.
    let first = hits.iter().find(|hit| start(hit) == longest.start);
    let (lang, text) = passages.cut(first.map_or(passage, |hit| hit[6]) >> 16, longest, SHOWN)?;
    Ok(Some(Match {
        doc_id,
        column: (columns >> 32 & 0xff) as u16,
        benchmark: (benchmark & 0xffff) as u16,
        eval_id,
        eval_column: (columns >> 40) as u16,
        eval_lang: (passage & 0xffff) as u16,
        lang,
        grams,
        matched,
        spans,
        longest,
        text,
    }))
}
