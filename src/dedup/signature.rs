//! `duplicate_signature`: all that `near_duplicates` needs of a text to find what may be near it.
//!
//! A signature is a few hundred bytes however long the text is, so that a table of signatures
//! stands in for the texts when new rows are compared with old ones.

use arrow::datatypes::DataType;

use super::recipe::{NORMALS, Normal, Recipe, UNITS, Unit, named};
use crate::error::{Error, Result};
use crate::function::{Arg, Family, Function, Row, Signature, Type, Value, list_of, struct_of};

/// `duplicate_signature(text [, second, ngram, bands, rows, unit, normalize])`.
pub const DUPLICATE_SIGNATURE: Function = Function {
    signature: Signature {
        name: "duplicate_signature",
        family: Family::Identity,
        args: &[
            Arg::text("text"),
            Arg::optional("second", Type::Text, "the signature is of one text"),
            Arg::optional("ngram", Type::UInt, "5 words, or 24 characters"),
            Arg::optional("bands", Type::UInt, "14"),
            Arg::optional("rows", Type::UInt, "8"),
            Arg::optional("unit", Type::Text, "'words'; or 'characters'"),
            Arg::optional("normalize", Type::Text, "'content'; as the option of `near_duplicates`"),
        ],
        returns: || {
            struct_of(&[
                ("content_high", DataType::UInt64),
                ("content_low", DataType::UInt64),
                ("chars", DataType::UInt64),
                ("size", DataType::UInt64),
                ("set", DataType::UInt64),
                ("bands", list_of(DataType::UInt64)),
                ("form", DataType::Utf8),
            ])
        },
        doc: "What `near_duplicates` needs of a text, or of both sides of a pair: the two halves of \
              its content key, its characters, how many distinct shingles it has and a hash of \
              them, the keys of the MinHash bands (none for a text of fewer words than a shingle), \
              and in `form` how it was made.",
        examples: &[
            ("cardinality(duplicate_signature('Það var einu sinni gömul kona')['bands'])", "14"),
            (
                "duplicate_signature('ÉTÉ 2024 à la mer')['set'] = duplicate_signature('été 1999, a la mer')['set']",
                "true",
            ),
            ("duplicate_signature('今天我们去北京看博物馆')['size'] > 0", "true"),
            (
                "duplicate_signature('привет', 'hello', 3)['form']",
                "3 of words in pairs, 14 x 8, normalize content",
            ),
        ],
        version: 1,
    },
    body: call,
};

/// Characters in a shingle (NeMo Curator's).
pub const CHARACTERS: u64 = 24;

fn call(args: &[Value<'_>], out: &mut Row<'_>) -> Result<()> {
    let Some(text) = args[0].text() else {
        out.null();
        return Ok(());
    };
    let recipe = recipe(args)?;
    let content = recipe.content(text, args[1].text());
    let signed = recipe.sign(&recipe.shingles(&content, &[]), &recipe.permutations());
    out.uint((content.key >> 64) as u64);
    out.uint(content.key as u64);
    out.uint(content.chars);
    out.uint(signed.size);
    out.uint(signed.set);
    out.uints(&signed.bands);
    out.text(recipe.name(args[1].text().is_some()).as_str());
    Ok(())
}

fn recipe(args: &[Value<'_>]) -> Result<Recipe> {
    let unit = args[5].text().map_or(Ok(Unit::Words), |name| named("unit", name, UNITS))?;
    if unit == Unit::Tokens {
        return Err(Error::usage("duplicate_signature(): signatures have no tokens")
            .hint_with("near_duplicates() with `unit: 'tokens'` reads the texts"));
    }
    let normal =
        args[6].text().map_or(Ok(Normal::Content), |n| named("normal form", n, NORMALS))?;
    let default = Recipe::default();
    let words = if unit == Unit::Words { default.ngram } else { CHARACTERS };
    let recipe = Recipe {
        normal,
        unit,
        ngram: args[2].uint().unwrap_or(words),
        bands: args[3].uint().unwrap_or(default.bands),
        rows: args[4].uint().unwrap_or(default.rows),
    };
    recipe.check().map_err(|e| e.within("duplicate_signature()"))?;
    Ok(recipe)
}
