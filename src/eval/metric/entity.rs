//! Tags of words: F1 of named entities as seqeval has it, and accuracy of tags.
//!
//! Tags are IOB2, such as `B-PER I-PER O`. By default an entity may begin with `I-`, as the script
//! conlleval allows; `mode=strict` counts entities that begin with `B-` alone.

use std::collections::BTreeSet;

use super::options::Choice;
use super::{Metric, Needs, Rows, Scale, Scored, Statistics};
use crate::error::{Error, Result};

/// `entity_f1`.
pub const ENTITY_F1: Metric = Metric {
    name: "entity_f1",
    doc: "F1 of named entities, equal to seqeval's",
    needs: Needs::Tags,
    scale: Scale::One,
    lower_is_better: false,
    options: &[
        Choice::one_of(
            "mode",
            "default",
            &["default", "strict"],
            "whether an entity may begin with `I-` (conlleval) or not (IOB2)",
        ),
        Choice::one_of(
            "average",
            "micro",
            &["micro", "macro"],
            "over all entities, or the mean over their types",
        ),
    ],
    score: entities,
};

/// `tag_accuracy`.
pub const TAG_ACCURACY: Metric = Metric {
    name: "tag_accuracy",
    doc: "share of words with the right tag, such as a part of speech",
    options: &[],
    score: |rows| {
        let mut sums = Vec::with_capacity(rows.items.len());
        for (row, (answer, gold)) in tags(rows)?.into_iter().enumerate() {
            same_length(row, &answer, &gold)?;
            let right = answer.iter().zip(&gold).filter(|(a, g)| a == g).count();
            sums.push(vec![right as f64, gold.len() as f64]);
        }
        let share = |sums: &[f64]| if sums[1] > 0.0 { sums[0] / sums[1] } else { 0.0 };
        Ok(Scored {
            statistics: Statistics::dense(2, sums, Box::new(share)),
            signature: "tag_accuracy".into(),
            warnings: Vec::new(),
        })
    },
    ..ENTITY_F1
};

/// A type with its first and last word.
type Entity<'t> = (&'t str, usize, usize);

fn entities(rows: &Rows<'_>) -> Result<Scored> {
    let strict = rows.options.get("mode") == "strict";
    let of = if strict { strictly } else { loosely };
    let all = tags(rows)?;
    let mut found = Vec::with_capacity(all.len());
    let mut types: BTreeSet<&str> = BTreeSet::new();
    for (row, (answer, gold)) in all.iter().enumerate() {
        same_length(row, answer, gold)?;
        for tag in answer.iter().chain(gold) {
            let known =
                tag.starts_with(['B', 'I', 'O']) || (!strict && tag.starts_with(['E', 'S']));
            if !known {
                return Err(Error::usage(format!("row {}: `{tag}` is no tag of IOB2", row + 1))
                    .hint_with("entities are tagged `B-PER I-PER O`; for other tags there is `tag_accuracy`"));
            }
        }
        let pair = (of(answer), of(gold));
        types.extend(pair.0.iter().chain(&pair.1).map(|entity| entity.0));
        found.push(pair);
    }
    let types: Vec<&str> = types.into_iter().collect();
    // Per type: right, answered, expected.
    let rows_of = found.iter().map(|(answer, gold)| {
        let mut cells = Vec::new();
        let at =
            |entity: &Entity<'_>| 3 * types.binary_search(&entity.0).unwrap_or_default() as u32;
        for entity in answer {
            cells.push((at(entity) + 1, 1.0));
            cells.extend(gold.contains(entity).then(|| (at(entity), 1.0)));
        }
        cells.extend(gold.iter().map(|entity| (at(entity) + 2, 1.0)));
        cells
    });
    let f1 = |counts: &[f64]| {
        let below = counts[1] + counts[2];
        if below > 0.0 { 2.0 * counts[0] / below } else { 0.0 }
    };
    let each = rows.options.get("average") == "macro";
    let formula = move |sums: &[f64]| {
        let classes = sums.chunks_exact(3);
        if each {
            // A type that a sample holds neither in answers nor in truth says nothing about it.
            let of: Vec<f64> = classes.filter(|c| c[1] + c[2] > 0.0).map(f1).collect();
            return of.iter().sum::<f64>() / of.len().max(1) as f64;
        }
        let mut total = [0.0; 3];
        classes.for_each(|c| c.iter().zip(&mut total).for_each(|(n, sum)| *sum += n));
        f1(&total)
    };
    let width = 3 * types.len();
    Ok(Scored {
        statistics: Statistics::sparse(width, rows_of.collect::<Vec<_>>(), Box::new(formula)),
        signature: format!(
            "scheme:IOB2|mode:{}|average:{}",
            rows.options.get("mode"),
            rows.options.get("average")
        ),
        warnings: Vec::new(),
    })
}

/// The tags of each row.
fn tags<'a>(rows: &Rows<'a>) -> Result<Vec<(Vec<&'a str>, Vec<&'a str>)>> {
    rows.items
        .iter()
        .map(|item| Ok((item.hypothesis.elements(), item.reference()?.elements())))
        .collect()
}

fn same_length(row: usize, answer: &[&str], gold: &[&str]) -> Result<()> {
    if answer.len() == gold.len() {
        return Ok(());
    }
    let (n, m) = (answer.len(), gold.len());
    Err(Error::usage(format!("row {}: {n} tags where there are {m} words", row + 1)))
}

/// The prefix and the type of a tag; a bare prefix has the type `_`.
fn parts(tag: &str) -> (char, &str) {
    let prefix = tag.chars().next().unwrap_or('O');
    let rest = tag.get(prefix.len_utf8()..).unwrap_or_default();
    let of = rest.split_once('-').map_or(rest, |(_, of)| of);
    (prefix, if of.is_empty() { "_" } else { of })
}

/// Entities that begin with `B` or where the type changes or the outside ends; `E` and `S` are
/// understood as the last and the only word of one.
fn loosely<'t>(tags: &[&'t str]) -> Vec<Entity<'t>> {
    let mut found = Vec::new();
    let (mut before, mut of_before) = ('O', "");
    let mut start = 0;
    for (i, tag) in tags.iter().copied().chain(["O"]).enumerate() {
        let (prefix, of) = parts(tag);
        let inside = before != 'O' && before != '.';
        let ends = matches!(before, 'E' | 'S')
            || (matches!(before, 'B' | 'I') && matches!(prefix, 'B' | 'S' | 'O'))
            || (inside && of_before != of);
        if ends {
            found.push((of_before, start, i - 1));
        }
        let begins = matches!(prefix, 'B' | 'S')
            || (matches!(before, 'E' | 'S' | 'O') && matches!(prefix, 'E' | 'I'))
            || (prefix != 'O' && prefix != '.' && of_before != of);
        if begins {
            start = i;
        }
        (before, of_before) = (prefix, of);
    }
    found
}

/// Entities that begin with `B` and go on with `I` of the same type.
fn strictly<'t>(tags: &[&'t str]) -> Vec<Entity<'t>> {
    let mut found: Vec<Entity<'t>> = Vec::new();
    let mut open = false;
    for (i, tag) in tags.iter().enumerate() {
        let (prefix, _) = parts(tag);
        let of = tag.get(1..).unwrap_or_default().trim_matches('-');
        let of = if of.is_empty() { "_" } else { of };
        match (prefix, found.last_mut()) {
            ('B', _) => {
                found.push((of, i, i));
                open = true;
            }
            ('I', Some(last)) if open && last.0 == of => last.2 = i,
            _ => open = false,
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entity_may_begin_inside_or_not() {
        let tags = ["I-PER", "I-PER", "O", "B-LOC", "I-PER", "B-LOC", "B-LOC", "I-LOC"];
        assert_eq!(
            loosely(&tags),
            [("PER", 0, 1), ("LOC", 3, 3), ("PER", 4, 4), ("LOC", 5, 5), ("LOC", 6, 7)]
        );
        assert_eq!(strictly(&tags), [("LOC", 3, 3), ("LOC", 5, 5), ("LOC", 6, 7)]);
        assert_eq!(strictly(&["B", "I", "O", "B-A", "O", "I-A"]), [("_", 0, 1), ("A", 3, 3)]);
        assert!(loosely(&[]).is_empty() && strictly(&["O"]).is_empty());
    }
}
