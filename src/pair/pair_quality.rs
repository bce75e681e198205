//! `pair_quality`: the peers' rules for translation pairs.
//!
//! The rules and their numbers are those of `quality`; here they become a SQL function.

use arrow::datatypes::DataType;

use super::quality::{Pair, profile};
use crate::error::Result;
use crate::function::{Arg, Family, Function, Row, Signature, Type, Value, struct_of};

/// `pair_quality(src, tgt [, src_lang [, tgt_lang [, profile]]])`.
pub const PAIR_QUALITY: Function = Function {
    signature: Signature {
        name: "pair_quality",
        family: Family::Pair,
        args: &[
            Arg::text("src"),
            Arg::text("tgt"),
            Arg::optional("src_lang", Type::Text, "no rule on the script of the source"),
            Arg::optional("tgt_lang", Type::Text, "no rule on the script of the target"),
            Arg::optional("profile", Type::Text, "`opusfilter`"),
        ],
        returns: || {
            struct_of(&[
                ("keep", DataType::Boolean),
                ("reason", DataType::Utf8),
                ("n_words_src", DataType::UInt64),
                ("n_words_tgt", DataType::UInt64),
                ("word_ratio", DataType::Float64),
                ("longest_word_src", DataType::UInt64),
                ("longest_word_tgt", DataType::UInt64),
                ("mean_word_chars_src", DataType::Float64),
                ("mean_word_chars_tgt", DataType::Float64),
                ("has_html_src", DataType::Boolean),
                ("has_html_tgt", DataType::Boolean),
                ("alphabetic_ratio_src", DataType::Float64),
                ("alphabetic_ratio_tgt", DataType::Float64),
                ("alphabetic_words_src", DataType::Float64),
                ("alphabetic_words_tgt", DataType::Float64),
                ("script_ratio_src", DataType::Float64),
                ("script_ratio_tgt", DataType::Float64),
                ("punctuation_score", DataType::Float64),
                ("numeral_similarity", DataType::Float64),
                ("number_overlap", DataType::Float64),
                ("common_substring", DataType::Float64),
                ("copy_similarity", DataType::Float64),
                ("n_repetitions", DataType::UInt64),
            ])
        },
        doc: "The rules of OpusFilter 3.3 ('opusfilter'), OpusCleaner 0.7 ('opuscleaner') or Moses' \
              clean-corpus-n ('moses') for a pair, with their defaults: whether all hold, the first \
              that does not by the peer's name, and every number; null for what a profile does not \
              measure. Words lie between white space in all languages, lengths are in code points.",
        examples: &[
            (
                "pair_quality('Hundurinn sefur.', 'Собака спит.', 'isl_Latn', 'rus_Cyrl')['keep']",
                "true",
            ),
            (
                "pair_quality('Hundurinn sefur.', 'Sobaka spit.', 'isl_Latn', 'rus_Cyrl')['reason']",
                "CharacterScoreFilter",
            ),
            (
                "pair_quality('猫在睡觉', '<i>the cat sleeps', 'zh', 'en')['reason']",
                "LengthRatioFilter",
            ),
            ("pair_quality('قطة', 'cat', 'ar', 'en', 'moses')['word_ratio']", "1.0"),
            (
                "pair_quality('3 बिल्लियाँ', '4 Katzen', 'hi', 'de', 'opuscleaner')['number_overlap']",
                "0.3333333333333333",
            ),
        ],
        version: 2,
    },
    body: call,
};

fn call(args: &[Value<'_>], out: &mut Row<'_>) -> Result<()> {
    let profile = profile(args[4].text())?;
    let (Some(src), Some(tgt)) = (args[0].text(), args[1].text()) else {
        out.null();
        return Ok(());
    };
    let quality = profile(Pair::new([src, tgt], [args[2].text(), args[3].text()]));
    out.bool(quality.reason.is_none());
    out.text(quality.reason);
    quality.n_words.into_iter().for_each(|n| out.uint(n as u64));
    out.float(quality.word_ratio);
    quality.longest_word.into_iter().for_each(|n| out.uint(n as u64));
    [0, 1].into_iter().for_each(|i| out.float(quality.mean_word_chars.map(|means| means[i])));
    [0, 1].into_iter().for_each(|i| out.bool(quality.has_html.map(|tags| tags[i])));
    quality.alphabetic_ratio.into_iter().for_each(|share| out.float(share));
    quality.alphabetic_words.into_iter().for_each(|share| out.float(share));
    quality.script_ratio.into_iter().for_each(|share| out.float(share));
    out.float(quality.punctuation_score);
    out.float(quality.numeral_similarity);
    out.float(quality.number_overlap);
    out.float(quality.common_substring);
    out.float(quality.copy_similarity);
    out.uint(quality.n_repetitions.map(|n| n as u64));
    Ok(())
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array, AsArray};
    use arrow::datatypes::{Float64Type, UInt64Type};

    use super::*;
    use crate::function::Columns;

    #[test]
    fn a_row_has_every_number() {
        let mut columns = Columns::new(&(PAIR_QUALITY.signature.returns)(), 3).unwrap();
        for profile in [Value::Null, Value::Text("opuscleaner"), Value::Text("moses")] {
            let args = [
                Value::Text("Það er 5"),
                Value::Text("вот 5"),
                Value::Text("is"),
                Value::Null,
                profile,
            ];
            columns.row(|row| call(&args, row)).unwrap();
        }
        let column = columns.finish();
        let column = column.as_struct();
        let float = |name: &str| column.column_by_name(name).unwrap().as_primitive::<Float64Type>();
        assert!(float("word_ratio").iter().all(|ratio| ratio == Some(1.5)));
        assert_eq!(float("script_ratio_src").iter().collect::<Vec<_>>(), [Some(1.0), None, None]);
        assert_eq!(float("script_ratio_tgt").null_count(), 3);
        assert_eq!(float("number_overlap").iter().collect::<Vec<_>>(), [None, Some(2.0), None]);
        assert_eq!(float("copy_similarity").null_count(), 2);
        let words = column.column_by_name("n_words_tgt").unwrap().as_primitive::<UInt64Type>();
        assert_eq!(words.values(), &[2, 2, 2]);
    }

    #[test]
    fn an_unknown_profile_is_an_error() {
        let mut columns = Columns::new(&(PAIR_QUALITY.signature.returns)(), 1).unwrap();
        let text = Value::Text("x");
        let args = [text, text, text, text, Value::Text("mosses")];
        let error = columns.row(|row| call(&args, row)).unwrap_err();
        assert_eq!(error.hint(), Some("did you mean `moses`?"));
    }
}
