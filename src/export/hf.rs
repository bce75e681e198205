//! A data set of the Hugging Face hub: Parquet files and a card, `README.md`.
//!
//! `datasets.load_dataset(FOLDER, "isl_Latn")` opens it: each language or pair is a configuration
//! with the splits `train` and `validation`, declared in the YAML head of the card with their
//! features and counts. In `parts` rows are texts, in `stream` rows of token ids.

use std::fmt::Write;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Float32Builder, Int32Builder, ListBuilder, RecordBatch, StringBuilder, UInt64Builder,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use serde_json::json;

use super::handoff::{Counts, Handoff};
use super::out::Out;
use super::{
    Content, Format, Layout, Place, Split, Takes, TextRow, TextSink, TokenRow, TokenSink, readme,
};
use crate::error::{Error, Result};
use crate::token::pack::GroupKind;

/// Rows that are encoded together.
const ROWS: usize = 1000;
/// Bytes of values that are encoded together.
const BATCH: usize = 1 << 20;
/// Bytes of an encoded row group.
const ROW_GROUP: usize = 16 << 20;
/// Bytes of a file, about.
const FILE: usize = 400 << 20;

/// The format.
pub struct HuggingFace;

impl Format for HuggingFace {
    fn name(&self) -> &'static str {
        "huggingface"
    }

    fn doc(&self) -> &'static str {
        "A data set of Parquet files with its card, as the Hugging Face hub and `datasets` read it."
    }

    fn takes(&self, layout: Layout) -> Option<Takes> {
        let content = match layout {
            Layout::Parts => Content::Texts,
            Layout::Stream => Content::Tokens,
        };
        Some(Takes { content, documents: true, pairs: true })
    }

    fn has_card(&self) -> bool {
        true
    }

    fn at_once(&self) -> usize {
        8
    }

    fn token_sink(&self, place: &Place) -> Result<Box<dyn TokenSink>> {
        let mut columns = vec![Column::list("input_ids"), Column::list("document_lengths")];
        columns.push(Column::text("group"));
        Ok(Box::new(Sink(Files::new(place, columns)?)))
    }

    fn text_sink(&self, place: &Place) -> Result<Box<dyn TextSink>> {
        let mut columns = vec![Column::Number(UInt64Builder::new())];
        let mut texts =
            |names: &[&'static str]| columns.extend(names.iter().map(|n| Column::text(n)));
        match &place.kind {
            Some(GroupKind::Documents { .. }) => texts(&["text", "source", "url"]),
            Some(GroupKind::Pairs { .. }) => {
                texts(&["src", "tgt", "source"]);
                columns.push(Column::Score(Float32Builder::new()));
            }
            None => return Err(Error::internal("texts of many groups")),
        }
        Ok(Box::new(Sink(Files::new(place, columns)?)))
    }

    fn usage(&self, handoff: &Handoff) -> String {
        let name = match handoff.settings.layout {
            Layout::Parts => handoff.groups.first().map_or("NAME".into(), |g| g.name.clone()),
            Layout::Stream => "stream".into(),
        };
        let mut text = format!(
            "```python\nfrom datasets import load_dataset\n\nrows = load_dataset(\"PATH\", {}, \
             split=\"train\")\n```\n",
            json!(name)
        );
        if handoff.settings.layout == Layout::Parts {
            text.push_str(
                "\n`interleave_datasets` draws rows: its `probabilities` are `row_share` of the \
                 stage in `mixture.json`, with `stopping_strategy=\"all_exhausted\"`.\n",
            );
        }
        text
    }

    fn readme(&self, handoff: &Handoff) -> String {
        let mut text = head(handoff);
        text.push_str(&readme::page(handoff, &self.usage(handoff)));
        let sources = &handoff.provenance.sources;
        if !sources.is_empty() {
            text.push_str("\n## Sources\n\n| source | path |\n| --- | --- |\n");
        }
        for (name, path) in sources {
            let _ = writeln!(text, "| {name} | `{}` |", path.replace('|', "\\|"));
        }
        let dropped = &handoff.provenance.dropped;
        if !dropped.is_empty() {
            text.push_str("\n## Dropped rows\n\n| table | reason | rows |\n| --- | --- | ---: |\n");
        }
        for (table, reasons) in dropped {
            for (reason, rows) in reasons {
                let _ = writeln!(text, "| {table} | {reason} | {rows} |");
            }
        }
        text
    }
}

/// The YAML head of the card.
fn head(handoff: &Handoff) -> String {
    let mut text = String::from("---\n");
    if let Some(license) = &handoff.provenance.license {
        let _ = writeln!(text, "license: {}", json!(license));
    }
    let mut langs: Vec<&str> = handoff
        .groups
        .iter()
        .flat_map(|group| group.kind.langs())
        .filter_map(|tag| tag.split('_').next())
        .collect();
    langs.sort_unstable();
    langs.dedup();
    text.push_str("language:\n");
    for lang in langs {
        let _ = writeln!(text, "- {}", json!(lang));
    }
    let pairs = handoff.groups.iter().any(|g| matches!(g.kind, GroupKind::Pairs { .. }));
    let documents = handoff.groups.iter().any(|g| matches!(g.kind, GroupKind::Documents { .. }));
    text.push_str("task_categories:\n");
    text.push_str(if documents { "- text-generation\n- fill-mask\n" } else { "" });
    text.push_str(if pairs { "- translation\n" } else { "" });
    let rows: u64 = handoff.groups.iter().map(|g| g.train.rows + g.validation.rows).sum();
    let _ = writeln!(text, "size_categories:\n- {}", size_category(rows));

    text.push_str("configs:\n");
    let configs = configs(handoff);
    for config in &configs {
        let _ = writeln!(text, "- config_name: {}\n  data_files:", json!(config.name));
        for (split, _) in &config.splits {
            let path = format!("data/{}/{}-*.parquet", config.name, split.name());
            let _ = writeln!(text, "  - split: {}\n    path: {}", split.name(), json!(path));
        }
    }
    text.push_str("dataset_info:\n");
    for config in &configs {
        let _ = writeln!(text, "- config_name: {}\n  features:", json!(config.name));
        for (name, kind) in config.features {
            let _ = match kind.strip_prefix("list ") {
                Some(item) => writeln!(text, "  - name: {name}\n    list: {item}"),
                None => writeln!(text, "  - name: {name}\n    dtype: {kind}"),
            };
        }
        text.push_str("  splits:\n");
        for (split, counts) in &config.splits {
            let _ = writeln!(
                text,
                "  - name: {}\n    num_bytes: {}\n    num_examples: {}",
                split.name(),
                counts.bytes,
                counts.rows
            );
        }
    }
    text.push_str("---\n\n");
    text
}

/// A configuration of the data set.
struct Config {
    name: String,
    features: &'static [(&'static str, &'static str)],
    splits: Vec<(Split, Counts)>,
}

const DOCUMENT: &[(&str, &str)] =
    &[("doc_id", "uint64"), ("text", "string"), ("source", "string"), ("url", "string")];
const PAIR: &[(&str, &str)] = &[
    ("doc_id", "uint64"),
    ("src", "string"),
    ("tgt", "string"),
    ("source", "string"),
    ("score", "float32"),
];
const IDS: &[(&str, &str)] =
    &[("input_ids", "list int32"), ("document_lengths", "list int32"), ("group", "string")];

fn configs(handoff: &Handoff) -> Vec<Config> {
    let there = |splits: Vec<(Split, Counts)>| -> Vec<(Split, Counts)> {
        splits.into_iter().filter(|(_, counts)| counts.rows > 0).collect()
    };
    if handoff.settings.layout == Layout::Parts {
        let groups = handoff.groups.iter();
        return groups
            .map(|group| Config {
                name: group.name.clone(),
                features: if group.kind.langs().len() > 1 { PAIR } else { DOCUMENT },
                splits: there(vec![
                    (Split::Train, group.train),
                    (Split::Validation, group.validation),
                ]),
            })
            .collect();
    }
    let rows = handoff.groups.iter().map(|group| group.train.rows).sum();
    let bytes = handoff.groups.iter().map(|group| group.train.tokens * 4).sum();
    let stream = Counts { rows, bytes, tokens: bytes / 4 };
    let splits = there(vec![(Split::Train, stream)]);
    let mut all = vec![Config { name: "stream".into(), features: IDS, splits }];
    for group in handoff.groups.iter().filter(|group| group.validation.rows > 0) {
        let bytes = group.validation.tokens * 4;
        let splits = vec![(Split::Validation, Counts { bytes, ..group.validation })];
        all.push(Config { name: group.name.clone(), features: IDS, splits });
    }
    all
}

/// The hub's word for a number of rows.
fn size_category(rows: u64) -> String {
    const STEPS: &[(u64, &str)] = &[
        (1_000, "1K"),
        (10_000, "10K"),
        (100_000, "100K"),
        (1_000_000, "1M"),
        (10_000_000, "10M"),
        (100_000_000, "100M"),
        (1_000_000_000, "1B"),
        (10_000_000_000, "10B"),
        (100_000_000_000, "100B"),
        (1_000_000_000_000, "1T"),
    ];
    match STEPS.iter().position(|(limit, _)| rows < *limit) {
        Some(0) => "n<1K".into(),
        Some(i) => format!("{}<n<{}", STEPS[i - 1].1, STEPS[i].1),
        None => "n>1T".into(),
    }
}

/// The values of a column that wait to be encoded.
enum Column {
    Number(UInt64Builder),
    Score(Float32Builder),
    Text(&'static str, StringBuilder),
    List(&'static str, ListBuilder<Int32Builder>),
}

impl Column {
    fn text(name: &'static str) -> Self {
        Column::Text(name, StringBuilder::new())
    }

    fn list(name: &'static str) -> Self {
        Column::List(name, ListBuilder::new(Int32Builder::new()))
    }

    fn field(&self) -> Field {
        match self {
            Column::Number(_) => Field::new("doc_id", DataType::UInt64, false),
            Column::Score(_) => Field::new("score", DataType::Float32, true),
            Column::Text(name, _) => Field::new(*name, DataType::Utf8, true),
            Column::List(name, _) => {
                let item = Arc::new(Field::new("item", DataType::Int32, true));
                Field::new(*name, DataType::List(item), true)
            }
        }
    }

    fn take(&mut self) -> ArrayRef {
        match self {
            Column::Number(values) => Arc::new(values.finish()),
            Column::Score(values) => Arc::new(values.finish()),
            Column::Text(_, values) => Arc::new(values.finish()),
            Column::List(_, values) => Arc::new(values.finish()),
        }
    }
}

/// The files of a configuration's split.
struct Files {
    stem: PathBuf,
    schema: SchemaRef,
    columns: Vec<Column>,
    rows: usize,
    bytes: usize,
    files: usize,
    open: Option<ArrowWriter<Out>>,
}

impl Files {
    fn new(place: &Place, columns: Vec<Column>) -> Result<Self> {
        let fields: Vec<Field> = columns.iter().map(Column::field).collect();
        let mut files = Self {
            stem: place.dir.join("data").join(&place.name).join(place.split.name()),
            schema: Arc::new(Schema::new(fields)),
            columns,
            rows: 0,
            bytes: 0,
            files: 0,
            open: None,
        };
        files.file()?;
        Ok(files)
    }

    fn path(&self, n: usize) -> PathBuf {
        let mut name = self.stem.clone().into_os_string();
        name.push(format!("-{n:05}.parquet"));
        name.into()
    }

    /// Begins a file.
    fn file(&mut self) -> Result<()> {
        let path = self.path(self.files);
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(3).unwrap_or_default()))
            .set_created_by(concat!("hexapla ", env!("CARGO_PKG_VERSION")).into())
            .build();
        let writer =
            ArrowWriter::try_new(Out::create(path.clone())?, self.schema.clone(), Some(properties));
        self.open = Some(writer.map_err(|e| Error::io(&path, e))?);
        self.files += 1;
        Ok(())
    }

    /// Counts a row whose values were taken.
    fn row(&mut self, bytes: usize) -> Result<()> {
        self.rows += 1;
        self.bytes += bytes;
        if self.rows < ROWS && self.bytes < BATCH {
            return Ok(());
        }
        self.encode()?;
        let full = self.open.as_ref().is_some_and(|open| open.bytes_written() >= FILE);
        if full {
            self.close()?;
            self.file()?;
        }
        Ok(())
    }

    fn encode(&mut self) -> Result<()> {
        if self.rows == 0 {
            return Ok(());
        }
        let arrays = self.columns.iter_mut().map(Column::take).collect();
        let batch = RecordBatch::try_new(self.schema.clone(), arrays)?;
        (self.rows, self.bytes) = (0, 0);
        let path = self.path(self.files.saturating_sub(1));
        let Some(open) = &mut self.open else { return Err(Error::internal("no open file")) };
        open.write(&batch).map_err(|e| Error::io(&path, e))?;
        if open.in_progress_size() >= ROW_GROUP {
            open.flush().map_err(|e| Error::io(&path, e))?;
        }
        Ok(())
    }

    fn close(&mut self) -> Result<()> {
        let path = self.path(self.files.saturating_sub(1));
        match self.open.take() {
            Some(open) => open.into_inner().map_err(|e| Error::io(&path, e))?.finish(),
            None => Ok(()),
        }
    }
}

struct Sink(Files);

impl TextSink for Sink {
    fn row(&mut self, row: &TextRow<'_>) -> Result<()> {
        let (id, number, texts) = match *row {
            TextRow::Document { doc_id, text, source, url } => {
                (doc_id, None, [Some(text), source, url])
            }
            TextRow::Pair { doc_id, src, tgt, source, score } => {
                (doc_id, score, [Some(src), Some(tgt), source])
            }
        };
        let mut left = texts.iter();
        let mut bytes = 12;
        for column in &mut self.0.columns {
            match column {
                Column::Number(values) => values.append_value(id),
                Column::Score(values) => values.append_option(number),
                Column::Text(_, values) => {
                    let text = left.next().copied().flatten();
                    bytes += text.map_or(0, str::len);
                    values.append_option(text);
                }
                Column::List(..) => return Err(Error::internal("token ids among texts")),
            }
        }
        self.0.row(bytes)
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        self.0.encode()?;
        self.0.close()
    }
}

impl TokenSink for Sink {
    fn row(&mut self, row: &TokenRow<'_>) -> Result<()> {
        let mut lists = [row.ids, row.lengths].into_iter();
        for column in &mut self.0.columns {
            match column {
                Column::Text(_, values) => values.append_value(row.group),
                Column::List(_, values) => {
                    values.values().append_slice(lists.next().unwrap_or_default());
                    values.append(true);
                }
                Column::Number(_) | Column::Score(_) => {
                    return Err(Error::internal("texts among token ids"));
                }
            }
        }
        self.0.row(row.ids.len() * 4)
    }

    fn finish(mut self: Box<Self>) -> Result<Option<u64>> {
        self.0.encode()?;
        self.0.close()?;
        Ok(None)
    }
}
