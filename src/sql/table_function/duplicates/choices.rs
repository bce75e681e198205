//! The options of `exact_duplicates` and `near_duplicates`, read and checked.

use super::engine::{Drop, Near, Rule};
use crate::dedup::recipe::{NORMALS, Normal, Recipe, UNITS, Unit, named};
use crate::dedup::signature::CHARACTERS;
use crate::error::{Error, Result};
use crate::sql::table_function::{Args, Options, order};

/// An option with its default and meaning.
type Choice = (&'static str, &'static str);

/// Options of both functions.
pub(in crate::sql::table_function) const WITHIN_LANGUAGE: Choice = (
    "within_language",
    "false; whether rows of different languages (of pairs: pairs of languages) are never duplicates",
);
pub(in crate::sql::table_function) const WITHIN: Choice = (
    "within",
    "none; columns, as 'source' or 'source, split': rows of different values are never duplicates",
);
pub(in crate::sql::table_function) const ORDER: Choice = (
    "order",
    "none; up to four columns of numbers, truth values or times, as 'score desc, n_words desc': the \
     first row by them is kept, rows without a value last; the number of characters decides only \
     between equals",
);
pub(in crate::sql::table_function) const BY: Choice =
    ("by", "'both'; of pairs 'source' or 'target': whether one side alone makes them duplicates");
pub(in crate::sql::table_function) const NORMALIZE: Choice = (
    "normalize",
    "'content': case, width and white space do not count; 'none': all counts; 'letters': only \
     letters do, in lower case; 'folded': accents, case, digits and punctuation do not",
);

/// Sides of a pair that are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    Both,
    Source,
    Target,
}

/// What a call asks for.
#[derive(Debug, Clone)]
pub(super) struct Choices {
    pub rule: Rule,
    pub within_language: bool,
    pub within: Vec<String>,
    /// Columns, each with whether the smallest comes first.
    pub order: Vec<(String, bool)>,
    pub by: By,
    pub tokenizer: Option<String>,
    pub signatures: Option<String>,
    pub previous: Option<String>,
    pub against: Option<String>,
}

impl Choices {
    /// Reads the options of a call, which are among `known`.
    pub fn read(args: &Args<'_>, known: &[&str], near: bool) -> Result<Self> {
        let options = args.options(1, known)?;
        let choose = || -> Result<Self> {
            let text = |key: &str| options.optional_text(key);
            let order = order::parse(&text("order")?.unwrap_or_default())?;
            let against = text("against")?;
            let drop = drop(text("drop")?.as_deref(), against.is_some())?;
            let tokenizer = text("tokenizer")?;
            let near = if near { Some(near_of(&options)?) } else { None };
            let recipe = recipe(&options, tokenizer.is_some(), near.is_some())?;
            let previous = text("previous")?;
            if previous.is_some() && against.is_some() {
                return Err(Error::usage("`previous` and `against` do not go together")
                    .hint_with("put the old rows into the table, or leave `previous` out"));
            }
            let signatures = text("signatures")?;
            if signatures.is_some() && recipe.unit == Unit::Tokens {
                return Err(Error::usage("signatures have no tokens; leave `signatures` out"));
            }
            let by = match text("by")? {
                None => By::Both,
                Some(by) => named(
                    "side",
                    &by,
                    &[("both", By::Both), ("source", By::Source), ("target", By::Target)],
                )?,
            };
            let ascending = order.iter().map(|(_, ascending)| *ascending).collect();
            Ok(Self {
                rule: Rule { recipe, pair: false, near, ascending, against: drop },
                within_language: options.bool("within_language", false)?,
                within: list(text("within")?.as_deref()),
                order,
                by,
                tokenizer,
                signatures,
                previous,
                against,
            })
        };
        choose().map_err(|e| match e.hint() {
            Some(_) => e.within(format!("{}()", args.function.name)),
            None => args.wrong(e),
        })
    }
}

fn near_of(options: &Options) -> Result<Near> {
    let threshold = options.float("threshold", 0.8)?;
    if !(threshold > 0.0 && threshold <= 1.0) {
        return Err(Error::usage("option `threshold` must be above 0 and up to 1"));
    }
    Ok(Near { threshold, verify: options.bool("verify", true)? })
}

fn recipe(options: &Options, tokenizer: bool, near: bool) -> Result<Recipe> {
    let default = Recipe::default();
    let unit = match options.optional_text("unit")? {
        Some(name) => named("unit", &name, UNITS)?,
        None => default.unit,
    };
    if tokenizer != (unit == Unit::Tokens) {
        return Err(Error::usage("`unit: 'tokens'` and `tokenizer: 'NAME'` go together"));
    }
    let normal = match options.optional_text("normalize")? {
        Some(name) => named("normal form", &name, NORMALS)?,
        None if unit == Unit::Tokens => Normal::None,
        None => default.normal,
    };
    let ngram = if unit == Unit::Characters { CHARACTERS } else { default.ngram };
    let (bands, rows) = match (
        options.optional_uint("permutations")?,
        options.optional_uint("bands")?,
        options.optional_uint("rows")?,
    ) {
        (None, bands, rows) => (bands.unwrap_or(default.bands), rows.unwrap_or(default.rows)),
        (Some(all), Some(bands), None) => (bands, all.checked_div(bands).unwrap_or(0)),
        (Some(all), None, rows) => {
            let rows = rows.unwrap_or(default.rows);
            (all.checked_div(rows).unwrap_or(0), rows)
        }
        (Some(_), Some(bands), Some(rows)) => (bands, rows),
    };
    if let Some(all) =
        options.optional_uint("permutations")?.filter(|n| Some(*n) != bands.checked_mul(rows))
    {
        return Err(Error::usage(format!(
            "`permutations` are `bands` x `rows`; {all} is not {bands} x {rows}"
        )));
    }
    let ngram = options.uint("ngram", ngram)?;
    let recipe = Recipe { normal, unit, ngram, bands, rows };
    // Equal content has no need of shingles.
    if near {
        recipe.check()?;
    }
    Ok(recipe)
}

fn drop(name: Option<&str>, against: bool) -> Result<Option<Drop>> {
    match (name, against) {
        (None, false) => Ok(None),
        (Some(_), false) => Err(Error::usage("`drop` needs `against: 'table'`")),
        (name, true) => {
            let all = [("new", Drop::New), ("both", Drop::Both), ("none", Drop::None)];
            named("value of `drop`", name.unwrap_or("new"), &all).map(Some)
        }
    }
}

fn list(text: Option<&str>) -> Vec<String> {
    let parts = text.unwrap_or_default().split(',').map(str::trim).filter(|part| !part.is_empty());
    parts.map(str::to_string).collect()
}
