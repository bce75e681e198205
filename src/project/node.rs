//! Nodes: everything a project can build, by name, with what each needs.
//!
//! A node's name is what a user types: `kept`, `tokenizer.main`, `train.pretrain`. Lists of nodes
//! are in a build order: what a node needs stands before it. Nothing is read but the project file
//! and the queries, and nothing is built.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;

use super::Project;
use crate::error::{Error, Result};

/// The tables that sources are read into, in their order.
pub const SOURCE_TABLES: &[&str] = &["documents", "pairs", "labelled"];

/// The queries that a mixture runs for itself, once per mixture.
pub const MIX_QUERY: &str = "selection";

/// Something that can be built.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Node {
    /// One of [`SOURCE_TABLES`], read from the sources.
    Source(String),
    /// The table of a query.
    Query(String),
    /// `tokenizer.X`.
    Tokenizer(String),
    /// `mix.X`: the plan and the selection.
    Mix(String),
    /// `pack.X`.
    Pack(String),
    /// `train.X`.
    Train(String),
    /// `eval.X`.
    Eval(String),
    /// `export.X`.
    Export(String),
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Node::Source(name) | Node::Query(name) => f.write_str(name),
            Node::Tokenizer(name) => write!(f, "tokenizer.{name}"),
            Node::Mix(name) => write!(f, "mix.{name}"),
            Node::Pack(name) => write!(f, "pack.{name}"),
            Node::Train(name) => write!(f, "train.{name}"),
            Node::Eval(name) => write!(f, "eval.{name}"),
            Node::Export(name) => write!(f, "export.{name}"),
        }
    }
}

impl Node {
    /// The folder it is built in, relative to the project.
    pub fn folder(&self) -> PathBuf {
        match self {
            Node::Source(name) | Node::Query(name) => PathBuf::from("tables").join(name),
            Node::Tokenizer(name) => PathBuf::from("tokenizers").join(name),
            Node::Mix(_) | Node::Eval(_) => PathBuf::from("tables").join(self.to_string()),
            Node::Pack(name) => PathBuf::from("packs").join(name),
            Node::Train(name) => PathBuf::from("runs").join(name),
            Node::Export(name) => PathBuf::from("exports").join(name),
        }
    }

    /// Whether a plain `hexapla run` builds it; training costs hours and has its own verb.
    pub fn is_data(&self) -> bool {
        !matches!(self, Node::Train(_) | Node::Eval(_))
    }
}

impl Project {
    /// All nodes of the project in a build order.
    pub fn nodes(&self) -> Result<Vec<Node>> {
        let mut all: Vec<Node> =
            SOURCE_TABLES.iter().map(|n| Node::Source((*n).to_string())).collect();
        all.extend(
            self.queries
                .iter()
                .filter(|q| q.name != MIX_QUERY)
                .map(|q| Node::Query(q.name.clone())),
        );
        all.extend(self.config.tokenizer.keys().cloned().map(Node::Tokenizer));
        all.extend(self.config.mix.keys().cloned().map(Node::Mix));
        all.extend(self.config.pack.keys().cloned().map(Node::Pack));
        all.extend(self.config.train.keys().cloned().map(Node::Train));
        all.extend(self.config.export.keys().cloned().map(Node::Export));
        all.extend(self.config.eval.keys().cloned().map(Node::Eval));
        let mut order = Vec::new();
        for node in &all {
            self.visit(node, &mut Vec::new(), &mut order)?;
        }
        Ok(order)
    }

    /// The nodes named by a user and all they need, in a build order; no names: all data nodes
    /// that the project file has everything for.
    pub fn plan(&self, names: &[String]) -> Result<Vec<Node>> {
        let mut order = Vec::new();
        if names.is_empty() {
            for node in self.nodes()? {
                if node.is_data() && self.lacks(&node).is_none() {
                    self.visit(&node, &mut Vec::new(), &mut order)?;
                }
            }
            return Ok(order);
        }
        for name in names {
            let node = self.node(name)?;
            self.visit(&node, &mut Vec::new(), &mut order)?;
        }
        Ok(order)
    }

    /// The node with a name.
    pub fn node(&self, name: &str) -> Result<Node> {
        let nodes = self.nodes()?;
        if let Some(node) = nodes.iter().find(|n| n.to_string() == name) {
            return Ok(node.clone());
        }
        let names: Vec<String> = nodes.iter().map(Node::to_string).collect();
        Err(Error::unknown("node", name, names.iter().map(String::as_str)))
    }

    /// What a node is made from, directly.
    pub fn needs(&self, node: &Node) -> Result<Vec<Node>> {
        let mut needs = BTreeSet::new();
        match node {
            Node::Source(_) => {}
            Node::Query(name) => {
                let query = self.query(name)?;
                for table in &query.inputs {
                    // A layer over a built-in query reads the version below, which is no node.
                    if table != name {
                        needs.extend(self.table_node(table).map_err(|e| e.within(name))?);
                    }
                }
                if let Some(tokenizer) = self.tokenizer_of(name) {
                    needs.insert(Node::Tokenizer(tokenizer));
                }
            }
            Node::Tokenizer(name) => {
                if self.config.tokenizer.get(name).is_some_and(|t| t.train.is_some()) {
                    for table in ["split", "measured", "documents", "pairs"] {
                        needs.extend(self.table_node(table)?);
                    }
                }
            }
            Node::Mix(_) => needs.extend(self.table_node("sized")?),
            Node::Pack(name) => {
                let pack = self.pack(name)?;
                needs.insert(Node::Mix(pack.mix.clone()));
                needs.insert(Node::Tokenizer(pack.tokenizer.clone()));
                for table in ["split", "measured", "documents", "pairs"] {
                    needs.extend(self.table_node(table)?);
                }
            }
            Node::Train(name) => {
                let run = self.train(name)?;
                if let Some(pack) = &run.pack {
                    self.pack(pack).map_err(|e| e.within(format!("train `{name}`")))?;
                    needs.insert(Node::Pack(pack.clone()));
                }
                if let Some(init) = run.init.as_deref().and_then(|i| i.strip_prefix("train.")) {
                    self.train(init).map_err(|e| e.within(format!("train `{name}`")))?;
                    needs.insert(Node::Train(init.to_string()));
                }
                if let Some(sql) = &run.data {
                    needs.extend(self.tables_in(sql)?);
                }
                if let Some(tokenizer) = self.run_tokenizer(name)? {
                    needs.insert(Node::Tokenizer(tokenizer));
                }
            }
            Node::Eval(name) => {
                let Some(eval) = self.config.eval.get(name) else {
                    let known = self.config.eval.keys().map(String::as_str);
                    return Err(Error::unknown("eval", name, known));
                };
                for run in &eval.runs {
                    let (run, _) = run_reference(run).map_err(|e| e.within(node))?;
                    self.train(&run).map_err(|e| e.within(node))?;
                    needs.insert(Node::Train(run));
                }
                needs.extend(self.tables_in(&eval.data)?);
            }
            Node::Export(name) => {
                let export = self.export(name)?;
                needs.insert(Node::Mix(export.mix));
                needs.extend(export.tokenizer.map(Node::Tokenizer));
                match export.pack {
                    Some(pack) => {
                        needs.insert(Node::Pack(pack));
                    }
                    None => {
                        for table in ["split", "measured", "documents", "pairs"] {
                            needs.extend(self.table_node(table)?);
                        }
                    }
                }
            }
        }
        needs.remove(node);
        Ok(needs.into_iter().collect())
    }

    /// The tables of dropped rows that a node reads.
    pub(super) fn dropped_read(&self, node: &Node) -> Result<Vec<String>> {
        let mut tables = match node {
            Node::Query(name) => self.query(name)?.inputs.clone(),
            Node::Train(name) => match &self.train(name)?.data {
                Some(sql) => crate::sql::tables_read(sql)?,
                None => Vec::new(),
            },
            Node::Eval(name) => match self.config.eval.get(name) {
                Some(eval) => crate::sql::tables_read(&eval.data)?,
                None => Vec::new(),
            },
            _ => Vec::new(),
        };
        tables.retain(|table| table.ends_with("_dropped"));
        Ok(tables)
    }

    /// What the project file lacks for a node to be built, if anything.
    pub fn lacks(&self, node: &Node) -> Option<String> {
        match node {
            Node::Query(name) => {
                if let Some(t) = self.tokenizer_of(name)
                    && !self.config.tokenizer.contains_key(&t)
                {
                    return Some(format!("[tokenizer.{t}]"));
                }
            }
            Node::Tokenizer(name) => {
                if !self.config.tokenizer.contains_key(name) {
                    return Some(format!("[tokenizer.{name}]"));
                }
                return None;
            }
            _ => {}
        }
        self.needs(node).ok()?.iter().find_map(|n| self.lacks(n))
    }

    fn visit(&self, node: &Node, path: &mut Vec<Node>, order: &mut Vec<Node>) -> Result<()> {
        if order.contains(node) {
            return Ok(());
        }
        if path.contains(node) {
            let names: Vec<String> =
                path.iter().skip_while(|n| *n != node).chain([node]).map(Node::to_string).collect();
            return Err(Error::usage(format!("nodes need each other: {}", names.join(" → "))));
        }
        path.push(node.clone());
        for need in self.needs(node)? {
            self.visit(&need, path, order)?;
        }
        path.pop();
        order.push(node.clone());
        Ok(())
    }

    /// The node behind a table that a query reads; `None` for tables that no node makes.
    fn table_node(&self, table: &str) -> Result<Option<Node>> {
        if SOURCE_TABLES.contains(&table) {
            return Ok(Some(Node::Source(table.into())));
        }
        let base = table.strip_suffix("_dropped").unwrap_or(table);
        if self.queries.iter().any(|q| q.name == base) {
            return Ok(Some(Node::Query(base.into())));
        }
        if let Some((kind @ ("mix" | "selection" | "eval"), name)) = table.split_once('.') {
            let node =
                if kind == "eval" { Node::Eval(name.into()) } else { Node::Mix(name.into()) };
            return Ok(Some(node));
        }
        let known =
            SOURCE_TABLES.iter().copied().chain(self.queries.iter().map(|q| q.name.as_str()));
        Err(Error::unknown("table", table, known))
    }

    /// The nodes of all tables that a query's text reads.
    fn tables_in(&self, sql: &str) -> Result<Vec<Node>> {
        let mut nodes = Vec::new();
        for table in crate::sql::tables_read(sql)? {
            nodes.extend(self.table_node(&table)?);
        }
        Ok(nodes)
    }

    /// The tokenizer that a query counts with: the value of its `tokenizer` parameter.
    pub(super) fn tokenizer_of(&self, query: &str) -> Option<String> {
        let query = self.queries.iter().find(|q| q.name == query)?;
        query.params.iter().find(|p| p.name == "tokenizer")?;
        self.params_of(&query.name).ok()?.remove("tokenizer")?.as_text()
    }
}

/// A reference to a run's model: `train.NAME`, or `train.NAME@STEP` for one of its steps.
pub fn run_reference(text: &str) -> Result<(String, Option<u64>)> {
    let bad = || {
        Error::usage(format!("`{text}` names no run"))
            .hint_with("a run is written `train.NAME`, or `train.NAME@STEP` for one step of it")
    };
    let name = text.strip_prefix("train.").ok_or_else(bad)?;
    match name.split_once('@') {
        None => Ok((name.into(), None)),
        Some((name, step)) => Ok((name.into(), Some(step.parse().map_err(|_| bad())?))),
    }
}
