//! The queries that give the rows of a table: `doc_id`, its texts or its signature, what keeps rows
//! apart and what orders them.
//!
//! Whatever the table, the columns are the same. Texts are the table's own, or those of `documents`
//! with the same `doc_id` when it has none; of a table whose name begins with `pairs`, both sides of
//! `pairs`. The language is the declared one, else the one detected, of the table itself or of
//! `documents` and (when it is there) `measured`.

use arrow::datatypes::{DataType, SchemaRef};

use super::choices::{By, Choices};
use super::engine::Ranges;
use crate::dedup::recipe::Unit;
use crate::error::{Error, Result};
use crate::sql::table_function::{Args, Named, quoted};

/// How the rows of a table are read.
#[derive(Debug, Clone)]
pub(super) struct Reading {
    table: Named,
    /// `documents` or `pairs`, when the table has no text of its own.
    beside: Option<Named>,
    /// The texts, as expressions.
    texts: Vec<String>,
    tokens: Vec<String>,
    /// Where the signatures are, when they are read in place of texts.
    signed: Option<Signed>,
    /// Joins `measured`.
    measured: bool,
    apart: Vec<String>,
    ranks: Vec<String>,
}

#[derive(Debug, Clone)]
enum Signed {
    Own,
    In(String),
}

fn has(schema: &SchemaRef, column: &str) -> bool {
    schema.column_with_name(column).is_some()
}

impl Reading {
    /// Of a table under some options.
    pub fn new(args: &Args<'_>, table: Named, choices: &Choices) -> Result<Self> {
        table.require(&["doc_id"])?;
        let schema = table.schema();
        let own = |column: &str| has(&schema, column);
        let pairs = (own("src") && own("tgt")) || (!own("text") && table.name.starts_with("pairs"));
        let (at, beside) = if own("text") || (own("src") && own("tgt")) {
            ("t", None)
        } else {
            let name = if pairs { "pairs" } else { "documents" };
            let beside = args.known(name)?;
            ("d", Some(beside.ok_or_else(|| no_text(&table.name, name))?))
        };
        let from = beside.as_ref().map_or(schema.clone(), Named::schema);
        let sides: &[&str] = match (pairs, has(&from, "text_pair")) {
            (true, _) => &["src", "tgt"],
            (false, true) => &["text", "text_pair"],
            (false, false) => &["text"],
        };
        let sides = match choices.by {
            By::Both => sides,
            _ if sides.len() < 2 => {
                let message = format!("`{}` has no pairs, so `by` must be 'both'", table.name);
                return Err(args.wrong(message));
            }
            By::Source => &sides[..1],
            By::Target => &sides[1..],
        };
        let texts: Vec<String> = sides.iter().map(|side| format!("{at}.{side}")).collect();
        let tokens = match &choices.tokenizer {
            Some(name) if choices.rule.recipe.unit == Unit::Tokens => {
                // DataFusion has an `encode` of its own; ours comes with `token_count`.
                if !args.state.scalar_functions().contains_key("token_count") {
                    let message =
                        "`unit: 'tokens'` needs the function encode(), which is not there";
                    return Err(args.wrong(message).hint_with(
                        "build a tokenizer first, `hexapla run tokenizer.NAME`, or use words",
                    ));
                }
                let name = name.replace('\'', "''");
                texts.iter().map(|text| format!("encode({text}, '{name}')")).collect()
            }
            _ => Vec::new(),
        };
        let signed = match &choices.signatures {
            _ if own("signature") && beside.is_some() => Some(Signed::Own),
            Some(name) => {
                let named = args.named(name)?;
                named.require(&["doc_id", "signature"])?;
                Some(Signed::In(named.sql))
            }
            None => None,
        };
        let mut reading = Self {
            table,
            beside,
            texts,
            tokens,
            signed,
            measured: false,
            apart: Vec::new(),
            ranks: Vec::new(),
        };
        if choices.within_language {
            let lang = reading.language(args, pairs)?;
            reading.apart.push(lang);
        }
        for column in &choices.within {
            let (at, _) = reading.column(column)?;
            reading.apart.push(format!("CAST({at} AS VARCHAR)"));
        }
        for (column, _) in &choices.order {
            let (at, ty) = reading.column(column)?;
            reading.ranks.push(rank(column, &at, &ty)?);
        }
        Ok(reading)
    }

    /// Whether both sides of pairs are compared.
    pub fn is_pair(&self) -> bool {
        self.texts.len() == 2
    }

    /// A column of the table, or of the one beside it.
    fn column(&self, name: &str) -> Result<(String, DataType)> {
        let places = [Some(("t", &self.table)), self.beside.as_ref().map(|b| ("d", b))];
        for (at, table) in places.into_iter().flatten() {
            if let Some((_, field)) = table.schema().column_with_name(name) {
                return Ok((format!("{at}.{}", quoted(name)), field.data_type().clone()));
            }
        }
        Err(crate::sql::provider::unknown_column(&self.table.name, name, &self.table.schema()))
    }

    fn language(&mut self, args: &Args<'_>, pairs: bool) -> Result<String> {
        let own = self.table.schema();
        let beside = self.beside.as_ref().map(Named::schema);
        let (at, schema) = match (&beside, pairs) {
            (Some(beside), true) => ("d", beside),
            _ => ("t", &own),
        };
        if pairs {
            let tagged = has(schema, "src_lang") && has(schema, "tgt_lang");
            let lang = format!("concat({at}.src_lang, '-', {at}.tgt_lang)");
            return Ok(if tagged { lang } else { "CAST(NULL AS VARCHAR)".into() });
        }
        let mut parts: Vec<&str> = Vec::new();
        for (column, part) in [("lang", "t.lang"), ("detected", "t.detected['lang']")] {
            if has(&own, column) {
                parts.push(part);
            }
        }
        if parts.is_empty() && beside.is_some_and(|beside| has(&beside, "lang")) {
            parts.push("d.lang");
            let measured = args.known("measured")?;
            if measured.is_some_and(|t| t.require(&["doc_id", "detected"]).is_ok()) {
                self.measured = true;
                parts.push("m.detected['lang']");
            }
        }
        Ok(match parts.is_empty() {
            true => "CAST(NULL AS VARCHAR)".into(),
            false => format!("coalesce({})", parts.join(", ")),
        })
    }

    /// The query of the first pass, over all rows.
    pub fn all(&self) -> String {
        let mut columns = vec!["t.doc_id AS doc_id".to_string()];
        let mut joins = String::new();
        match &self.signed {
            None => self.add_texts(&mut columns),
            Some(Signed::Own) => columns.push("t.signature AS signature".into()),
            Some(Signed::In(table)) => {
                columns.push("s.signature AS signature".into());
                columns.push("s.doc_id IS NOT NULL AS signed".into());
                joins = format!(" LEFT JOIN {table} AS s ON t.doc_id = s.doc_id");
            }
        }
        let of_beside = |column: &String| column.contains("d.");
        let beside = self.signed.is_none() || self.apart.iter().chain(&self.ranks).any(of_beside);
        let numbered = |name: &str, list: &[String], columns: &mut Vec<String>| {
            columns.extend(list.iter().enumerate().map(|(i, c)| format!("{c} AS {name}_{i}")));
        };
        numbered("apart", &self.apart, &mut columns);
        numbered("rank", &self.ranks, &mut columns);
        if let Some(table) = self.beside.as_ref().filter(|_| beside) {
            joins += &format!(" LEFT JOIN {} AS d ON t.doc_id = d.doc_id", table.sql);
        }
        if self.measured {
            joins += " LEFT JOIN measured AS m ON t.doc_id = m.doc_id";
        }
        format!("SELECT {} FROM {} AS t{joins}", columns.join(", "), self.table.sql)
    }

    /// The query of the second pass: the texts alone, of all rows or of some.
    pub fn texts(&self, ranges: Option<&Ranges>) -> String {
        let mut columns = vec!["t.doc_id AS doc_id".to_string()];
        self.add_texts(&mut columns);
        let wanted = ranges.map_or(String::new(), |ranges| {
            let one = |(from, to): &(u64, u64)| format!("doc_id BETWEEN {from} AND {to}");
            format!(" WHERE {}", ranges.iter().map(one).collect::<Vec<_>>().join(" OR "))
        });
        // Both sides are told, as a condition does not cross every join.
        let part = |table: &Named| match wanted.is_empty() {
            true => table.sql.clone(),
            false => format!("(SELECT * FROM {}{wanted})", table.sql),
        };
        let join = self.beside.as_ref().map_or(String::new(), |table| {
            format!(" LEFT JOIN {} AS d ON t.doc_id = d.doc_id", part(table))
        });
        format!("SELECT {} FROM {} AS t{join}", columns.join(", "), part(&self.table))
    }

    fn add_texts(&self, columns: &mut Vec<String>) {
        for (text, name) in self.texts.iter().zip(["text", "second"]) {
            columns.push(format!("{text} AS {name}"));
        }
        for (tokens, name) in self.tokens.iter().zip(["tokens", "tokens_second"]) {
            columns.push(format!("{tokens} AS {name}"));
        }
    }
}

fn no_text(table: &str, beside: &str) -> Error {
    Error::usage(format!("`{table}` has no column `text`, and there is no table `{beside}`"))
        .hint_with(format!("texts are those of `{beside}` with the same `doc_id`"))
}

/// The column as a number of one of the three kinds that are ordered exactly.
fn rank(column: &str, at: &str, ty: &DataType) -> Result<String> {
    Ok(match ty {
        DataType::Boolean => format!("CAST(CAST({at} AS INT) AS BIGINT)"),
        DataType::Timestamp(..) => format!("CAST({at} AS BIGINT)"),
        DataType::Date32 | DataType::Date64 => format!("CAST(CAST({at} AS TIMESTAMP) AS BIGINT)"),
        ty if ty.is_unsigned_integer() => format!("CAST({at} AS BIGINT UNSIGNED)"),
        ty if ty.is_signed_integer() => format!("CAST({at} AS BIGINT)"),
        ty if ty.is_numeric() => format!("CAST({at} AS DOUBLE)"),
        _ => {
            return Err(Error::usage(format!(
                "option `order` names `{column}`; expected a numeric column, a boolean or a time"
            ))
            .hint_with("write `{order: 'score desc'}`"));
        }
    })
}

/// The query over a former result and what was dropped beside it.
pub(super) fn previous(args: &Args<'_>, name: &str) -> Result<Option<String>> {
    let Some(table) = args.known(name)? else { return Ok(None) };
    let dropped = args.known(&format!("{name}_dropped"))?;
    let mut parts = Vec::new();
    for table in [Some(table), dropped].into_iter().flatten() {
        table.require(&["doc_id", "cluster_id", "content"])?;
        let schema = table.schema();
        let kept = match (has(&schema, "keep"), has(&schema, "reason")) {
            (true, _) => "keep",
            (false, true) => "reason IS NULL",
            (false, false) => {
                table.require(&["keep"])?;
                "keep"
            }
        };
        let or = |column: &str, otherwise: &str| match has(&schema, column) {
            true => column.to_string(),
            false => otherwise.to_string(),
        };
        parts.push(format!(
            "SELECT doc_id, cluster_id, content, {kept} AS kept, {} AS size, {} AS kept_id, \
             {} AS similarity FROM {}",
            or("cluster_size", "CAST(0 AS BIGINT UNSIGNED)"),
            or("kept_id", "CAST(NULL AS BIGINT UNSIGNED)"),
            or("similarity", "CAST(NULL AS DOUBLE)"),
            table.sql,
        ));
    }
    Ok(Some(parts.join(" UNION ALL ")))
}
