//! `hexapla show`: a row of a table, where it comes from, and the bytes that it was read from; or a
//! row of a pack, decoded, and the documents that it is made of.

use std::process::ExitCode;

use arrow::array::{Array, RecordBatch};
use arrow::util::display::array_value_to_string;
use hexapla::error::{Error, Result};
use hexapla::project::packed::{self, PackedRow, PackedText};
use hexapla::project::show::{self, Raw};
use serde_json::json;

use crate::table;
use crate::ui::Ui;

/// Show a row of a table and the bytes that it was read from, or a row of a pack and its documents
#[derive(clap::Args)]
pub struct Args {
    /// A table of the project, or the folder or URL of a table; or a pack, such as `pack.main`
    table: String,
    /// The row's `doc_id`; of a pack its number from 0, in all groups (`12`) or in one (`isl_Latn:12`)
    id: String,
    #[command(flatten)]
    project: crate::args::ProjectArgs,
}

pub fn run(args: Args, ui: &Ui) -> Result<ExitCode> {
    if let Some(pack) = packed::folder(&args.project.project, &args.table) {
        return show_packed(&packed::row(&pack, &args.id)?, &args.table, ui);
    }
    let id = parse_id(&args.id)?;
    let shown = show::show(&args.project.project, &args.table, id)?;
    if ui.json() {
        let rows = |batch: &RecordBatch| table::values(std::slice::from_ref(batch));
        let document = match &shown.document {
            Some((name, row)) => json!({ "table": name, "rows": rows(row)? }),
            None => json!(null),
        };
        let raw = shown.raw.as_ref().map(|raw| {
            json!({
                "path": raw.path,
                "offset": raw.offset,
                "text": String::from_utf8_lossy(&raw.bytes),
                "cut": raw.cut,
            })
        });
        ui.object(&json!({
            "table": args.table,
            "rows": rows(&shown.rows)?,
            "document": document,
            "raw": raw,
            "note": shown.note,
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut out = lines(&shown.rows)?;
    if let Some((name, row)) = &shown.document {
        out.push_str(&format!("\n{name}\n{}", lines(row)?));
    }
    if let Some(raw) = &shown.raw {
        out.push_str(&bytes(raw));
    }
    ui.out(out)?;
    if let Some(note) = &shown.note {
        ui.say(note);
    }
    Ok(ExitCode::SUCCESS)
}

/// A row of a pack: each text with its document, its place and its length.
fn show_packed(row: &PackedRow, pack: &str, ui: &Ui) -> Result<ExitCode> {
    let PackedRow { group, row: number, rows, texts, padding, note } = row;
    if ui.json() {
        let texts = texts.iter().map(|text| {
            json!({
                "doc_id": text.doc_id, "lang": text.lang, "start": text.start, "ids": text.ids,
                "text": text.text,
            })
        });
        ui.object(&json!({
            "pack": pack, "group": group, "row": number, "rows": rows, "padding": padding,
            "texts": texts.collect::<Vec<_>>(), "note": note,
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut out = format!("{pack}: row {number} of the {rows} of {group}\n");
    for text in texts {
        let PackedText { doc_id, lang, start, ids, .. } = text;
        let end = start + ids.len();
        let shown = match &text.text {
            Some(text) => escaped(text),
            None => ids.iter().map(i32::to_string).collect::<Vec<_>>().join(" "),
        };
        let shown = shown.trim_end_matches('\n').replace('\n', "\n  ");
        out.push_str(&format!("\ndoc_id {doc_id}, {lang}, ids {start}..{end}\n  {shown}\n"));
    }
    out.push_str(&format!("\nids of padding: {padding}\n"));
    ui.out(out)?;
    if let Some(note) = note {
        ui.say(note);
    }
    Ok(ExitCode::SUCCESS)
}

/// The id of a row from its digits.
pub fn parse_id(text: &str) -> Result<u64> {
    text.parse().map_err(|_| {
        Error::usage(format!("`{text}` is no id of a row"))
            .hint_with("give the decimal number of the column `doc_id`")
    })
}

/// Each value on a line of its own after its name; further lines of a text are indented.
fn lines(rows: &RecordBatch) -> Result<String> {
    let mut out = String::new();
    for row in 0..rows.num_rows() {
        if row > 0 {
            out.push('\n');
        }
        for (field, column) in rows.schema().fields().iter().zip(rows.columns()) {
            let value = match column.is_valid(row) {
                true => escaped(&array_value_to_string(column, row)?),
                false => String::new(),
            };
            let value = value.trim_end_matches('\n').replace('\n', "\n  ");
            out.push_str(format!("{}: {value}", field.name()).trim_end());
            out.push('\n');
        }
    }
    Ok(out)
}

/// Where the bytes are, and the bytes as text.
fn bytes(raw: &Raw) -> String {
    // What was cut off in the middle of a character is no fault of the text.
    let whole = match std::str::from_utf8(&raw.bytes) {
        Err(e) if raw.cut && e.error_len().is_none() => &raw.bytes[..e.valid_up_to()],
        _ => &raw.bytes,
    };
    let text = escaped(&String::from_utf8_lossy(whole));
    let more = if raw.cut { "\n…" } else { "" };
    format!("\n{} at {}\n{}{more}\n", raw.path, raw.offset, text.trim_end_matches('\n'))
}

/// Text that does nothing to a terminal: control characters but line ends and tabs are escaped.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' => out.push(c),
            c if c.is_control() => out.extend(c.escape_default()),
            c => out.push(c),
        }
    }
    out
}
