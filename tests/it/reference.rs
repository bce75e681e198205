//! docs/reference is made from the code, so that it cannot say anything else.
//!
//! `UPDATE_EXPECT=1 cargo test --test it reference::` (or `make docs`) writes the pages anew;
//! without it a page that differs fails.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use hexapla::function::Signature;
use hexapla::{schema, sql, token};

pub fn compare(name: &str, page: &str) {
    let path = Path::new(".").join("docs/reference").join(name);
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, page).unwrap();
        return;
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    let differs = found.lines().zip(page.lines()).position(|(a, b)| a != b);
    let line = differs.unwrap_or(found.lines().count().min(page.lines().count())) + 1;
    assert!(
        found == page,
        "docs/reference/{name} is out of date from line {line}: run `make docs`"
    );
}

/// A cell of a Markdown table.
pub fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

#[test]
fn the_page_of_the_tables_is_up_to_date() {
    let mut page = String::from(
        "# Tables\n\nGenerated from `schemas/*.toml` by `make docs`; do not edit.\n\n\
         A table is a folder of Parquet parts under a `manifest.json`. Tables with a `doc_id` are \
         sorted by it. A query may add columns after those listed here. A table whose query gives \
         a `reason` has a twin, `…_dropped`, with the rows that have one. `mix` is one table for \
         each mixture, `mix.NAME`, and `eval` one for each evaluation, `eval.NAME`.\n\n",
    );
    for table in schema::tables() {
        let _ = writeln!(page, "- [`{0}`](#{0})", table.name);
    }
    for table in schema::tables() {
        let _ = write!(page, "\n## `{}`\n\n{}\n\n", table.name, table.doc);
        page.push_str("| column | type | null | what it holds | since |\n");
        page.push_str("| --- | --- | --- | --- | --- |\n");
        for field in &table.fields {
            let null = if field.nullable { "yes" } else { "" };
            let (name, doc) = (&field.name, cell(&field.doc));
            let _ = writeln!(
                page,
                "| `{name}` | `{}` | {null} | {doc} | {} |",
                cell(&field.data_type),
                field.since
            );
        }
    }
    compare("schemas.md", &page);
}

#[test]
fn the_page_of_the_functions_is_up_to_date() {
    let mut page = String::from(
        "# SQL functions\n\nGenerated from the registries by `make docs`; do not edit. All \
         functions of DataFusion are there too. Every example is run by a test.\n",
    );
    let tokens = token::functions::kernels(&Default::default());
    let all: Vec<&Signature> = sql::functions::all()
        .map(|function| &function.signature)
        .chain(tokens.iter().map(|kernel| kernel.signature()))
        .collect();
    let mut families: Vec<_> = all.iter().map(|s| s.family).collect();
    families.sort();
    families.dedup();
    for family in families {
        let _ = write!(page, "\n## {}\n", family.name());
        for signature in all.iter().filter(|s| s.family == family) {
            page.push_str(&describe(signature));
        }
    }
    page.push_str("\n## table functions\n");
    for function in sql::table_functions() {
        let _ = write!(
            page,
            "\n### `{}`\n\n```sql\n{}\n```\n\n{}\n",
            function.name, function.usage, function.doc
        );
        if !function.options.is_empty() {
            page.push('\n');
        }
        for (name, meaning) in function.options {
            let _ = writeln!(page, "- `{name}`: {meaning}");
        }
        let _ = write!(page, "\n```sql\n{}\n```\n", function.example);
    }
    compare("functions.md", &page);
}

fn describe(signature: &Signature) -> String {
    let name = signature.name;
    let mut out = format!("\n### `{name}`\n\n```sql\n{}\n```\n\n", sql::usage(signature));
    let _ = writeln!(out, "{}\n", signature.doc);
    for arg in signature.args {
        if let Some(default) = arg.default {
            let _ = writeln!(out, "- `{}` may be left out: {default}", arg.name);
        }
    }
    let _ = writeln!(out, "- gives `{}`\n", (signature.returns)());
    out.push_str("| expression | value |\n| --- | --- |\n");
    for (expression, value) in signature.examples {
        let _ = writeln!(out, "| `{}` | `{}` |", cell(expression), cell(value));
    }
    out
}

#[test]
fn the_page_of_the_formats_is_up_to_date() {
    let mut page = String::from(
        "# Formats\n\nGenerated from the registry by `make docs`; do not edit. What each one's units \
         and columns are is told in [Sources](../sources.md).\n\n\
         | format | files | tables | what it is |\n| --- | --- | --- | --- |\n",
    );
    for format in hexapla::source::SOURCES {
        let endings: Vec<String> = format.extensions().iter().map(|e| format!("`.{e}`")).collect();
        let tables: Vec<&str> = format.tables().iter().map(|t| t.table()).collect();
        let _ = writeln!(
            page,
            "| `{}` | {} | {} | {} |",
            format.name(),
            endings.join(" "),
            tables.join(", "),
            cell(format.doc())
        );
    }
    compare("formats.md", &page);
}

#[test]
fn the_page_of_the_export_formats_is_up_to_date() {
    use hexapla::export::{FORMATS, Layout};

    let mut page = String::from(
        "# Export formats\n\nGenerated from the registry by `make docs`; do not edit. `[export.NAME]` \
         writes them: [the guide](../guide.md) says how, [the project file](project.md) with which \
         keys.\n\n| format | what it is | `parts` hold | `stream` holds |\n| --- | --- | --- | --- |\n",
    );
    let takes = |layout| {
        move |format: &dyn hexapla::export::Format| match format.takes(layout) {
            None => String::new(),
            Some(takes) => {
                let of = [(takes.documents, "documents"), (takes.pairs, "pairs")];
                let of: Vec<&str> =
                    of.iter().filter(|(is, _)| *is).map(|(_, name)| *name).collect();
                format!("{:?} of {}", takes.content, of.join(" and ")).to_lowercase()
            }
        }
    };
    for format in FORMATS.iter().copied() {
        let _ = writeln!(
            page,
            "| `{}` | {} | {} | {} |",
            format.name(),
            cell(format.doc()),
            takes(Layout::Parts)(format),
            takes(Layout::Stream)(format),
        );
    }
    compare("exports.md", &page);
}

/// The types of the project file: the heading, the file, the type.
const PROJECT: &[(&str, &str, &str)] = &[
    ("the whole file", "src/project/config.rs", "Config"),
    ("[source.NAME]", "src/source/spec.rs", "SourceSpec"),
    ("[tokenizer.NAME]", "src/project/config.rs", "TokenizerConfig"),
    ("[tokenizer.NAME] train = { … }", "src/token/train.rs", "TrainSpec"),
    ("[mix.NAME]", "src/project/config.rs", "MixConfig"),
    ("[mix.NAME] stages = [{ … }]", "src/project/config.rs", "StageConfig"),
    ("[pack.NAME]", "src/project/config.rs", "PackConfig"),
    ("[model.NAME]", "src/train/config.rs", "ModelConfig"),
    ("[train.NAME]", "src/train/config.rs", "TrainConfig"),
    ("[train.NAME] optimizer = { … }", "src/train/config.rs", "OptimizerConfig"),
    ("[eval.NAME]", "src/project/config.rs", "EvalConfig"),
    ("[export.NAME]", "src/project/config.rs", "ExportConfig"),
];

#[test]
fn the_page_of_the_project_file_is_up_to_date() {
    let mut page = String::from(
        "# `hexapla.toml`\n\nGenerated from the types that read it by `make docs`; do not edit. An \
         unknown key is an error that names the nearest known one.\n",
    );
    for (heading, file, name) in PROJECT {
        let text = fs::read_to_string(Path::new(".").join(file)).unwrap();
        let (doc, fields) = structure(&text, name).unwrap_or_else(|| panic!("{file}: no {name}"));
        let _ = write!(page, "\n## `{heading}`\n\n{doc}\n\n| key | type | what it says |\n");
        page.push_str("| --- | --- | --- |\n");
        for (key, ty, doc) in fields {
            let doc = doc.replace("[`", "`").replace("`]", "`");
            let _ = writeln!(page, "| `{key}` | {} | {} |", toml_type(&ty), cell(&doc));
        }
    }
    compare("project.md", &page);
}

/// A type of ours in the words of the file's format.
fn toml_type(ty: &str) -> String {
    let inside = |head: &str| ty.strip_prefix(head).and_then(|rest| rest.strip_suffix('>'));
    if let Some(inner) = inside("Option<") {
        return format!("{}, optional", toml_type(inner));
    }
    if let Some(inner) = inside("Vec<") {
        return format!("list of {}", toml_type(inner));
    }
    if let Some(inner) = inside("BTreeMap<String, ") {
        return format!("table of {}", toml_type(inner));
    }
    let words = match ty {
        "String" => "text",
        "char" => "a character",
        "bool" => "true or false",
        "f64" => "number",
        "u64" | "usize" | "i64" => "integer",
        "(f64, f64)" => "list of two numbers",
        "Patterns" => "text or list of text",
        "Column" => "text or integer",
        "toml::Value" => "number, text, true or false, or a table of them",
        "Into" | "ModelKind" | "Schedule" | "Dtype" | "Layout" | "Only" => "text",
        "MinShare" => "number, or table of number",
        "Weights" => "table of number, or text",
        "Weight" => "number, or list of steps with numbers",
        ty if ty.ends_with("Config") || ty.ends_with("Spec") => "table",
        other => panic!("say in `toml_type` how `{other}` is written in TOML"),
    };
    words.into()
}

/// A key of a table: its name, its type, its documentation.
type Key = (String, String, String);

/// A struct's own documentation, and its fields with their types and documentation.
fn structure(text: &str, name: &str) -> Option<(String, Vec<Key>)> {
    let head = format!("pub struct {name} {{");
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let at = lines.iter().position(|line| *line == head)?;
    let mut above: Vec<&str> = lines[..at]
        .iter()
        .rev()
        .take_while(|line| line.starts_with("///") || line.starts_with("#["))
        .filter_map(|line| line.strip_prefix("/// "))
        .collect();
    above.reverse();
    let mut fields = Vec::new();
    let mut doc: Vec<String> = Vec::new();
    let (mut key, mut skipped) = (None, false);
    for line in &lines[at + 1..] {
        if *line == "}" {
            break;
        } else if let Some(words) = line.strip_prefix("///") {
            doc.push(words.trim().into());
        } else if let Some((_, renamed)) = line.split_once("rename = \"") {
            key = renamed.split('"').next().map(String::from);
        } else if line.contains("serde(skip)") || line.contains("skip_deserializing") {
            skipped = true;
        } else if let Some((field, ty)) = line.strip_prefix("pub ").and_then(|l| l.split_once(':'))
        {
            let words = std::mem::take(&mut doc).join(" ");
            let key = key.take().unwrap_or_else(|| field.trim_start_matches("r#").into());
            if std::mem::take(&mut skipped) {
                continue;
            }
            fields.push((key, ty.trim().trim_end_matches(',').into(), words));
        }
    }
    Some((above.join(" "), fields))
}
