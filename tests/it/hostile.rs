//! A law over all functions: hostile text gives a value, never a panic, a number that is none, or
//! hours of work; and the value is that of the row alone.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray, UInt64Array};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Float32Type, Float64Type};
use arrow::util::pretty::pretty_format_batches;
use hexapla::function::{Signature, Type};
use hexapla::sql::functions;
use hexapla::sql::{Session, SessionOptions};
use hexapla::store::manifest::Manifest;
use hexapla::store::part::PartWriter;
use hexapla::store::table::Table;

/// Texts that break tools: by being empty, one code point, of no script, badly formed, or long.
fn texts() -> Vec<String> {
    let mut texts: Vec<String> = [
        "",
        " ",
        "\0",
        "\n\n\n",
        "\r\n\t\u{1c}\u{85}\u{a0}\u{2028}\u{3000}",
        "a",
        "中",
        "ก",
        "🏳️‍🌈",
        "\u{10ffff}",
        "\u{378}\u{e000}\u{fdd0}",
        "\u{feff}",
        "\u{200d}\u{200d}",
        "\u{200e}\u{200f}\u{202e}אבג\u{202c}",
        "\u{300}\u{301}\u{302}",
        "نص\u{200f} عربي\u{202b} 12%\u{202c}؟",
        "क्‍ष\u{200c}",
        "ﬁ ㎏ Å İ ẞ ς",
        "<p>&#xD800;&amp;amp;</p><!-- >",
        "Ã¢â‚¬Å“ â€™",
        "{{{{[[[[''''''<ref>{|\n|}",
        "https://[::1]:99999/%00%GG?\u{202e}",
        "0 -0 1e999 NaN ٣٫١ Ⅷ",
        "\\ \" ' ; -- $1 %s",
    ]
    .map(String::from)
    .to_vec();
    // Lone surrogates stand in bytes, never in text: what reading makes of them.
    texts.push(String::from_utf8_lossy(b"\xed\xa0\x80 \xed\xbf\xbf \xc0\x80 \xff").into_owned());
    texts
}

/// One line of ten million bytes and more, of different kinds.
fn long() -> Vec<String> {
    let ten = 10 << 20;
    let of = |unit: &str| unit.repeat(ten / unit.len() + 1);
    vec![of("a"), of("Það var, "), of("語"), of("a\u{301}"), of("<a "), of("\u{200d}")]
}

/// A session with tables `hostile` (`t`, and `u`, the same the other way round) in batches of one
/// size, and `long`.
fn session(dir: &Path) -> Session {
    let mut session = Session::new(SessionOptions::default()).unwrap();
    let add = |session: &mut Session, name: &str, texts: Vec<String>| {
        let ids: ArrayRef = Arc::new(UInt64Array::from_iter_values(0..texts.len() as u64));
        let turned: Vec<&String> = texts.iter().rev().collect();
        let turned: ArrayRef = Arc::new(StringArray::from_iter_values(turned));
        let texts: ArrayRef = Arc::new(StringArray::from_iter_values(&texts));
        let columns = [("doc_id", ids), ("t", texts), ("u", turned)];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let mut writer = PartWriter::create(dir, "", name, &batch.schema()).unwrap();
        writer.write(&batch).unwrap();
        let manifest = Manifest { parts: vec![writer.finish().unwrap()], ..Manifest::default() };
        session.add_table(name, Table { dir: dir.into(), manifest }).unwrap();
    };
    add(&mut session, "hostile", texts());
    add(&mut session, "long", long());
    session
}

/// A call over the columns of a table: the last required arguments of a function that are no free
/// text, such as the name of a normal form, are given; optional ones are left out.
fn call(signature: &Signature) -> String {
    let mut texts = ["t", "u"].iter().cycle();
    let mut args = Vec::new();
    for arg in signature.args.iter().filter(|arg| arg.default.is_none()) {
        args.push(match (signature.name, arg.name, arg.ty) {
            ("normalize_text", "form", _) => "'nfkc'".into(),
            (_, _, Type::Text) => (*texts.next().unwrap()).to_string(),
            (_, _, Type::Bool) => "true".into(),
            (_, _, Type::Float) => "0.5".into(),
            (_, _, Type::Int) => "-9223372036854775807".into(),
            (_, _, Type::UInt) => "doc_id".into(),
            (_, _, Type::UIntList) => "minhash(t)".into(),
        });
    }
    format!("{}({})", signature.name, args.join(", "))
}

/// Errors unless every floating-point number in an array is one.
fn finite(array: &ArrayRef) -> Result<(), String> {
    let wrong = match array.data_type() {
        DataType::Float64 => array.as_primitive::<Float64Type>().iter().flatten().any(f64::is_nan),
        DataType::Float32 => array.as_primitive::<Float32Type>().iter().flatten().any(f32::is_nan),
        DataType::Struct(_) => {
            for column in array.as_struct().columns() {
                finite(column)?;
            }
            false
        }
        DataType::List(_) => return finite(array.as_list::<i32>().values()),
        _ => false,
    };
    if wrong { Err("not a number".into()) } else { Ok(()) }
}

#[test]
fn every_function_bears_hostile_text() {
    let dir = tempfile::tempdir().unwrap();
    let session = session(dir.path());
    let count = session.query("SELECT * FROM hostile").unwrap()[0].num_rows();
    let mut wrong = String::new();
    for signature in functions::all().map(|f| &f.signature) {
        let call = call(signature);
        let rows = |sql: &str| {
            let batches = session.query(sql)?;
            Ok(concat_batches(&batches[0].schema(), &batches).unwrap())
        };
        let all: hexapla::error::Result<_> =
            rows(&format!("SELECT {call} AS value FROM hostile ORDER BY doc_id"));
        let all = match all {
            Ok(all) => all,
            Err(error) => {
                writeln!(wrong, "{call}: {error}").unwrap();
                continue;
            }
        };
        if let Err(why) = finite(all.column(0)) {
            writeln!(wrong, "{call}: {why}").unwrap();
        }
        // A row's value is its own, whatever stands beside it.
        for id in (0..count).step_by(5) {
            let one = rows(&format!("SELECT {call} AS value FROM hostile WHERE doc_id = {id}"));
            let shown =
                |batch: &RecordBatch| pretty_format_batches(std::slice::from_ref(batch)).unwrap();
            let (one, same) = (shown(&one.unwrap()), shown(&all.slice(id, 1)));
            if one.to_string() != same.to_string() {
                writeln!(wrong, "{call}: row {id} is\n{one}\nby itself and\n{same}").unwrap();
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn every_function_bears_a_line_of_ten_megabytes() {
    let dir = tempfile::tempdir().unwrap();
    let session = session(dir.path());
    for signature in functions::all().map(|f| &f.signature) {
        let call = call(signature);
        let rows = session.query(&format!("SELECT {call} AS value FROM long")).unwrap();
        assert_eq!(rows.iter().map(RecordBatch::num_rows).sum::<usize>(), long().len(), "{call}");
    }
}
