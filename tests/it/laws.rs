//! Laws over the registries: what every function and every built-in plan must hold to.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::DataType;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use hexapla::error::Result;
use hexapla::function::{Arg, Family, Kernel, Row, Signature, Value};
use hexapla::schema::{self, TableSchema};
use hexapla::sql::{Session, SessionOptions};
use hexapla::sql::{functions, recipe};
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
        out.uint(args[0].text().map(|t| t.len() as u64));
        Ok(())
    }
}

/// A session with an empty table for every schema, and what else the built-in queries read.
fn empty_project(dir: &Path) -> Session {
    let mut session = Session::new(SessionOptions::default()).unwrap();
    let mut add = |name: &str, schema: &TableSchema| {
        let dir = dir.join(name);
        let part = PartWriter::create(&dir, "", name, &schema.arrow()).unwrap().finish().unwrap();
        let manifest = Manifest { parts: vec![part], ..Manifest::default() };
        manifest.commit(&dir).unwrap();
        session.add_table(name, Table { dir, manifest }).unwrap();
    };
    for table in schema::tables() {
        add(&table.name, table);
    }
    add("plan", schema::table("mix").unwrap());
    session.add_kernel(Arc::new(TokenCount(Signature {
        name: "token_count",
        family: Family::Tokens,
        args: const { &[Arg::text("text"), Arg::text("tokenizer")] },
        returns: || DataType::UInt64,
        doc: "Bytes.",
        examples: &[],
        version: 1,
    })));
    session
}

#[test]
fn no_built_in_plan_holds_texts() {
    let dir = tempfile::tempdir().unwrap();
    // The runner's sessions have one partition; an empty table has the plan of a full one.
    let session = empty_project(dir.path()).serial([]).unwrap();
    for query in recipe::resolve(&[]).unwrap() {
        let params = query.params.iter().map(|p| (p.name.clone(), p.default.clone())).collect();
        let sql = recipe::bind(&query.sql, &params, 17).unwrap();
        let plan = session.plan_with_columns(&sql).unwrap();
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
    }
}

#[test]
fn built_in_queries_make_the_tables_of_their_schemas() {
    let dir = tempfile::tempdir().unwrap();
    let session = empty_project(dir.path());
    for query in recipe::resolve(&[]).unwrap() {
        let params = query.params.iter().map(|p| (p.name.clone(), p.default.clone())).collect();
        let sql = recipe::bind(&query.sql, &params, 17).unwrap();
        let found = session.schema(&sql).unwrap();
        let table = schema::table(&query.name).unwrap();
        table.check(&found).unwrap_or_else(|e| panic!("{e}"));
    }
}
