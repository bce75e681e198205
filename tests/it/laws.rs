//! Laws over the registries: what every function and every built-in plan must hold to.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::{DataType, Schema};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use hexapla::error::Result;
use hexapla::function::{Arg, Family, Kernel, Row, Signature, Value};
use hexapla::schema;
use hexapla::sql::functions;
use hexapla::sql::recipe::{self, Query};
use hexapla::sql::{Session, SessionOptions};
use hexapla::store::manifest::Manifest;
use hexapla::store::part::PartWriter;
use hexapla::store::table::Table;

#[test]
fn every_documented_example_is_true() {
    let session = Session::new(SessionOptions::default()).unwrap();
    let mut wrong = Vec::new();
    for signature in functions::all().map(|f| &f.signature) {
        assert!(signature.examples.len() >= 2, "{} has fewer than two examples", signature.name);
        for (sql, expected) in signature.examples {
            let found = session.query(&format!("SELECT {sql} AS value")).map(|batches| {
                let options = FormatOptions::default().with_null("null");
                let column = batches[0].column(0);
                ArrayFormatter::try_new(column.as_ref(), &options).unwrap().value(0).to_string()
            });
            match found {
                Ok(found) if found == *expected => {}
                Ok(found) => wrong.push(format!("{sql} is {found}, documented as {expected}")),
                Err(error) => wrong.push(format!("{sql}: {error}")),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn names_are_unique_and_documented() {
    let mut names = BTreeSet::new();
    for signature in functions::all().map(|f| &f.signature) {
        assert!(names.insert(signature.name), "two functions are called {}", signature.name);
        assert!(signature.doc.ends_with('.'), "{}: a sentence ends with a stop", signature.name);
    }
}

/// Columns that hold whole texts.
const WIDE: &[&str] = &["text", "text_pair", "src", "tgt", "meta"];

/// Stands for a project's tokenizers.
struct TokenCount(Signature);

impl Kernel for TokenCount {
    fn signature(&self) -> &Signature {
        &self.0
    }

    fn call(&self, args: &[Value<'_>], out: &mut Row<'_>) -> Result<()> {
        out.int(args[0].text().map(|t| t.len() as i64));
        Ok(())
    }
}

/// Adds an empty table.
fn add_empty(session: &mut Session, dir: &Path, name: &str, schema: &Schema) {
    let dir = dir.join(name);
    let part = PartWriter::create(&dir, "", name, schema).unwrap().finish().unwrap();
    let manifest = Manifest { parts: vec![part], ..Manifest::default() };
    session.add_table(name, Table { dir, manifest }).unwrap();
}

/// Hands every built-in query to `each`, in a session with an empty table for every schema; those
/// that queries make have the columns that the query gives.
fn each_built_in(mut each: impl FnMut(&Session, &Query, &str)) {
    let dir = tempfile::tempdir().unwrap();
    let mut session = Session::new(SessionOptions::default()).unwrap();
    for table in schema::tables() {
        add_empty(&mut session, dir.path(), &table.name, &table.arrow());
    }
    let plan = schema::table("mix").unwrap().arrow();
    add_empty(&mut session, dir.path(), "plan", &plan);
    // What a mixture makes of `sized` for its selection.
    let candidates = "SELECT doc_id, kind, lang, source AS part, tokens, tokens AS size FROM sized";
    session.add_view("candidates", candidates).unwrap();
    session.add_kernel(Arc::new(TokenCount(Signature {
        name: "token_count",
        family: Family::Tokens,
        args: const { &[Arg::text("text"), Arg::text("tokenizer")] },
        returns: || DataType::Int64,
        doc: "Bytes.",
        examples: &[],
        version: 1,
    })));
    for query in recipe::resolve(&[]).unwrap() {
        let params = query.params.iter().map(|p| (p.name.clone(), p.default.clone())).collect();
        let sql = recipe::bind(&query.sql, &params, 17).unwrap();
        // The runner's sessions have one partition; an empty table has the plan of a full one.
        each(&session.serial([]).unwrap(), &query, &sql);
        let made = session.schema(&sql).unwrap();
        add_empty(&mut session, dir.path(), &query.name, &made);
    }
}

#[test]
fn no_built_in_plan_holds_texts() {
    each_built_in(|session, query, sql| {
        let plan = session.plan_with_columns(sql).unwrap();
        let lines: Vec<&str> = plan.lines().collect();
        for (i, line) in lines.iter().enumerate() {
            let operator = line.trim_start().split([':', ' ']).next().unwrap_or_default();
            // What an operator holds: of a hash join the side it builds, of others their input.
            let held = match operator {
                "HashJoinExec" | "SortExec" | "AggregateExec" | "WindowAggExec"
                | "CrossJoinExec" | "NestedLoopJoinExec" => lines.get(i + 1),
                _ => None,
            };
            let columns = held.and_then(|l| l.split_once("schema=[")).map_or("", |(_, c)| c);
            for column in columns.split(", ").filter_map(|c| c.split(':').next()) {
                assert!(!WIDE.contains(&column), "{}: {line} holds `{column}`\n{plan}", query.name);
            }
        }
        if sql.contains("JOIN documents") || sql.contains("JOIN pairs") {
            assert!(plan.contains("SortMergeJoinExec"), "{}\n{plan}", query.name);
        }
    });
}

#[test]
fn built_in_queries_make_the_tables_of_their_schemas() {
    let mut wrong = Vec::new();
    each_built_in(|session, query, sql| {
        let found = session.schema(sql).unwrap();
        let checked = schema::table(&query.name).map(|table| table.check(&found));
        wrong.extend(checked.and_then(Result::err).map(|e| e.to_string()));
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
