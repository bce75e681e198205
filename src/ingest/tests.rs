//! What an ingest promises, on small files; what it gives, on real ones where they are.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use arrow::array::{Array, BinaryArray, RecordBatch, StringArray, UInt64Array};
use arrow::compute::concat_batches;

use super::*;
use crate::schema;
use crate::source::{Column, Into};
use crate::store::manifest::MANIFEST;
use crate::store::table::Table;

struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new(files: &[(&str, &[u8])]) -> Self {
        let place = Self { dir: tempfile::tempdir().unwrap() };
        for (name, bytes) in files {
            place.put(name, bytes);
        }
        place
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        let path = self.dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    fn out(&self) -> PathBuf {
        self.dir.path().join("tables/t")
    }

    fn ingest(&self, specs: &[SourceSpec], options: &Options) -> Result<Ingested> {
        ingest(specs, self.dir.path(), &self.out(), options, &|_, _| {})
    }

    fn small(&self, specs: &[SourceSpec]) -> Ingested {
        self.ingest(specs, &Options { part_bytes: 40, threads: 2, ..Options::default() }).unwrap()
    }

    fn rows(&self) -> RecordBatch {
        let table = Table::open(&self.out()).unwrap();
        let parts = table.manifest.parts.iter();
        let batches: Vec<RecordBatch> =
            parts.flat_map(|p| table.batches(p).unwrap().map(|b| b.unwrap())).collect();
        concat_batches(&table.schema().unwrap(), &batches).unwrap()
    }

    fn column(&self, name: &str) -> Vec<Option<String>> {
        let rows = self.rows();
        let column = rows.column_by_name(name).unwrap();
        let texts = column.as_any().downcast_ref::<StringArray>().unwrap();
        texts.iter().map(|t| t.map(str::to_string)).collect()
    }

    /// Every row as (id, text), sorted.
    fn texts(&self) -> Vec<(u64, String)> {
        let rows = self.rows();
        let ids = rows.column(0).as_any().downcast_ref::<UInt64Array>().unwrap().clone();
        let texts = rows.column(1).as_any().downcast_ref::<StringArray>().unwrap().clone();
        let mut all: Vec<(u64, String)> = ids
            .values()
            .iter()
            .copied()
            .zip(texts.iter().map(|t| t.unwrap().to_string()))
            .collect();
        all.sort();
        all
    }

    fn files(&self) -> BTreeSet<String> {
        let files = fs::read_dir(self.out()).unwrap().map(|e| e.unwrap());
        let names = files.filter(|e| e.path().is_file()).map(|e| e.file_name());
        names.map(|n| n.into_string().unwrap()).collect()
    }
}

fn jsonl(texts: &[&str]) -> Vec<u8> {
    texts.iter().flat_map(|t| format!("{{\"text\":\"{t}\"}}\n").into_bytes()).collect()
}

fn many() -> Place {
    let place = Place::new(&[]);
    for (i, word) in
        ["habari", "góðan", "日本語", "привет", "ọjọ́", "hello", "שלום"].iter().enumerate()
    {
        place.put(&format!("in/{i}.jsonl"), &jsonl(&[word, &word.repeat(i + 1), "x"]));
    }
    place
}

fn wiki() -> Vec<SourceSpec> {
    vec![SourceSpec::new("wiki", "in/*.jsonl")]
}

#[test]
fn an_alignment_is_read_again_when_one_of_its_documents_changes() {
    let link = b"<cesAlign><linkGrp fromDoc='en/a.xml' toDoc='is/a.xml'><link xtargets='1;1'/>\
                 </linkGrp></cesAlign>";
    let place = Place::new(&[
        ("xml/en-is.xml", link),
        ("xml/en/a.xml", b"<text><s id='1'>yes</s></text>"),
        ("xml/is/a.xml", "<text><s id='1'>já</s></text>".as_bytes()),
    ]);
    let spec = SourceSpec { into: Some(Into::Pairs), ..SourceSpec::new("opus", "xml/*.xml") };
    let first = place.ingest(std::slice::from_ref(&spec), &Options::default()).unwrap();
    assert_eq!((first.manifest.rows_out, first.parts_written), (1, 1));
    let again = place.ingest(std::slice::from_ref(&spec), &Options::default()).unwrap();
    assert_eq!(again.parts_written, 0);
    place.put("xml/is/a.xml", "<text><s id='1'>jæja</s></text>".as_bytes());
    let changed = place.ingest(&[spec], &Options::default()).unwrap();
    assert_eq!(changed.parts_written, 1);
    assert_ne!(changed.manifest.key, first.manifest.key);
}

#[test]
fn the_table_has_the_schema_and_is_sorted_and_independent_of_threads() {
    let (a, b) = (many(), many());
    let one = Options { part_bytes: 100, threads: 1, ..Options::default() };
    let first = a.ingest(&wiki(), &one).unwrap();
    let second = b.ingest(&wiki(), &Options { threads: 4, ..one }).unwrap();
    assert_eq!(first.manifest, second.manifest);
    assert!(first.manifest.parts.len() > 2);
    assert_eq!(
        fs::read(a.out().join(MANIFEST)).unwrap(),
        fs::read(b.out().join(MANIFEST)).unwrap()
    );
    for part in &first.manifest.parts {
        let same = fs::read(a.out().join(&part.file)).unwrap()
            == fs::read(b.out().join(&part.file)).unwrap();
        assert!(same, "{}", part.file);
    }
    let table = Table::open(&a.out()).unwrap();
    assert_eq!(table.runs().len(), 1);
    schema::table("documents").unwrap().check(&table.schema().unwrap()).unwrap();
    let rows = a.rows();
    let ids = rows.column(0).as_any().downcast_ref::<UInt64Array>().unwrap();
    assert!(ids.values().windows(2).all(|w| w[0] < w[1]));
    assert_eq!(first.sources["wiki"], SourceRows { files: 7, rows: 21, rejected: 0 });
    assert_eq!(first.manifest.key, fingerprint(&wiki(), a.dir.path()).unwrap());
}

#[test]
fn what_did_not_change_is_taken_over() {
    let place = many();
    let first = place.small(&wiki());
    let before = place.texts();
    let again = place.small(&wiki());
    assert_eq!((again.parts_written, &again.manifest), (0, &first.manifest));
    assert_eq!(again.sources, first.sources);
    // A new file is a new part and renumbers nothing.
    place.put("in/new.jsonl", &jsonl(&["nýtt"]));
    let grown = place.small(&wiki());
    assert_eq!(grown.parts_written, 1);
    assert!(before.iter().all(|row| place.texts().contains(row)));
    assert_eq!(grown.manifest.rows_out, 22);
    // A changed file is read again with the rest of its part only; a removed one vanishes.
    place.put("in/3.jsonl", &jsonl(&["changed"]));
    assert_eq!(place.small(&wiki()).parts_written, 1);
    fs::remove_file(place.dir.path().join("in/new.jsonl")).unwrap();
    let shrunk = place.small(&wiki());
    assert_eq!((shrunk.manifest.rows_out, shrunk.files), (19, 7));
    let listed: BTreeSet<String> =
        shrunk.manifest.parts.iter().map(|p| p.file.clone()).chain([MANIFEST.into()]).collect();
    assert_eq!(place.files(), listed);
    // What is said about a source changes all of its rows.
    let spec = SourceSpec { lang: Some("is".into()), ..wiki().remove(0) };
    let said = place.small(&[spec]);
    assert_eq!(said.parts_written, said.manifest.parts.len());
    assert!(place.column("lang").iter().all(|l| l.as_deref() == Some("isl_Latn")));
}

#[test]
fn files_of_one_part_are_read_again_together() {
    let place = many();
    let options = Options { part_bytes: 150, ..Options::default() };
    let first = place.ingest(&wiki(), &options).unwrap();
    let together = first.manifest.parts.iter().find(|p| p.sources.len() > 1).unwrap();
    let removed =
        together.sources.keys().next().unwrap().strip_prefix("wiki:").unwrap().to_string();
    fs::remove_file(place.dir.path().join(removed)).unwrap();
    let second = place.ingest(&wiki(), &options).unwrap();
    assert_eq!(second.parts_written, 1);
    assert_eq!(second.manifest.parts.len(), first.manifest.parts.len());
    assert_eq!(second.manifest.rows_out, 18);
}

#[test]
fn a_killed_run_loses_only_what_it_had_not_finished() {
    let place = many();
    place.put("in/bad.jsonl", b"{\"text\":\"a\"}\nnot json\n");
    let whole = place.small(&wiki());
    // As if it had been killed before the commit, with one part not yet renamed.
    fs::remove_file(place.out().join(MANIFEST)).unwrap();
    let lost = &whole.manifest.parts[2].file;
    fs::rename(place.out().join(lost), place.out().join(".tmp-killed")).unwrap();
    let resumed = place.small(&wiki());
    assert_eq!((resumed.parts_written, &resumed.manifest), (1, &whole.manifest));
    assert!(!place.out().join(".tmp-killed").exists());
    // A part whose rejected rows are gone is no finished part.
    fs::remove_file(place.out().join(MANIFEST)).unwrap();
    fs::remove_file(place.out().join(&whole.manifest.error_parts[0].file)).unwrap();
    let resumed = place.small(&wiki());
    assert_eq!((resumed.parts_written, &resumed.manifest), (1, &whole.manifest));
    // Neither is one that was cut.
    let cut = place.out().join(&whole.manifest.parts[0].file);
    fs::write(&cut, &fs::read(&cut).unwrap()[..40]).unwrap();
    let resumed = place.small(&wiki());
    assert_eq!((resumed.parts_written, &resumed.manifest), (1, &whole.manifest));
}

#[test]
fn rejected_rows_are_kept_and_counted() {
    let place = Place::new(&[
        ("in/a.jsonl", b"{\"text\":\"a\"}\nnot json\n\xff\n{\"text\":\"b\"}"),
        ("in/empty.jsonl", b""),
    ]);
    let done = place.small(&wiki());
    assert_eq!((done.manifest.rows_in, done.manifest.rows_out, done.manifest.errors), (4, 2, 2));
    assert_eq!(done.sources["wiki"], SourceRows { files: 2, rows: 2, rejected: 2 });
    assert_eq!(place.small(&wiki()).sources, done.sources);
    let table = Table::open(&place.out()).unwrap();
    let part = &table.manifest.error_parts[0];
    let batch = table.batches(part).unwrap().next().unwrap().unwrap();
    schema::table("errors").unwrap().check(&batch.schema()).unwrap();
    let raw = batch.column(4).as_any().downcast_ref::<BinaryArray>().unwrap();
    assert_eq!((raw.value(0), raw.value(1)), (&b"not json"[..], &b"\xff"[..]));
    // Rejected rows have numbers too.
    let ids: Vec<u64> = place.texts().iter().map(|(id, _)| id & 0xffff_ffff).collect();
    assert_eq!(ids, [0, 3]);
}

#[test]
fn a_shifted_pair_of_files_gives_no_row() {
    let place = Place::new(&[
        ("m/good.en-is.en", b"yes\nno\n"),
        ("m/good.en-is.is", "já\nnei\n".as_bytes()),
        ("m/bad.en-is.en", b"one\ntwo\nthree\n"),
        ("m/bad.en-is.is", b"einn\nthrir\n"),
    ]);
    let spec = SourceSpec::new("opus", "m/{name}.{src}-{tgt}.{lang}");
    let done = place.small(std::slice::from_ref(&spec));
    assert_eq!((done.manifest.rows_out, done.manifest.errors, done.files), (2, 1, 2));
    let alone = SourceSpec { path: "m/bad.{src}-{tgt}.{lang}".into(), ..spec };
    for _ in 0..2 {
        let out = place.dir.path().join("alone");
        let error = ingest(
            std::slice::from_ref(&alone),
            place.dir.path(),
            &out,
            &Options::default(),
            &|_, _| {},
        )
        .unwrap_err();
        assert!(error.to_string().contains("has 3 lines and"), "{error}");
        assert!(!out.join(MANIFEST).exists());
    }
}

#[test]
fn mistakes_are_told_before_anything_is_written() {
    let place = many();
    let fails = |specs: &[SourceSpec]| {
        let error = place.ingest(specs, &Options::default()).unwrap_err().to_string();
        assert!(!place.out().join(MANIFEST).exists());
        error
    };
    assert!(fails(&[SourceSpec::new("s", "in/*.tsv")]).contains("no file matches `in/*.tsv`"));
    let pairs = SourceSpec { into: Some(Into::Pairs), ..SourceSpec::new("p", "in/*.jsonl") };
    assert!(fails(&[wiki().remove(0), pairs.clone()]).contains("one ingest fills one table"));
    assert!(fails(&[pairs]).contains("the languages of the pairs are not given"));
    assert!(fails(&[wiki(), wiki()].concat()).contains("two sources are named `wiki`"));
    let mut spec = wiki().remove(0);
    spec.columns.insert("text".into(), Column::Name("body".into()));
    assert!(fails(&[spec]).contains("column `body` is missing; there are: text"));
    assert!(fails(&[]).contains("there is no source"));
}

#[test]
fn an_output_that_cannot_be_written_is_an_io_error() {
    let place = many();
    place.put("tables", b"a file where a folder should be");
    let error = place.ingest(&wiki(), &Options::default()).unwrap_err();
    assert_eq!(error.kind(), crate::error::Kind::Io);
}

#[test]
fn labelled_rows_have_what_their_paths_say() {
    let place = Place::new(&[
        ("senti/yor/train.tsv", "tweet\tlabel\nÓ dára\tpositive\n".as_bytes()),
        ("senti/swa/test.tsv", b"tweet\tlabel\nmbaya\tnegative\n"),
    ]);
    let mut spec = SourceSpec::new("senti", "senti/{lang}/{split}.tsv");
    spec.columns.insert("text".into(), Column::Name("tweet".into()));
    let done = place.small(&[spec]);
    assert_eq!(done.manifest.node, "labelled");
    let rows: BTreeSet<Vec<String>> = ["text", "label", "lang", "split"]
        .map(|c| place.column(c).into_iter().map(Option::unwrap).collect::<Vec<_>>())
        .into_iter()
        .fold(vec![Vec::new(); 2], |mut rows: Vec<Vec<String>>, column| {
            rows.iter_mut().zip(column).for_each(|(row, value)| row.push(value));
            rows
        })
        .into_iter()
        .collect();
    let want =
        [["mbaya", "negative", "swh_Latn", "test"], ["Ó dára", "positive", "yor_Latn", "train"]];
    assert_eq!(rows, want.map(|row| row.map(str::to_string).to_vec()).into());
}

/// The real data, or `None` with a word about it.
fn data() -> Option<PathBuf> {
    let root = PathBuf::from(".").join("../shared/data");
    if root.join("MANIFEST.tsv").is_file() {
        return Some(root);
    }
    let _ = std::io::Write::write_all(
        &mut std::io::stderr(),
        b"skipped: ../shared/data is not there\n",
    );
    None
}

#[test]
fn real_files_give_the_rows_of_their_manifest() {
    let Some(data) = data() else { return };
    let manifest = fs::read_to_string(data.join("MANIFEST.tsv")).unwrap();
    let rows = |prefix: &str| -> u64 {
        let lines = manifest.lines().filter(|l| l.starts_with(prefix));
        lines.map(|l| l.split('\t').nth(3).unwrap().parse::<u64>().unwrap()).sum()
    };
    // What is read, and the rows of the manifest that it should give.
    let cases: &[(&str, &[(&str, i64)])] = &[
        ("path = 'jsonl/*'", &[("jsonl/", 1)]),
        (
            "path = 'tsv/afrisenti/{lang}.{split}.tsv.gz'\ncolumns = { text = 'tweet' }",
            &[("tsv/afrisenti/", 1)],
        ),
        (
            "path = 'tsv/sib200/*'\ncolumns = { label = 'category', group = 'index_id' }",
            &[("tsv/sib200/", 1)],
        ),
        (
            "path = 'tsv/mlqe-pe/{src}-{tgt}.{split}.tsv.gz'\ninto = 'pairs'\n\
             columns = { src = 'original', tgt = 'translation', score = 'mean' }",
            &[("tsv/mlqe-pe/", 1)],
        ),
        (
            "path = 'tsv/lohelp/lohelp.{src}-{tgt}.tsv.gz'\ncolumns = { src = 3, tgt = 4 }",
            &[("tsv/lohelp/", 1)],
        ),
        ("path = 'csv/nusax/senti.{name}.{split}.csv.gz'", &[("csv/nusax/senti", 1)]),
        (
            "path = 'csv/nusax/mt.*'\nlangs = ['ind', 'ace']\n\
             columns = { src = 'indonesian', tgt = 'acehnese' }",
            &[("csv/nusax/mt", 1)],
        ),
        (
            "path = 'moses/tatoeba/tatoeba.{src}-{tgt}.{lang}.gz'\n\
             exclude = ['*.ber-eng.*']",
            &[("parquet/tatoeba-pairs", 1), ("moses/tatoeba/tatoeba.ber-eng.ber", -1)],
        ),
        (
            "path = 'moses/bible/bible.{src}-{tgt}.{src}.gz'",
            &[("moses/bible/bible.swa-zul.swa", 1), ("moses/bible/bible.lav-ukr.ukr", 1)],
        ),
        (
            "path = 'moses/lohelp/lohelp.dev.{lang}.gz'\nlangs = ['en', 'ja', 'zh-CN', 'pt-BR']",
            &[("moses/lohelp/lohelp.dev.en.gz", 3)],
        ),
        (
            "path = 'moses/ntrex/ntrex.dev.{lang}.gz'\nformat = 'lines'\n\
             exclude = ['*.docids.gz']",
            &[("moses/ntrex/", 1), ("moses/ntrex/ntrex.dev.docids", -1)],
        ),
        ("path = 'parquet/sib200*'\ncolumns = { label = 'category' }", &[("parquet/sib200", 1)]),
        ("path = 'parquet/lohelp*'", &[("parquet/lohelp", 1)]),
    ];
    for (text, want) in cases {
        let out = tempfile::tempdir().unwrap();
        let spec = SourceSpec { name: "real".into(), ..toml::from_str(text).unwrap() };
        let done = ingest(&[spec], &data, out.path(), &Options::default(), &|_, _| {})
            .unwrap_or_else(|e| panic!("{text}: {e} ({:?})", e.hint()));
        let want: i64 = want.iter().map(|(prefix, times)| rows(prefix) as i64 * times).sum();
        let got = done.manifest.rows_out + done.manifest.errors;
        assert_eq!((got as i64, done.manifest.errors), (want, 0), "{text}");
    }
}
