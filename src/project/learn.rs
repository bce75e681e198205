//! Building what learns: training runs and their evaluations, through libtorch.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;

use super::build::Builder;
use super::key::Ingredients;
use super::mixture;
use super::node::{Node, run_reference};
use super::pack::VALIDATION;
use super::text::strings;
use crate::error::{Error, Result};
use crate::eval::{self, Score};
use crate::feed::FeedOptions;
use crate::id;
use crate::store::manifest::{Manifest, Part};
use crate::store::verify::hash_file;
use crate::token::{Tokenizer, pack};
use crate::train::config::TrainConfig;
use crate::train::data::Share;
use crate::train::group::Group;
use crate::train::labelled::Examples;
use crate::train::metrics::Told;
use crate::train::model::{Architecture, Model};
use crate::train::source::{PackRows, PackSource};
use crate::train::validate::HeldOut;
use crate::train::{fresh, predict, retention, run};

/// Rows of an evaluation that a model is asked for at a time.
const BATCH: usize = 64;

/// The processes that train together.
pub(super) struct Ranks(Option<&'static Group>);

impl Ranks {
    /// Meets the others where several train; elsewhere there is one.
    pub fn new(trains: bool) -> Result<Self> {
        Ok(Self(trains.then(Group::of_environment).transpose()?))
    }

    pub fn leads(&self) -> bool {
        self.0.is_none_or(Group::leads)
    }

    pub fn barrier(&self) -> Result<()> {
        self.0.map_or(Ok(()), Group::barrier)
    }

    pub fn last_words(&self, error: &Error) {
        if let Some(group) = self.0 {
            group.last_words(error);
        }
    }

    pub fn leave(&self) {
        if let Some(group) = self.0 {
            group.leave();
        }
    }
}

/// How a run is made.
#[derive(Clone, Copy)]
pub(super) struct How {
    pub resume: bool,
    pub until: Option<u64>,
}

impl Builder<'_> {
    pub(super) fn train_ingredients(&self, name: &str, found: &mut Ingredients) -> Result<()> {
        let config = self.project.train(name)?;
        let json = serde_json::to_value(config).map_err(|e| Error::internal(e.to_string()))?;
        for (key, value) in json.as_object().into_iter().flatten() {
            found.add(key, value.to_string());
        }
        if let Some(model) = config.model.as_ref().and_then(|m| self.project.config.model.get(m)) {
            let json = serde_json::to_string(model).map_err(|e| Error::internal(e.to_string()))?;
            found.add("[model]", json);
        }
        found.add("seed", self.project.config.seed.to_string());
        Ok(())
    }

    pub(super) fn build_train(
        &self,
        name: &str,
        mut manifest: Manifest,
        old: Option<&Manifest>,
    ) -> Result<Manifest> {
        let dir = self.dir(&Node::Train(name.into()));
        self.same_run(&dir, &manifest, old)?;
        let config = self.project.train(name)?;
        // libtorch's threads are its own; the number decides sums, hence results.
        fresh::set_threads(self.threads());
        let seeds = match config.seeds.as_slice() {
            [] => vec![self.project.config.seed],
            seeds => seeds.to_vec(),
        };
        let mut steps = 0;
        for seed in &seeds {
            let dir = if seeds.len() > 1 { dir.join(format!("seed-{seed}")) } else { dir.clone() };
            let how = How { resume: self.options.resume, until: None };
            let outcome = self.one_run(name, config, &dir, *seed, manifest.clone(), how)?;
            if outcome.end == run::End::Stopped {
                let step = outcome.checkpoint.display();
                self.observer.note(&format!("  saved {step}; `--resume` goes on from there"));
                self.stopped.set(true);
                manifest.rows_out = outcome.steps;
                return Ok(manifest);
            }
            steps += outcome.steps;
            let folder = outcome.checkpoint;
            let weights = folder.join("model.safetensors");
            let (xxh3, bytes) = hash_file(&weights)?;
            let base = self.dir(&Node::Train(name.into()));
            let file = weights.strip_prefix(&base).unwrap_or(&weights).display().to_string();
            manifest.parts.push(Part { file, xxh3, bytes, ..Part::default() });
        }
        manifest.rows_out = steps;
        let group = Group::of_environment()?;
        if group.leads() {
            manifest.commit(&dir)?;
        }
        // What comes next may begin with it.
        group.barrier()?;
        Ok(manifest)
    }

    /// Errors when a run, finished or interrupted, was made from something else than it would be
    /// now; how long it goes on and how often it logs and saves may differ when it is resumed.
    fn same_run(&self, dir: &Path, new: &Manifest, old: Option<&Manifest>) -> Result<()> {
        let interrupted = match old {
            Some(_) => None,
            None => match retention::latest(&first_seed(dir))? {
                Some(step) => Manifest::read(&step)?,
                None => None,
            },
        };
        let Some(old) = old.or(interrupted.as_ref()) else { return Ok(()) };
        let names = new.inputs.keys().chain(old.inputs.keys());
        let changed: BTreeSet<&str> = names
            .map(String::as_str)
            .filter(|k| new.inputs.get(*k) != old.inputs.get(*k))
            .collect();
        let fixed: Vec<&str> =
            changed.iter().copied().filter(|k| !run::ADJUSTABLE.contains(k)).collect();
        if fixed.is_empty() && (self.options.resume || changed.is_empty()) {
            return Ok(());
        }
        let (what, hint) = match fixed.is_empty() {
            true => (
                changed.into_iter().collect::<Vec<_>>(),
                "`hexapla train --resume` goes on with it under the new values",
            ),
            false => {
                (fixed, "a run is never overwritten: name another run, or move its folder away")
            }
        };
        Err(Error::usage(format!(
            "the run {} was trained with something else: {} changed",
            dir.display(),
            what.join(", ")
        ))
        .hint_with(hint))
    }

    pub(super) fn one_run(
        &self,
        name: &str,
        config: &TrainConfig,
        dir: &Path,
        seed: u64,
        manifest: Manifest,
        how: How,
    ) -> Result<run::Outcome> {
        let group = Group::of_environment()?;
        let tokenizer_dir = match self.project.run_tokenizer(name)? {
            Some(tokenizer) => self.dir(&Node::Tokenizer(tokenizer)),
            // The folder that the run begins with brings its own.
            None => self.project.dir.join(config.init.as_deref().unwrap_or_default()),
        };
        let init = config.init.as_deref().map(|init| self.init_dir(init, seed));
        let start = match (&config.model, &init) {
            (Some(model), _) => match self.project.config.model.get(model) {
                Some(model) => run::Start::New(model),
                None => return Err(Error::internal(format!("no model `{model}`"))),
            },
            (None, Some(init)) => run::Start::From(init),
            (None, None) => return Err(Error::internal("a run that begins with nothing")),
        };
        let languages = &self.project.config.languages;
        let spec = run::Run {
            dir,
            config,
            start,
            tokenizer: &tokenizer_dir,
            languages,
            seed,
            resume: how.resume,
            manifest,
            group,
            stop: &self.options.stop,
            until: how.until,
        };
        let mut report = |told: Told<'_>| match told {
            _ if !group.leads() => {}
            Told::Note(words) => self.observer.note(words),
            Told::Progress(p) => {
                let what = format!(
                    "steps, loss {:.3}, {:.0} tokens/s, wait {:.1} %",
                    p.loss,
                    p.tokens_per_second,
                    100.0 * p.wait_share
                );
                self.observer.progress(p.step, Some(p.steps), &what);
                if let Some(losses) = &p.validation {
                    self.observer.note(&per_language(p.step, losses));
                }
            }
        };
        if let Some(pack) = &config.pack {
            let dir = self.dir(&Node::Pack(pack.clone()));
            let mix = &self.project.pack(pack)?.mix;
            let pack = Arc::new(pack::open(&dir)?);
            let stages = mixture::feed_stages(self.project, &self.session, mix, &pack)?;
            let options = FeedOptions { batch_rows: config.batch, seed, stages };
            let share = Share { rank: group.rank(), ranks: group.size() };
            let mut source = PackSource::new(pack, &options, share)?;
            // A project may hold nothing out.
            let held = pack::open(&dir.join(VALIDATION)).ok();
            let held =
                held.map(|held| PackRows::new(Arc::new(held), config.batch, config.validate_rows));
            let held = held.as_ref().map(|held| held as &dyn HeldOut);
            return run::pretrain(&spec, &mut source, held, &mut report);
        }
        let Some(sql) = &config.data else {
            return Err(Error::internal("a run without data"));
        };
        let tokenizer = Tokenizer::load(&tokenizer_dir)?;
        let longest = match spec.start {
            run::Start::From(path) => Architecture::read(&retention::resolve(path)?)?.longest(),
            run::Start::New(model) => config.length.or(model.length).unwrap_or(512),
        };
        let rows = Labelled::read(&self.session.query(sql)?)?;
        let labels: Vec<String> =
            rows.labels.iter().cloned().collect::<BTreeSet<_>>().into_iter().collect();
        if labels.len() < 2 {
            return Err(Error::usage(format!(
                "{} rows with {} different labels; a classifier needs at least two",
                rows.labels.len(),
                labels.len()
            ))
            .hint_with("`hexapla sql -c` shows what the run's `data` query gives"));
        }
        let examples = Examples {
            ids: rows.encode(&tokenizer, longest)?,
            labels: rows.labels.iter().map(|l| index_of(&labels, l) as i64).collect(),
            langs: rows.langs.clone(),
        };
        run::finetune(&spec, &examples, &labels, None, &mut report)
    }

    /// Where the weights lie that a run begins with.
    fn init_dir(&self, init: &str, seed: u64) -> PathBuf {
        let Some(name) = init.strip_prefix("train.") else { return self.project.dir.join(init) };
        let dir = self.dir(&Node::Train(name.into()));
        let of_seed = dir.join(format!("seed-{seed}"));
        if of_seed.is_dir() { of_seed } else { first_seed(&dir) }
    }

    pub(super) fn eval_ingredients(&self, name: &str, found: &mut Ingredients) -> Result<()> {
        found.add("eval", format!("{:?}", self.project.config.eval.get(name)));
        Ok(())
    }

    pub(super) fn build_eval(&self, name: &str, mut manifest: Manifest) -> Result<Manifest> {
        let Some(config) = self.project.config.eval.get(name) else {
            return Err(Error::internal(format!("no eval `{name}`")));
        };
        fresh::set_threads(self.threads());
        let batches = self.session.query(&config.data)?;
        let is_retrieval = batches.first().is_some_and(|b| b.column_by_name("src").is_some());
        let mut scores = Vec::new();
        for (i, reference) in config.runs.iter().enumerate() {
            self.observer.progress(i as u64, Some(config.runs.len() as u64), "runs");
            let (run, step) = run_reference(reference)?;
            for (suffix, dir, seed) in self.seeds_of(&run)? {
                let tokenizer = Tokenizer::load(&retention::resolve(&dir)?)?;
                let model = self.model(&run, &dir, step, seed)?;
                let found = if is_retrieval {
                    retrieval(&model, &tokenizer, &Sides::read(&batches)?, config.rows)
                } else {
                    classification(&model, &tokenizer, &Labelled::read(&batches)?, config.rows)
                };
                let found = found.map_err(|e| e.within(reference))?;
                let name = format!("{reference}{suffix}");
                scores.extend(found.into_iter().map(|s| Score { run: name.clone(), ..s }));
            }
        }
        let dir = self.dir(&Node::Eval(name.into()));
        let batch = super::evaluate::batch(&scores)?;
        let mut writer =
            crate::store::part::PartWriter::create(&dir, "", &manifest.key, &batch.schema())?;
        writer.write(&batch)?;
        manifest.parts = vec![writer.finish()?];
        manifest.rows_in = batches.iter().map(|b| b.num_rows() as u64).sum();
        manifest.rows_out = scores.len() as u64;
        manifest.commit(&dir)?;
        crate::store::table::sweep(&dir, &manifest)?;
        Ok(manifest)
    }

    /// The folders of a run, one for each of its seeds, with what tells them apart in a table.
    fn seeds_of(&self, run: &str) -> Result<Vec<(String, PathBuf, u64)>> {
        let dir = self.dir(&Node::Train(run.into()));
        Ok(match self.project.train(run)?.seeds.as_slice() {
            [] => vec![(String::new(), dir, self.project.config.seed)],
            [only] => vec![(String::new(), dir, *only)],
            seeds => seeds
                .iter()
                .map(|s| (format!(" seed {s}"), dir.join(format!("seed-{s}")), *s))
                .collect(),
        })
    }

    /// The model of a run, computing in the run's own numbers; at step 0 as it was drawn, before it
    /// saw anything.
    fn model(&self, run: &str, dir: &Path, step: Option<u64>, seed: u64) -> Result<Model> {
        let config = self.project.train(run)?;
        match step {
            None => fresh::trained(dir, config.dtype),
            Some(0) if config.init.is_some() => {
                Err(Error::usage(format!("train.{run}@0 begins with other weights"))
                    .hint_with("name the run or folder that it begins with"))
            }
            Some(0) => fresh::untrained(dir, seed, config.dtype),
            Some(step) => fresh::trained(&retention::step_dir(dir, step), config.dtype),
        }
    }
}

/// The folder of a run, or of its first seed when it has several.
fn first_seed(dir: &Path) -> PathBuf {
    let mut seeds: Vec<PathBuf> = std::fs::read_dir(dir)
        .into_iter()
        .flatten()
        .filter_map(|e| e.ok().map(|e| e.path()))
        .filter(|p| p.is_dir())
        .filter(|p| p.file_name().is_some_and(|n| n.to_string_lossy().starts_with("seed-")))
        .collect();
    seeds.sort();
    seeds.into_iter().next().unwrap_or_else(|| dir.to_path_buf())
}

fn per_language(step: u64, losses: &BTreeMap<String, f64>) -> String {
    let parts: Vec<String> = losses.iter().map(|(l, v)| format!("{l} {v:.2}")).collect();
    format!("  step {step}, validation, nats per prediction: {}", parts.join(", "))
}

fn index_of(labels: &[String], label: &str) -> usize {
    labels.iter().position(|l| l == label).unwrap_or(usize::MAX)
}

/// Labelled rows in columns.
struct Labelled {
    texts: Vec<String>,
    seconds: Option<Vec<String>>,
    labels: Vec<String>,
    langs: Vec<String>,
}

impl Labelled {
    fn read(batches: &[RecordBatch]) -> Result<Self> {
        let (texts, labels) = (column(batches, "text")?, column(batches, "label")?);
        let langs = column(batches, "lang")?;
        let has_pair = batches.first().is_some_and(|b| b.column_by_name("text_pair").is_some());
        let seconds = if has_pair { Some(column(batches, "text_pair")?) } else { None };
        let mut rows =
            Self { texts: Vec::new(), seconds: None, labels: Vec::new(), langs: Vec::new() };
        let mut pairs = Vec::new();
        for i in 0..texts.len() {
            // A row without a label teaches nothing.
            let (Some(text), Some(label)) = (&texts[i], &labels[i]) else { continue };
            rows.texts.push(text.clone());
            rows.labels.push(label.clone());
            rows.langs.push(langs[i].clone().unwrap_or_else(|| "und".into()));
            pairs.push(seconds.as_ref().and_then(|s| s[i].clone()));
        }
        if pairs.iter().any(Option::is_some) {
            rows.seconds = Some(pairs.into_iter().map(Option::unwrap_or_default).collect());
        }
        Ok(rows)
    }

    fn encode(&self, tokenizer: &Tokenizer, longest: i64) -> Result<Vec<Vec<i32>>> {
        (0..self.texts.len())
            .map(|i| {
                let second = self.seconds.as_ref().map(|s| s[i].as_str());
                encode(tokenizer, &self.texts[i], second, longest)
            })
            .collect()
    }
}

/// Pairs in columns.
struct Sides {
    src: Vec<String>,
    tgt: Vec<String>,
    langs: Vec<String>,
}

impl Sides {
    fn read(batches: &[RecordBatch]) -> Result<Self> {
        let (src, tgt, langs) =
            (column(batches, "src")?, column(batches, "tgt")?, column(batches, "lang")?);
        let mut rows = Self { src: Vec::new(), tgt: Vec::new(), langs: Vec::new() };
        for ((s, t), l) in src.into_iter().zip(tgt).zip(langs) {
            if let (Some(s), Some(t), Some(l)) = (s, t, l) {
                rows.src.push(s);
                rows.tgt.push(t);
                rows.langs.push(l);
            }
        }
        Ok(rows)
    }
}

fn column(batches: &[RecordBatch], name: &str) -> Result<Vec<Option<String>>> {
    let mut values = Vec::new();
    for batch in batches {
        let Ok(i) = batch.schema().index_of(name) else {
            let schema = batch.schema();
            let known = schema.fields().iter().map(|f| f.name().as_str());
            return Err(Error::unknown("column", name, known).within("the `data` query"));
        };
        values.extend(strings(batch, i)?.iter().map(|v| v.map(String::from)));
    }
    Ok(values)
}

/// `<s> A </s>`, or `<s> A </s></s> B </s>`, cut to the model's length.
fn encode(
    tokenizer: &Tokenizer,
    text: &str,
    second: Option<&str>,
    longest: i64,
) -> Result<Vec<i32>> {
    let special = tokenizer.special();
    let longest = usize::try_from(longest).unwrap_or(0).max(8);
    let mut first = tokenizer.encode(text)?;
    let mut ids = vec![special.bos];
    match second {
        None => {
            first.truncate(longest - 2);
            ids.extend(first);
        }
        Some(second) => {
            let mut second = tokenizer.encode(second)?;
            let room = longest - 4;
            if first.len() + second.len() > room {
                let share = room * first.len() / (first.len() + second.len());
                first.truncate(share.clamp(1, room - 1));
                second.truncate(room - first.len());
            }
            ids.extend(first);
            ids.extend([special.eos, special.eos]);
            ids.extend(second);
        }
    }
    ids.push(special.eos);
    Ok(ids)
}

/// At most `rows` indices of each language, drawn by a hash of the text so that the order and the
/// number of the rows around them do not matter; `same` texts count once.
fn drawn(
    langs: &[String],
    key: impl Fn(usize) -> u64,
    rows: usize,
) -> BTreeMap<String, Vec<usize>> {
    let mut by_lang: BTreeMap<String, BTreeMap<u64, usize>> = BTreeMap::new();
    for (i, lang) in langs.iter().enumerate() {
        by_lang.entry(lang.clone()).or_default().entry(key(i)).or_insert(i);
    }
    by_lang
        .into_iter()
        .map(|(lang, keyed)| (lang, keyed.into_values().take(rows).collect()))
        .collect()
}

fn classification(
    model: &Model,
    tokenizer: &Tokenizer,
    rows: &Labelled,
    most: usize,
) -> Result<Vec<Score>> {
    let names = &model.architecture().labels;
    let ids = rows.encode(tokenizer, model.architecture().longest())?;
    let key = |i: usize| id::hash_fields([rows.texts[i].as_str(), rows.labels[i].as_str()]);
    let mut scores = Vec::new();
    for (lang, chosen) in drawn(&rows.langs, key, most) {
        let ids: Vec<Vec<i32>> = chosen.iter().map(|&i| ids[i].clone()).collect();
        let langs = vec![lang.clone(); ids.len()];
        // A class that training never saw can only be missed.
        let gold: Vec<usize> = chosen.iter().map(|&i| index_of(names, &rows.labels[i])).collect();
        let answers: Vec<usize> = predict::classify(model, &ids, &langs, BATCH)?
            .iter()
            .map(|logits| predict::best(logits))
            .collect();
        let majority = eval::majority(&gold);
        let score = |metric, value, baseline_majority| Score {
            run: String::new(),
            task: "classification",
            lang: lang.clone(),
            metric,
            value,
            n: gold.len() as u64,
            baseline_majority,
        };
        scores.push(score("accuracy", eval::accuracy(&answers, &gold), Some(majority)));
        scores.push(score("macro_f1", eval::macro_f1(&answers, &gold), None));
    }
    Ok(scores)
}

fn retrieval(
    model: &Model,
    tokenizer: &Tokenizer,
    rows: &Sides,
    most: usize,
) -> Result<Vec<Score>> {
    let longest = model.architecture().longest();
    // XTREME's Tatoeba protocol reads layer 7 of 12 (13 of 24): the upper ones serve the masked
    // words, not the meaning.
    let layer = (model.architecture().layers as usize * 7).div_ceil(12);
    // Two equal texts on one side would have one vector and two right answers.
    let mut scores = Vec::new();
    for (lang, chosen) in drawn(&rows.langs, |i| id::hash64(rows.src[i].as_bytes()), usize::MAX) {
        let mut seen = BTreeSet::new();
        let chosen: Vec<usize> = chosen
            .into_iter()
            .filter(|&i| rows.src[i] != rows.tgt[i] && seen.insert(rows.tgt[i].as_str()))
            .take(most)
            .collect();
        let side = |texts: &[String]| -> Result<Vec<Vec<f32>>> {
            let ids = chosen
                .iter()
                .map(|&i| encode(tokenizer, &texts[i], None, longest))
                .collect::<Result<Vec<_>>>()?;
            predict::embed(model, &ids, &vec![lang.clone(); ids.len()], Some(layer), BATCH)
        };
        let (src, tgt) = (side(&rows.src)?, side(&rows.tgt)?);
        for (metric, value) in [
            ("from_english", eval::retrieval(&src, &tgt)),
            ("to_english", eval::retrieval(&tgt, &src)),
        ] {
            scores.push(Score {
                run: String::new(),
                task: "retrieval",
                lang: lang.clone(),
                metric,
                value,
                n: chosen.len() as u64,
                baseline_majority: None,
            });
        }
    }
    Ok(scores)
}
