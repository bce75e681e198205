//! The whole way from tables on disk to the page, on a small project in twelve languages.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, RecordBatch, StringArray, StructArray, UInt32Array,
    UInt64Array,
};
use arrow::datatypes::{DataType, Field, Schema};

use super::*;
use crate::id;
use crate::store::manifest::Manifest;
use crate::store::part::PartWriter;

/// Language, how many documents it has, a sentence.
const LANGUAGES: &[(&str, u64, &str)] = &[
    ("eng_Latn", 420, "Choose a file & press <b>Save</b> to keep your changes."),
    ("deu_Latn", 260, "Wählen Sie eine Datei aus und speichern Sie Ihre Änderungen."),
    ("fra_Latn", 240, "Choisissez un fichier puis enregistrez vos modifications."),
    ("rus_Cyrl", 200, "Выберите файл и сохраните изменения."),
    ("jpn_Jpan", 160, "ファイルを選択して、変更を保存してください。"),
    ("cmn_Hans", 150, "请选择一个文件并保存您的更改。"),
    ("arb_Arab", 110, "اختر ملفًا ثم احفظ التغييرات."),
    ("heb_Hebr", 80, "בחרו קובץ ושמרו את השינויים."),
    ("hin_Deva", 70, "एक फ़ाइल चुनें और अपने बदलाव सहेजें।"),
    ("tha_Thai", 50, "เลือกไฟล์แล้วบันทึกการเปลี่ยนแปลงของคุณ"),
    ("isl_Latn", 40, "Veldu skrá og vistaðu breytingarnar."),
    ("swh_Latn", 24, "Chagua faili kisha uhifadhi mabadiliko yako."),
];

struct Columns {
    fields: Vec<Field>,
    arrays: Vec<ArrayRef>,
}

impl Columns {
    fn new() -> Self {
        Self { fields: Vec::new(), arrays: Vec::new() }
    }

    fn add(mut self, name: &str, array: ArrayRef) -> Self {
        self.fields.push(Field::new(name, array.data_type().clone(), true));
        self.arrays.push(array);
        self
    }

    fn ids(self, name: &str, values: impl Iterator<Item = u64>) -> Self {
        self.add(name, Arc::new(UInt64Array::from_iter_values(values)))
    }

    fn words<T: AsRef<str>>(self, name: &str, values: impl Iterator<Item = T>) -> Self {
        self.add(name, Arc::new(StringArray::from_iter_values(values)))
    }

    fn numbers(self, name: &str, values: impl Iterator<Item = f64>) -> Self {
        self.add(name, Arc::new(Float64Array::from_iter_values(values)))
    }

    /// Writes a table of two parts.
    fn write(self, project: &Path, table: &str) {
        let schema = Arc::new(Schema::new(self.fields));
        let batch = RecordBatch::try_new(schema.clone(), self.arrays).unwrap();
        let dir = project.join("tables").join(table);
        let half = batch.num_rows() / 2;
        let mut manifest = Manifest { node: table.into(), ..Manifest::default() };
        for (key, from, n) in [("b", half, batch.num_rows() - half), ("a", 0, half)] {
            let mut part = PartWriter::create(&dir, "", key, &schema).unwrap();
            part.write(&batch.slice(from, n)).unwrap();
            manifest.parts.push(part.finish().unwrap());
        }
        manifest.rows_out = batch.num_rows() as u64;
        manifest.commit(&dir).unwrap();
    }
}

#[derive(Clone)]
struct Doc {
    id: u64,
    lang: usize,
    text: String,
    reason: Option<&'static str>,
    cluster: u64,
}

/// Documents whose fate is a function of their number.
fn documents() -> Vec<Doc> {
    let mut docs = Vec::new();
    for (lang, (_, n, sentence)) in LANGUAGES.iter().enumerate() {
        for i in 0..*n {
            let draw = id::uniform(docs.len() as u64, 5);
            let reason = match draw {
                d if d < 0.06 => Some("language"),
                d if d < 0.10 => Some("gopher_short_doc"),
                d if d < 0.13 => Some("<i>symbols</i>"),
                d if d < 0.135 => Some("gopher_dup_line_frac"),
                _ => None,
            };
            let cluster = match draw {
                d if d > 0.97 => 2 + (id::uniform(i, 3).powi(3) * 30.0) as u64,
                _ => 1,
            };
            let text = format!("{sentence} ({i})");
            docs.push(Doc { id: docs.len() as u64 * 3, lang, text, reason, cluster });
        }
    }
    docs
}

fn project(dir: &Path) {
    let docs = documents();
    let lang = |d: &Doc| LANGUAGES[d.lang].0;
    let chars = |d: &Doc| d.text.chars().count() as u64;
    let ids = |docs: &[Doc]| docs.iter().map(|d| d.id).collect::<Vec<_>>().into_iter();
    Columns::new()
        .ids("doc_id", ids(&docs))
        .words("text", docs.iter().map(|d| &d.text))
        .words("lang", docs.iter().map(lang))
        .words("source", docs.iter().map(|_| "help"))
        .write(dir, "documents");
    let detected = StructArray::from(vec![
        (
            Arc::new(Field::new("lang", DataType::Utf8, true)),
            Arc::new(StringArray::from_iter_values(docs.iter().map(lang))) as ArrayRef,
        ),
        (
            Arc::new(Field::new("script", DataType::Utf8, true)),
            Arc::new(StringArray::from_iter_values(docs.iter().map(|d| &lang(d)[4..]))),
        ),
        (
            Arc::new(Field::new("score", DataType::Float64, true)),
            Arc::new(Float64Array::from_iter_values(docs.iter().map(|d| id::uniform(d.id, 1)))),
        ),
        (
            Arc::new(Field::new("reliable", DataType::Boolean, true)),
            Arc::new(BooleanArray::from(vec![true; docs.len()])),
        ),
    ]);
    Columns::new()
        .ids("doc_id", ids(&docs))
        .words("lang", docs.iter().map(lang))
        .add("detected", Arc::new(detected))
        .ids("n_chars", docs.iter().map(chars))
        .write(dir, "measured");
    let (kept, dropped): (Vec<Doc>, Vec<Doc>) =
        docs.iter().cloned().partition(|d| d.reason.is_none());
    Columns::new().ids("doc_id", ids(&kept)).write(dir, "kept");
    Columns::new()
        .ids("doc_id", ids(&dropped))
        .words("reason", dropped.iter().map(|d| d.reason.unwrap()))
        .write(dir, "kept_dropped");
    let (deduped, again): (Vec<Doc>, Vec<Doc>) =
        kept.iter().cloned().partition(|d| d.id % 7 != 0 || d.cluster > 1);
    Columns::new()
        .ids("doc_id", ids(&deduped))
        .ids("cluster_size", deduped.iter().map(|d| d.cluster))
        .write(dir, "deduped");
    Columns::new()
        .ids("doc_id", ids(&again))
        .words("reason", again.iter().map(|d| if d.id % 2 == 0 { "exact" } else { "near" }))
        .write(dir, "deduped_dropped");
    let sized: Vec<Doc> = deduped.iter().filter(|d| d.id % 11 != 0).cloned().collect();
    Columns::new()
        .ids("doc_id", ids(&sized).chain(translated().map(|(id, _)| id)))
        .write(dir, "sized");
    let selected: Vec<Doc> =
        sized.iter().filter(|d| d.lang > 3 || d.id % 5 != 0).cloned().collect();
    Columns::new().ids("doc_id", ids(&selected)).write(dir, "selection");
    pairs(dir);
    mixture(dir);
    runs(dir);
    evaluations(dir);
}

/// Ids of pairs, and the language beside English.
fn translated() -> impl Iterator<Item = (u64, usize)> {
    (0..400u64).map(|i| ((1 << 32) + i, 1 + i as usize % 11))
}

/// English beside each other language; every ninth pair is a copy of its source.
fn pairs(dir: &Path) {
    let rows: Vec<(u64, usize)> = translated().collect();
    let ids = || rows.iter().map(|r| r.0);
    let (english, _, sentence) = LANGUAGES[0];
    let copied = |r: &(u64, usize)| r.0.is_multiple_of(9);
    Columns::new()
        .ids("doc_id", ids())
        .words("src_lang", rows.iter().map(|_| english))
        .words("tgt_lang", rows.iter().map(|r| LANGUAGES[r.1].0))
        .words("src", rows.iter().map(|_| sentence))
        .words("tgt", rows.iter().map(|r| LANGUAGES[if copied(r) { 0 } else { r.1 }].2))
        .words("source", rows.iter().map(|_| "messages"))
        .write(dir, "pairs");
    type Rows<'a> = Vec<&'a (u64, usize)>;
    let (dropped, kept): (Rows<'_>, Rows<'_>) = rows.iter().partition(|r| copied(r));
    Columns::new().ids("doc_id", kept.iter().map(|r| r.0)).write(dir, "pairs_kept");
    Columns::new()
        .ids("doc_id", dropped.iter().map(|r| r.0))
        .words("reason", dropped.iter().map(|_| "copy"))
        .write(dir, "pairs_kept_dropped");
}

fn mixture(dir: &Path) {
    let tempered: Vec<f64> = LANGUAGES.iter().map(|(_, n, _)| (*n as f64).powf(0.3)).collect();
    let total: f64 = tempered.iter().sum();
    let weights: Vec<f64> = tempered.iter().map(|w| w / total).collect();
    let target = |w: &f64| (w * 2e6) as u64;
    Columns::new()
        .add("stage", Arc::new(UInt32Array::from(vec![0; weights.len()])))
        .words("kind", weights.iter().map(|_| "documents"))
        .words("lang", LANGUAGES.iter().map(|l| l.0))
        .ids("available", LANGUAGES.iter().map(|l| l.1 * 900))
        .numbers("weight", weights.iter().copied())
        .ids("target", weights.iter().map(target))
        .numbers(
            "epochs",
            LANGUAGES.iter().zip(&weights).map(|(l, w)| w * 2e6 / l.1 as f64 / 900.0),
        )
        .ids("shortfall", weights.iter().map(|_| 0))
        .write(dir, "mix.main");
}

fn runs(dir: &Path) {
    for (name, steps, groups) in
        [("pretrain", 600u32, LANGUAGES.len()), ("senti", 120, 1), ("senti-random", 120, 1)]
    {
        let mut text = String::new();
        for step in 1..=steps {
            let noise = id::uniform(u64::from(step), 9) - 0.5;
            let decay = (-f64::from(step) / f64::from(steps) * 4.0).exp();
            let mut by = serde_json::Map::new();
            for (i, (lang, _, _)) in LANGUAGES.iter().take(groups).enumerate() {
                let hard = i as f64 * 0.12;
                let noise = id::uniform(u64::from(step), 20 + i as u64) - 0.5;
                if (step as usize + i).is_multiple_of(3) {
                    let y = 3.1 + hard + (6.2 - hard) * decay + noise * 0.5;
                    by.insert(format!("mlm/{lang}"), y.into());
                    if i > 0 && i < 7 {
                        by.insert(format!("tlm/eng_Latn-{lang}"), (y - 0.6).into());
                    }
                }
            }
            let mut line = serde_json::json!({
                "step": step, "tokens": step * 4096, "lr": 5e-4 * decay,
                "loss": 3.4 + 5.8 * decay + noise * 0.3, "grad_norm": 1.0 + noise,
                "bytes_aliased": u64::from(step) * 65_536, "bytes_gathered": 0, "losses": by,
            });
            if step % 100 == 0 {
                line["validation"] = line["losses"].clone();
            }
            text.push_str(&format!("{line}\n"));
        }
        let folder = dir.join("runs").join(name);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("metrics.jsonl"), text).unwrap();
    }
}

fn evaluations(dir: &Path) {
    let mut rows = Vec::new();
    for (i, (lang, _, _)) in LANGUAGES.iter().enumerate() {
        for (run, lift) in [("senti", 0.62), ("senti-random", 0.41)] {
            rows.push((run, *lang, lift - i as f64 * 0.012 + id::uniform(i as u64, 2) * 0.1));
        }
    }
    Columns::new()
        .words("run", rows.iter().map(|r| r.0))
        .words("task", rows.iter().map(|_| "classify"))
        .words("lang", rows.iter().map(|r| r.1))
        .words("metric", rows.iter().map(|_| "accuracy"))
        .numbers("value", rows.iter().map(|r| r.2))
        .ids("n", rows.iter().map(|_| 1_204))
        .numbers("baseline_majority", rows.iter().map(|_| 0.35))
        .write(dir, "eval.zero");
}

#[test]
fn a_page_tells_what_the_tables_hold() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("demo");
    project(&home);
    let report = gather(&home).unwrap();
    let flow = &report.flows[0];
    let rows: Vec<(Stage, u64)> = flow.steps.iter().map(|s| (s.stage, s.rows)).collect();
    assert_eq!(rows.iter().map(|r| r.0).collect::<Vec<_>>(), Stage::ALL);
    assert_eq!(rows[0].1, documents().len() as u64);
    for pair in flow.steps.windows(2) {
        let lost: u64 = pair[1].lost.iter().map(|(_, n)| n).sum();
        assert_eq!(pair[0].rows - lost, pair[1].rows, "{pair:?}");
    }
    assert_eq!(flow.languages.len(), LANGUAGES.len());
    assert!(flow.dropped.iter().all(|rule| !rule.samples.is_empty()));
    assert!(flow.dropped[0].samples[0].note.contains("measured"), "{:?}", flow.dropped[0]);
    assert_eq!(report.runs.len(), 3);
    assert_eq!(report.evals.len(), 24);

    let page = render(&report);
    assert_eq!(page, render(&gather(&home).unwrap()));
    for id in ["summary", "mixture", "flow", "dropped", "duplicates", "training", "evaluation"] {
        assert!(page.contains(&format!("<section id=\"{id}\"")), "{id}");
    }
    // Nothing is fetched, and no data becomes markup.
    for forbidden in ["http:", "https:", "src=", "url(", "@import", "<script", "<i>symbols"] {
        assert!(!page.contains(forbidden), "{forbidden}");
    }
    assert!(page.contains("&lt;i&gt;symbols&lt;/i&gt;"));
    assert!(page.contains("<blockquote dir=\"auto\"><p lang=\"arb-Arab\">"));
    // Every element that was opened is closed.
    for tag in ["section", "figure", "svg", "table", "details", "blockquote", "div", "p", "g"] {
        let opened =
            page.matches(&format!("<{tag}>")).count() + page.matches(&format!("<{tag} ")).count();
        assert_eq!(opened, page.matches(&format!("</{tag}>")).count(), "{tag}");
    }
}

#[test]
fn a_cluster_with_several_survivors_is_one() {
    let dir = tempfile::tempdir().unwrap();
    let texts = ["einn", "два", "三", "four", "خمسة"];
    Columns::new()
        .ids("doc_id", 1..6)
        .words("text", texts.into_iter())
        .words("source", texts.iter().map(|_| "a"))
        .write(dir.path(), "documents");
    Columns::new()
        .ids("doc_id", [1, 2, 4, 5].into_iter())
        .ids("cluster_id", [1, 2, 1, 5].into_iter())
        .ids("cluster_size", [9, 2, 9, 1].into_iter())
        .write(dir.path(), "deduped");
    let report = gather(dir.path()).unwrap();
    let clusters = report.flows[0].clusters.as_ref().unwrap();
    assert_eq!(clusters.sizes, [(2, 2, 1), (9, 16, 1)]);
    assert_eq!((clusters.alone, clusters.survivors), (1, 3));
    let largest = clusters.largest.iter().map(|group| (group.size, group.kept.doc_id));
    assert_eq!(largest.collect::<Vec<_>>(), [(9, 1), (2, 2)]);
}

#[test]
fn what_is_not_there_is_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let report = gather(dir.path()).unwrap();
    assert!(render(&report).contains("nothing to report"));
    Columns::new()
        .ids("doc_id", [1, 2].into_iter())
        .words("text", ["تجربة", "試し"].into_iter())
        .words("source", ["a", "a"].into_iter())
        .write(dir.path(), "documents");
    let report = gather(dir.path()).unwrap();
    assert_eq!(report.flows[0].languages[0].lang, "unknown");
    assert_eq!(report.flows[0].languages[0].chars[0], 7);
    let page = render(&report);
    assert!(page.contains("id=\"mixture\"") && !page.contains("id=\"flow\""));
}

#[test]
fn a_damaged_table_is_named_and_the_rest_is_shown() {
    let dir = tempfile::tempdir().unwrap();
    project(dir.path());
    let whole = gather(dir.path()).unwrap();
    assert!(whole.unreadable.is_empty());
    let tables = dir.path().join("tables");
    for entry in fs::read_dir(&tables).unwrap() {
        let name = entry.unwrap().file_name().to_string_lossy().into_owned();
        let folder = tables.join(&name);
        let manifest = Manifest::read(&folder).unwrap().unwrap();
        let part = folder.join(&manifest.parts[1].file);
        let listed = folder.join("manifest.json");
        let (bytes, text) = (fs::read(&part).unwrap(), fs::read(&listed).unwrap());
        for damage in ["no Parquet", "no part", "no JSON"] {
            match damage {
                "no Parquet" => fs::write(&part, b"PAR1").unwrap(),
                "no part" => fs::remove_file(&part).unwrap(),
                _ => fs::write(&listed, b"{").unwrap(),
            }
            let report = gather(dir.path()).unwrap();
            let [words] = report.unreadable.as_slice() else {
                panic!("{name}, {damage}: {:?}", report.unreadable)
            };
            assert!(words.starts_with(&format!("table `{name}`: ")), "{words}");
            let page = render(&report);
            assert!(page.contains("<section id=\"unreadable\""), "{name}");
            assert!(page.contains("<section id=\"training\""), "{name}");
            let flows = |r: &Report| r.flows.iter().map(|f| f.steps[0].rows).collect::<Vec<_>>();
            // Pairs are not measured here: without their texts there is nothing to count.
            let shown = if name == "pairs" { 1 } else { 2 };
            assert_eq!(flows(&report), flows(&whole)[..shown], "{name}, {damage}");
            fs::write(&part, &bytes).unwrap();
            fs::write(&listed, &text).unwrap();
        }
    }
}

#[test]
fn contamination_is_told_by_benchmark_and_language() {
    let dir = tempfile::tempdir().unwrap();
    Columns::new()
        .ids("doc_id", [1, 1, 1, 4, 5].into_iter())
        .words("benchmark", ["mgsm", "mgsm", "sögur", "mgsm", "mgsm"].into_iter())
        .ids("eval_id", [7, 8, 7, 7, 7].into_iter())
        .words("eval_column", ["text"; 5].into_iter())
        .words("lang", ["cmn_Hans", "cmn_Hans", "isl_Latn", "cmn_Hans", "tha_Thai"].into_iter())
        .numbers("containment", [0.2, 1.0, 0.5, 0.9, 0.25].into_iter())
        .ids("matched", [2, 10, 5, 9, 1].into_iter())
        .words("match", ["小明昨天", "在北京的图书馆", "karl <i>og", "小明", "วันนี้"].into_iter())
        .ids("items", [250, 250, 40, 250, 250].into_iter())
        .ids("too_short", [3, 3, 0, 3, 1].into_iter())
        .write(dir.path(), "contaminated");
    let report = gather(dir.path()).unwrap();
    let found = &report.contaminations[0].benchmarks;
    let told: Vec<_> = found
        .iter()
        .map(|one| (&*one.benchmark, &*one.lang, one.items, one.found, one.documents, one.ngrams))
        .collect();
    let expected = [
        ("mgsm", "cmn_Hans", 250, 2, 2, 21),
        ("mgsm", "tha_Thai", 250, 1, 1, 1),
        ("sögur", "isl_Latn", 40, 1, 1, 5),
    ];
    assert_eq!(told, expected);
    assert_eq!(found[0].sample.texts[0].0, "在北京的图书馆");
    let page = render(&report);
    assert!(page.contains("<section id=\"contamination\"") && page.contains("karl &lt;i&gt;og"));
}
