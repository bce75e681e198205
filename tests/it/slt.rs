//! The behaviour of SQL as files: every `tests/slt/*.slt` over the same small tables.
//!
//! `UPDATE_EXPECT=1 cargo test slt` writes what is found into the files.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray, UInt64Array};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use hexapla::error::Error;
use hexapla::sql::{Session, SessionOptions};
use hexapla::store::manifest::Manifest;
use hexapla::store::part::PartWriter;
use hexapla::store::table::Table;
use sqllogictest::{
    DB, DBOutput, DefaultColumnType, Runner, default_column_validator, default_normalizer,
    default_validator,
};

/// `doc_id, text, lang, source` in four scripts, with duplicates and gaps.
const ROWS: &[(u64, &str, Option<&str>, &str)] = &[
    (1, "Það er gott veður í dag.", Some("isl_Latn"), "wiki"),
    (2, "Habari ya asubuhi, rafiki yangu.", Some("swh_Latn"), "wiki"),
    (5, "今天天气很好。", Some("cmn_Hans"), "cc"),
    (6, "صباح الخير يا صديقي.", Some("arb_Arab"), "cc"),
    (8, "Það er gott veður í dag.", Some("isl_Latn"), "cc"),
    (9, "", None, "cc"),
];

struct Database {
    session: Session,
    _dir: tempfile::TempDir,
}

#[derive(Debug)]
struct Failure(Error);

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        self.0.hint().map_or(Ok(()), |hint| write!(f, " hint: {hint}"))
    }
}

impl std::error::Error for Failure {}

impl Database {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut session = Session::new(SessionOptions::default()).unwrap();
        session.add_table("documents", documents(dir.path())).unwrap();
        // One partition: the order of rows is the tables' own.
        Self { session: session.serial([]).unwrap(), _dir: dir }
    }
}

/// Two parts, each of three rows.
fn documents(dir: &Path) -> Table {
    let schema = Arc::new(Schema::new(vec![
        Field::new("doc_id", DataType::UInt64, false),
        Field::new("text", DataType::Utf8, false),
        Field::new("lang", DataType::Utf8, true),
        Field::new("source", DataType::Utf8, false),
    ]));
    let mut manifest = Manifest { node: "documents".into(), ..Manifest::default() };
    for (n, rows) in ROWS.chunks(3).enumerate() {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(rows.iter().map(|r| Some(r.0)).collect::<UInt64Array>()),
            Arc::new(rows.iter().map(|r| Some(r.1)).collect::<StringArray>()),
            Arc::new(rows.iter().map(|r| r.2).collect::<StringArray>()),
            Arc::new(rows.iter().map(|r| Some(r.3)).collect::<StringArray>()),
        ];
        let mut writer = PartWriter::create(dir, "", &format!("part {n}"), &schema).unwrap();
        writer.write(&RecordBatch::try_new(schema.clone(), columns).unwrap()).unwrap();
        manifest.parts.push(writer.finish().unwrap());
    }
    manifest.rows_out = ROWS.len() as u64;
    manifest.dropped.insert("empty".into(), 2);
    manifest.commit(dir).unwrap();
    Table::open(dir).unwrap()
}

impl DB for Database {
    type Error = Failure;
    type ColumnType = DefaultColumnType;

    fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, Failure> {
        let batches = self.session.query(sql).map_err(Failure)?;
        let options = FormatOptions::default().with_null("NULL");
        let types = batches[0]
            .schema()
            .fields()
            .iter()
            .map(|f| match f.data_type() {
                ty if ty.is_integer() => DefaultColumnType::Integer,
                ty if ty.is_floating() => DefaultColumnType::FloatingPoint,
                ty if ty.is_string() => DefaultColumnType::Text,
                _ => DefaultColumnType::Any,
            })
            .collect();
        let mut rows = Vec::new();
        for batch in &batches {
            let columns: Vec<ArrayFormatter<'_>> = batch
                .columns()
                .iter()
                .map(|c| ArrayFormatter::try_new(c.as_ref(), &options).unwrap())
                .collect();
            for i in 0..batch.num_rows() {
                let cell = |c: &ArrayFormatter<'_>| match c.value(i).to_string() {
                    empty if empty.is_empty() => "(empty)".to_string(),
                    text => text.replace('\n', "\\n"),
                };
                rows.push(columns.iter().map(cell).collect());
            }
        }
        Ok(DBOutput::Rows { types, rows })
    }
}

#[test]
fn slt_files_hold() {
    let folder = Path::new(".").join("tests/slt");
    let mut files: Vec<PathBuf> =
        fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|f| f.extension().is_some_and(|e| e == "slt"));
    files.sort();
    assert!(!files.is_empty());
    for file in files {
        let mut runner = Runner::new(|| async { Ok(Database::new()) });
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            let update = runner.update_test_file(
                &file,
                "\t",
                default_validator,
                default_normalizer,
                default_column_validator,
            );
            futures::executor::block_on(update).unwrap();
        } else if let Err(error) = runner.run_file(&file) {
            panic!("{error}");
        }
    }
}
