//! One kernel under every kind of argument, counted.

use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::util::display::array_value_to_string;

use super::super::testing::{cells, table};
use super::*;
use crate::function::{Family, struct_of};
use crate::sql::{Session, SessionOptions};

/// `counting(text [, extra] [, scale])`: the number of characters, and if it is more than three.
struct Counting {
    signature: Signature,
    calls: AtomicUsize,
}

impl Counting {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            signature: Signature {
                name: "counting",
                family: Family::Text,
                args: const {
                    &[
                        Arg::text("text"),
                        Arg::optional("extra", Type::Int, "0"),
                        Arg::optional("scale", Type::Float, "1"),
                    ]
                },
                returns: || struct_of(&[("n", DataType::Float64), ("long", DataType::Boolean)]),
                doc: "",
                examples: &[],
                version: 1,
            },
            calls: AtomicUsize::new(0),
        })
    }
}

impl Kernel for Counting {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn call(&self, args: &[Value<'_>], out: &mut Row<'_>) -> Result<()> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let text = args[0].text().unwrap_or_default();
        if text == "bad" {
            return Err(Error::usage("the text is bad"));
        }
        let n = text.chars().count() as f64 + args[1].float().unwrap_or(0.0);
        out.float(n * args[2].float().unwrap_or(1.0));
        out.bool(n > 3.0);
        Ok(())
    }
}

fn session() -> (Session, Arc<Counting>) {
    let counting = Counting::new();
    let mut session = Session::new(SessionOptions::default()).unwrap();
    session.add_kernel(counting.clone());
    (session, counting)
}

#[test]
fn every_kind_of_string_is_read() {
    let (session, _) = session();
    for ty in ["Utf8", "LargeUtf8", "Utf8View", "Dictionary(Int32, Utf8)"] {
        let sql = format!(
            "SELECT counting(t)['n'] AS n FROM (SELECT arrow_cast(column1, '{ty}') AS t \
             FROM (VALUES ('a'), ('þrír'), (NULL), ('日本'), ('عربي')) OFFSET 1)"
        );
        assert_eq!(cells(&session.query(&sql).unwrap()), ["4.0", "", "2.0", "4.0"], "{ty}");
    }
}

#[test]
fn slices_and_scalars_are_read_at_their_place() {
    let kernel = Counting::new();
    let texts: ArrayRef = Arc::new(StringArray::from(vec![Some("aa"), None, Some("cccc")]));
    let sliced = ColumnarValue::Array(texts.slice(1, 2));
    let extra = ColumnarValue::Scalar(ScalarValue::Int64(Some(10)));
    let column = evaluate(kernel.as_ref(), &[sliced, extra], 2).unwrap();
    assert!(column.is_null(0));
    assert_eq!(array_value_to_string(&column, 1).unwrap(), "{n: 14.0, long: true}");
}

#[test]
fn optional_arguments_may_be_absent_or_null() {
    let (session, _) = session();
    let sql = "SELECT counting('ab')['n'], counting('ab', NULL)['n'], \
               counting('ab', NULL, 2)['n'], counting('ab', 1, 0.5)['n'], \
               counting(NULL)['n'] IS NULL, counting(NULL) IS NULL";
    let batches = session.query(sql).unwrap();
    let row: Vec<String> =
        batches[0].columns().iter().map(|c| array_value_to_string(c, 0).unwrap()).collect();
    assert_eq!(row, ["2.0", "2.0", "4.0", "1.5", "true", "true"]);
}

#[test]
fn constants_are_folded() {
    let (session, counting) = session();
    session.query("SELECT counting('abc')['n'] FROM generate_series(1, 5000)").unwrap();
    // Each mention in the plan may be folded for itself; rows are not counted.
    assert!(counting.calls.load(Ordering::Relaxed) < 10);
}

#[test]
fn a_struct_function_is_evaluated_once_per_row() {
    let dir = tempfile::tempdir().unwrap();
    let ids: Vec<u64> = (0..2000).collect();
    for sql in [
        "SELECT counting(text)['n'] AS n, counting(text)['long'] AS l FROM documents",
        "SELECT c['n'] AS n, c['long'] AS l FROM (SELECT counting(text) AS c FROM documents)",
        "SELECT counting(text)['n'] AS n, counting(text)['long'] AS l FROM documents \
         WHERE counting(text)['n'] > 2",
        "SELECT c['n'] AS n, c['long'] AS l FROM (SELECT counting(text) AS c FROM documents) \
         WHERE c['n'] > 2",
    ] {
        let (mut session, counting) = session();
        session.add_table("documents", table(dir.path(), &[&ids])).unwrap();
        let rows: usize = session.query(sql).unwrap().iter().map(|b| b.num_rows()).sum();
        assert_eq!(rows, 2000, "{sql}");
        assert_eq!(counting.calls.load(Ordering::Relaxed), 2000, "{sql}");
    }
}

#[test]
fn errors_name_the_function_and_how_it_is_called() {
    let (session, _) = session();
    for (sql, message, hint) in [
        ("SELECT counting('bad')", "function `counting`: the text is bad", ""),
        (
            "SELECT counting()",
            "function `counting` takes 1 to 3 arguments, not 0",
            "write `counting(text [, extra] [, scale])`",
        ),
        (
            "SELECT counting(1.5)",
            "function `counting`: argument `text` must be text; it is Float64",
            "write `counting(text [, extra] [, scale])`",
        ),
        (
            "SELECT counting('a', 'b')",
            "function `counting`: argument `extra` must be an integer; it is Utf8",
            "write `counting(text [, extra] [, scale])`",
        ),
        (
            "SELECT uniform(-1, 2)",
            "function `uniform`: argument `id` is -1; expected an unsigned integer",
            "",
        ),
    ] {
        let error = session.query(sql).unwrap_err();
        assert_eq!(error.to_string(), message, "{sql}");
        assert_eq!(error.hint().unwrap_or_default(), hint, "{sql}");
    }
}
