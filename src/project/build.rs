//! Building: which nodes are out of date and why, and making them in order.
//!
//! A node is up to date when its manifest carries the key that its ingredients have now. What a
//! node is made from comes before it, and counts by content: an input that was rebuilt to the
//! same bytes changes nothing below it.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::Project;
use super::beside::{Beside, missing};
use super::key::Ingredients;
use super::learn::Ranks;
use super::node::{MIX_QUERY, Node};
use crate::error::{Error, Result};
use crate::sql::session::{Session, SessionOptions};
use crate::store::manifest::{MANIFEST, Manifest};
use crate::store::table::sweep;
use crate::token::Tokenizer;
use crate::token::functions::Named;

/// How to build.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Build the nodes asked for even if they are up to date.
    pub force: bool,
    /// Only tell what would be built.
    pub dry_run: bool,
    /// Memory for queries in bytes; the project file's when left out.
    pub memory_limit: Option<usize>,
    /// Threads; the project file's when left out, then the machine's.
    pub threads: Option<usize>,
    /// Continue training runs that were interrupted.
    pub resume: bool,
    /// Once it is true, a training run saves and ends, and nothing more is built.
    pub stop: Arc<AtomicBool>,
    /// Rows of sources that may be unreadable, as in [`crate::ingest::Options`].
    pub max_errors: Option<u64>,
}

/// What became of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It was made now.
    Built,
    /// It needed nothing.
    UpToDate,
    /// A dry run would make it.
    WouldBuild,
    /// It was asked to stop before it was done, and can go on.
    Stopped,
}

/// One node's part in a run.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Its name.
    pub node: String,
    /// What became of it.
    pub state: State,
    /// Why it was built, in words.
    pub why: Vec<String>,
    /// Whether it was asked for, rather than needed by another.
    pub asked: bool,
    /// What `rows` counts.
    pub unit: &'static str,
    /// Rows written.
    pub rows: Option<u64>,
    /// Rows dropped by reason.
    pub dropped: BTreeMap<String, u64>,
    /// Rows that could not be read.
    pub errors: u64,
    /// Rows that a check returned.
    pub failures: u64,
}

/// Told what happens; called from several threads.
pub trait Observer: Sync {
    /// A node is being built, and why.
    fn started(&self, _node: &str, _why: &[String]) {}
    /// How far the node is, in `unit`s.
    fn progress(&self, _done: u64, _total: Option<u64>, _unit: &str) {}
    /// Something worth a line.
    fn note(&self, _text: &str) {}
    /// A node is done.
    fn finished(&self, _outcome: &Outcome) {}
}

/// Listens to nothing.
pub struct Silent;

impl Observer for Silent {}

/// Builds the named nodes and all they need; no names: all data nodes, then the checks.
pub fn run(
    project: &Project,
    names: &[String],
    options: &Options,
    observer: &dyn Observer,
) -> Result<Vec<Outcome>> {
    let nodes = project.plan(names)?;
    let trains = nodes.iter().any(|node| matches!(node, Node::Train(_)));
    let ranks = Ranks::new(trains && !options.dry_run)?;
    let observer = if ranks.leads() { observer } else { &Silent };
    let built = run_nodes(project, names, &nodes, options, observer, &ranks);
    if let Err(error) = &built {
        ranks.last_words(error);
    }
    ranks.leave();
    built
}

/// Of several processes that train together the first one builds what a run needs; the others wait
/// for it, and write nothing.
fn run_nodes(
    project: &Project,
    names: &[String],
    nodes: &[Node],
    options: &Options,
    observer: &dyn Observer,
    ranks: &Ranks,
) -> Result<Vec<Outcome>> {
    let _lock = if ranks.leads() { Some(lock(project)?) } else { None };
    for node in nodes {
        if let Some(lacking) = project.lacks(node) {
            return Err(Error::usage(format!("node `{node}` needs {lacking}"))
                .hint_with(format!("add {lacking} to {}", super::config::PROJECT_FILE)));
        }
    }
    let mut builder = Builder::new(project, options.clone(), observer)?;
    let mut awaited = Vec::new();
    for node in nodes {
        let asked = names.is_empty() || names.contains(&node.to_string());
        if matches!(node, Node::Train(_)) {
            ranks.barrier()?;
            awaited.drain(..).try_for_each(|node| builder.take_up(node))?;
        } else if !ranks.leads() {
            awaited.push(node);
            continue;
        }
        builder.node(node, asked)?;
        if builder.stopped.get() {
            return Ok(builder.outcomes);
        }
    }
    if names.is_empty() && !options.dry_run {
        builder.checks()?;
    }
    Ok(builder.outcomes)
}

/// Proves on a run of the project, from its own beginning, that going on after a stop changes
/// nothing; returns what was found in words. Errors with what differs.
pub fn verify_resume(
    project: &Project,
    name: &str,
    options: &Options,
    observer: &dyn Observer,
) -> Result<String> {
    let _lock = lock(project)?;
    let train = Node::Train(name.into());
    let nodes = project.plan(&[train.to_string()])?;
    let mut builder = Builder::new(project, options.clone(), observer)?;
    for node in nodes.iter().filter(|node| **node != train) {
        builder.node(node, false)?;
    }
    builder.verify_resume(name).map_err(|e| e.within(train))
}

/// A session with every committed table of a project. Tables and tokenizers are opened when a
/// query first asks for them: one that is damaged does not keep the others from being read.
pub fn session(project: &Project, options: &Options) -> Result<Session> {
    let mut session = Session::new(session_options(project, options)?)?;
    for node in project.nodes()? {
        if !register(project, &mut session, &node)? {
            let hint = format!("`hexapla run {node}` builds it");
            for name in tables_of(&node) {
                session.add_unbuilt(&name, &hint)?;
            }
        }
    }
    super::text::register(project, &mut session);
    Ok(session)
}

/// Makes nodes one after the other over one session.
pub(super) struct Builder<'a> {
    pub project: &'a Project,
    pub options: Options,
    pub observer: &'a dyn Observer,
    pub session: Session,
    pub tokenizers: BTreeMap<String, Arc<Tokenizer>>,
    /// Whether the node at hand is to be built from nothing.
    pub forced: bool,
    /// Whether a training run was asked to stop.
    pub stopped: Cell<bool>,
    changed: Vec<Node>,
    outcomes: Vec<Outcome>,
}

impl<'a> Builder<'a> {
    fn new(project: &'a Project, options: Options, observer: &'a dyn Observer) -> Result<Self> {
        let session = Session::new(session_options(project, &options)?)?;
        Ok(Self {
            project,
            options,
            observer,
            session,
            tokenizers: BTreeMap::new(),
            forced: false,
            stopped: Cell::new(false),
            changed: Vec::new(),
            outcomes: Vec::new(),
        })
    }

    fn node(&mut self, node: &Node, asked: bool) -> Result<()> {
        let dir = self.dir(node);
        let old = Manifest::read(&dir)?;
        let mut why = Vec::new();
        if self.options.dry_run {
            let needs = self.project.needs(node)?;
            let changed = needs.iter().filter(|n| self.changed.contains(n));
            why.extend(changed.map(|n| format!("{n} would change")));
        }
        let mut ingredients = None;
        if why.is_empty() {
            let found = self.ingredients(node).map_err(|e| e.within(node))?;
            why = found.changes(old.as_ref());
            ingredients = Some(found);
        }
        let beside = match &old {
            Some(old) if why.is_empty() && node.is_data() => {
                let beside = Beside::of(node, &dir, old).map_err(|e| e.within(node))?;
                why.extend(missing(&dir, old, ""));
                why.extend(beside.iter().filter_map(Beside::missing));
                beside
            }
            _ => Vec::new(),
        };
        self.forced = self.options.force && asked;
        if self.forced && why.is_empty() {
            why.push("forced".into());
        }
        let state = match (why.is_empty(), self.options.dry_run) {
            (true, _) => State::UpToDate,
            (false, true) => State::WouldBuild,
            (false, false) => State::Built,
        };
        if let Some(old) = &old
            && state == State::UpToDate
            && !self.options.dry_run
            && node.is_data()
        {
            // What a killed run left of another version that nobody asks for any more.
            sweep(&dir, old).map_err(|e| e.within(node))?;
            beside.iter().try_for_each(Beside::sweep).map_err(|e| e.within(node))?;
        }
        let manifest = match (state, ingredients) {
            (State::Built, Some(ingredients)) => {
                self.observer.started(&node.to_string(), &why);
                self.build(node, ingredients, old.as_ref()).map_err(|e| e.within(node))?
            }
            _ => old.unwrap_or_default(),
        };
        let state = if self.stopped.get() { State::Stopped } else { state };
        if state == State::WouldBuild {
            self.changed.push(node.clone());
        } else {
            self.take_up(node).map_err(|e| e.within(node))?;
        }
        self.outcomes.push(Outcome {
            node: node.to_string(),
            state,
            why,
            asked,
            unit: match node {
                Node::Tokenizer(_) => "tokens",
                Node::Train(_) => "steps",
                _ => "rows",
            },
            rows: Some(manifest.rows_out),
            dropped: manifest.dropped,
            errors: manifest.errors,
            failures: 0,
        });
        if let Some(outcome) = self.outcomes.last() {
            self.observer.finished(outcome);
        }
        Ok(())
    }

    /// What the node's content is a function of now.
    fn ingredients(&self, node: &Node) -> Result<Ingredients> {
        let mut found = Ingredients::default();
        found.add("hexapla", env!("CARGO_PKG_VERSION"));
        for need in self.project.needs(node)? {
            let manifest = Manifest::expect(&self.dir(&need))?;
            found.add(need.to_string(), manifest.content());
        }
        for table in self.project.dropped_read(node)? {
            // It may change where the table of what is kept does not.
            let manifest = Manifest::read(&self.project.dir.join("tables").join(&table))?;
            found.add(table, manifest.map(|m| m.content()).unwrap_or_default());
        }
        match node {
            Node::Source(table) => self.source_ingredients(table, &mut found)?,
            Node::Query(name) => self.query_ingredients(name, &mut found)?,
            Node::Tokenizer(name) => self.tokenizer_ingredients(name, &mut found)?,
            Node::Mix(name) => self.mix_ingredients(name, &mut found)?,
            Node::Pack(name) => self.pack_ingredients(name, &mut found)?,
            Node::Train(name) => self.train_ingredients(name, &mut found)?,
            Node::Eval(name) => self.eval_ingredients(name, &mut found)?,
            Node::Export(name) => self.export_ingredients(name, &mut found)?,
        }
        Ok(found)
    }

    fn build(
        &mut self,
        node: &Node,
        ingredients: Ingredients,
        old: Option<&Manifest>,
    ) -> Result<Manifest> {
        let manifest = Manifest {
            node: node.to_string(),
            version: env!("CARGO_PKG_VERSION").into(),
            key: ingredients.digest(),
            inputs: ingredients.into_inputs(),
            seed: self.project.config.seed,
            ..Manifest::default()
        };
        match node {
            Node::Source(table) => self.build_source(table, manifest),
            Node::Query(name) => self.build_query(name, manifest, old),
            Node::Tokenizer(name) => self.build_tokenizer(name, manifest),
            Node::Mix(name) => self.build_mix(name, manifest),
            Node::Pack(name) => self.build_pack(name, manifest),
            Node::Train(name) => self.build_train(name, manifest, old),
            Node::Eval(name) => self.build_eval(name, manifest),
            Node::Export(name) => self.build_export(name, manifest),
        }
    }

    /// Makes a node known to those after it.
    fn take_up(&mut self, node: &Node) -> Result<()> {
        register(self.project, &mut self.session, node)?;
        if let Node::Tokenizer(name) = node {
            let tokenizer = Tokenizer::load(&self.dir(node))
                .map_err(|e| e.hint_with(format!("`hexapla run --force {node}` makes it anew")))?;
            self.tokenizers.insert(name.clone(), Arc::new(tokenizer));
            let known = self.tokenizers.iter();
            let named = known.map(|(name, t)| (name.clone(), Named::loaded(t.clone()))).collect();
            super::text::add_kernels(&mut self.session, named);
        }
        Ok(())
    }

    /// Runs the project's checks: rows returned are failures.
    fn checks(&mut self) -> Result<()> {
        for check in &self.project.checks {
            let name = format!("checks/{}", check.name);
            self.observer.started(&name, &[]);
            let sql = self.bound(check, &BTreeMap::new()).map_err(|e| e.within(&name))?;
            let batches = self.session.query(&sql).map_err(|e| e.within(&name))?;
            let failures = batches.iter().map(|b| b.num_rows() as u64).sum();
            if failures > 0 {
                self.observer.note(&format!("{name}: {failures} rows fail: {}", check.doc));
            }
            let outcome = Outcome {
                node: name,
                state: State::Built,
                why: Vec::new(),
                asked: true,
                unit: "failures",
                rows: Some(failures),
                dropped: BTreeMap::new(),
                errors: 0,
                failures,
            };
            self.observer.finished(&outcome);
            self.outcomes.push(outcome);
        }
        Ok(())
    }

    /// Where a node lies.
    pub fn dir(&self, node: &Node) -> PathBuf {
        self.project.dir.join(node.folder())
    }

    /// Bytes of memory in force; `None` for no limit.
    pub fn memory_limit(&self) -> Result<Option<usize>> {
        Ok(session_options(self.project, &self.options)?.memory_limit)
    }

    /// Threads in force.
    pub fn threads(&self) -> usize {
        threads(self.project, &self.options)
    }
}

/// The tables that a node makes, its own first.
pub(super) fn tables_of(node: &Node) -> Vec<String> {
    match node {
        Node::Source(_) | Node::Eval(_) => vec![node.to_string()],
        Node::Query(name) => vec![name.clone(), format!("{name}_dropped")],
        Node::Mix(name) => vec![node.to_string(), format!("{MIX_QUERY}.{name}")],
        Node::Tokenizer(_) | Node::Pack(_) | Node::Train(_) | Node::Export(_) => Vec::new(),
    }
}

/// Makes a committed node's tables known to a session, and tells whether it is committed.
fn register(project: &Project, session: &mut Session, node: &Node) -> Result<bool> {
    let dir = |name: &str| project.dir.join("tables").join(name);
    let names = tables_of(node);
    let there: Vec<bool> = names.iter().map(|name| dir(name).join(MANIFEST).is_file()).collect();
    if there.first() != Some(&true) {
        return Ok(false);
    }
    for (name, _) in names.iter().zip(there).filter(|(_, there)| *there) {
        session.add_folder(name, &dir(name))?;
    }
    Ok(true)
}

fn session_options(project: &Project, options: &Options) -> Result<SessionOptions> {
    let from_file = project.config.memory_limit.as_deref();
    let memory_limit = match options.memory_limit {
        Some(bytes) => Some(bytes),
        None => from_file.map(super::config::parse_bytes).transpose()?.or_else(half_the_memory),
    };
    Ok(SessionOptions {
        memory_limit,
        threads: Some(threads(project, options)),
        dir: Some(project.dir.clone()),
        ..SessionOptions::default()
    })
}

/// Half of the machine's memory in bytes, where the system tells it as Linux does.
fn half_the_memory() -> Option<usize> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|l| l.strip_prefix("MemTotal:"))?;
    let kib: usize = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kib * 1024 / 2)
}

fn threads(project: &Project, options: &Options) -> usize {
    let machine = || std::thread::available_parallelism().map_or(1, usize::from);
    options.threads.or(project.config.threads).unwrap_or_else(machine).clamp(1, 256)
}

/// Two runs over one project would sweep each other's parts: the second is refused.
fn lock(project: &Project) -> Result<File> {
    let path = project.dir.join(".hexapla.lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(|e| Error::io(&path, e))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(Error::usage(format!(
            "{}: another hexapla is building this project",
            project.dir.display()
        ))
        .hint_with("wait until it has ended; `--project` names another folder")),
        Err(fs::TryLockError::Error(e)) => Err(Error::io(&path, e)),
    }
}

/// The plan of a mixture over what was last measured, as rows of the table `mix`.
pub fn mix_plan(project: &Project, name: &str) -> Result<arrow::array::RecordBatch> {
    let config = project.mix(name)?;
    let session = session(project, &Options::default())?;
    let planned = super::mixture::stages(project, &session, config);
    super::mixture::batch(config, &planned.map_err(|e| e.within(format!("mix `{name}`")))?)
}
