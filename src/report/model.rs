//! What the page shows, as plain data; how it is drawn is said elsewhere.

/// Everything on the page.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Report {
    /// The project's name, shown as the title.
    pub project: String,
    /// Documents and pairs on their way from the sources to the mixture.
    pub flows: Vec<Flow>,
    /// What the rules of each query cost, where somebody asked them.
    pub costs: Vec<Costs>,
    /// What of evaluation sets stands in documents, where that was asked.
    pub contaminations: Vec<Contamination>,
    /// The mixtures that were planned.
    pub mixes: Vec<Mix>,
    /// What runs were trained on, beside their mixtures' plans.
    pub realised: Vec<Realised>,
    /// The training runs.
    pub runs: Vec<Run>,
    /// All rows of the evaluation tables.
    pub evals: Vec<Eval>,
    /// What could not be read, a sentence each; everything else is shown.
    pub unreadable: Vec<String>,
}

/// What the rules of a query cost, each asked about every row.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Costs {
    /// The query.
    pub query: String,
    /// The rows that it decides about.
    pub rows: u64,
    /// Each rule.
    pub rules: Vec<Cost>,
    /// What each two rules remove together: their reasons, and rows.
    pub together: Vec<([String; 2], u64)>,
}

/// What one rule costs, in rows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Cost {
    /// The reason that it gives.
    pub reason: String,
    /// What it removes, whatever the others do.
    pub all: u64,
    /// What no other rule removes.
    pub alone: u64,
    /// The languages that lose most by it, with what they lose.
    pub langs: Vec<(String, u64)>,
}

/// The two kinds of text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// One text in one language.
    #[default]
    Documents,
    /// A text and its translation.
    Pairs,
}

impl Kind {
    /// The kind's name in tables and words.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Documents => "documents",
            Kind::Pairs => "pairs",
        }
    }
}

/// A point on the way from the sources to the mixture, at which rows are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// As read from the sources.
    Read,
    /// Good enough to train on.
    Kept,
    /// Without duplicates.
    Deduped,
    /// In the training split.
    Training,
    /// Used by the mixture.
    Selected,
}

impl Stage {
    /// All stages in order.
    pub const ALL: [Stage; 5] =
        [Stage::Read, Stage::Kept, Stage::Deduped, Stage::Training, Stage::Selected];

    /// The word that stands beside its numbers.
    pub fn name(self) -> &'static str {
        match self {
            Stage::Read => "read",
            Stage::Kept => "kept",
            Stage::Deduped => "deduplicated",
            Stage::Training => "training split",
            Stage::Selected => "selected",
        }
    }

    /// Its place in [`Stage::ALL`].
    pub fn index(self) -> usize {
        self as usize
    }
}

/// One kind of text on its way.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Flow {
    /// Which kind.
    pub kind: Kind,
    /// Rows that could not be read at all.
    pub unreadable: u64,
    /// The stages there are, in order; the first is [`Stage::Read`].
    pub steps: Vec<Step>,
    /// Per language or pair of languages, by name.
    pub languages: Vec<Language>,
    /// Rows that rules dropped, most first, with samples.
    pub dropped: Vec<Dropped>,
    /// Clusters of duplicates, where deduplication ran.
    pub clusters: Option<Clusters>,
}

/// The rows at a stage, and what was lost since the one before.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// The stage.
    pub stage: Stage,
    /// Rows that are still there.
    pub rows: u64,
    /// Rows lost since the stage before, by reason, most first.
    pub lost: Vec<(String, u64)>,
}

/// One language, or the two of a pair.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Language {
    /// Its tag; of a pair, `src-tgt`.
    pub lang: String,
    /// Rows at each stage of [`Stage::ALL`].
    pub rows: [u64; 5],
    /// Characters at each stage of [`Stage::ALL`].
    pub chars: [u64; 5],
}

/// What one rule dropped.
#[derive(Debug, Clone, PartialEq)]
pub struct Dropped {
    /// The rule's reason.
    pub reason: String,
    /// How many rows it dropped.
    pub rows: u64,
    /// A few of them, drawn by hash.
    pub samples: Vec<Sample>,
}

/// One row, shown to a person.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sample {
    /// Its id.
    pub doc_id: u64,
    /// The text and its language tag; of a pair, both sides.
    pub texts: Vec<(String, String)>,
    /// What was measured on it, in words.
    pub note: String,
}

/// Clusters of duplicates.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Clusters {
    /// Rows without any duplicate.
    pub alone: u64,
    /// Rows of clusters that survive: one of each, or several that are not near each other.
    pub survivors: u64,
    /// How many clusters have a size in a range (both ends included); ranges ascend.
    pub sizes: Vec<(u64, u64, u64)>,
    /// The largest clusters.
    pub largest: Vec<Group>,
}

/// One cluster of duplicates.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Group {
    /// How many rows it has.
    pub size: u64,
    /// A row of it that survives.
    pub kept: Sample,
}

/// A table of documents that hold evaluation items.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Contamination {
    /// The table's name.
    pub table: String,
    /// By benchmark and language, by name. One of which nothing is found is not there.
    pub benchmarks: Vec<Contaminated>,
}

/// What of a benchmark in a language stands in documents.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Contaminated {
    /// The benchmark.
    pub benchmark: String,
    /// The language, empty where none is known.
    pub lang: String,
    /// Items that were looked for.
    pub items: u64,
    /// Items with too few words.
    pub too_short: u64,
    /// Items that were found.
    pub found: u64,
    /// Documents that hold one.
    pub documents: u64,
    /// n-grams that are shared, over all documents and items.
    pub ngrams: u64,
    /// The document that has most of an item, with what it has.
    pub sample: Sample,
}

/// One planned mixture.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Mix {
    /// Its name, such as `main`.
    pub name: String,
    /// Its groups in order of stage and language.
    pub shares: Vec<Share>,
}

/// What a mixture plans for one group in one stage.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Share {
    /// The stage of training, from 0.
    pub stage: u32,
    /// Documents or pairs.
    pub kind: Kind,
    /// The language; of a pair, `src-tgt`.
    pub lang: String,
    /// Tokens there are.
    pub available: u64,
    /// Share of the stage's tokens.
    pub weight: f64,
    /// Tokens to train on.
    pub target: u64,
    /// How often the available tokens are seen.
    pub epochs: f64,
}

/// What a run was trained on, beside what was planned.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Realised {
    /// The run.
    pub run: String,
    /// The mixture.
    pub mix: String,
    /// Its latest checkpoint, which says what was trained on.
    pub step: u64,
    /// Languages by name: tokens planned until then, and tokens trained on.
    pub languages: Vec<(String, f64, f64)>,
}

/// One training run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Run {
    /// Its folder under `runs/`.
    pub name: String,
    /// Optimizer steps taken.
    pub steps: u64,
    /// Tokens seen.
    pub tokens: u64,
    /// The loss over all objectives, per step.
    pub loss: Curve,
    /// The learning rate, per step.
    pub lr: Curve,
    /// The loss of each objective in each language, by objective, then language.
    pub by: Vec<Loss>,
    /// Other numbers of the last line, such as counters, by name.
    pub counters: Vec<(String, f64)>,
}

/// The loss of one objective in one language.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Loss {
    /// Such as `mlm`.
    pub objective: String,
    /// The language; of a pair, `src-tgt`.
    pub lang: String,
    /// The loss, per step.
    pub curve: Curve,
    /// The loss on held-out rows, per step at which it was measured.
    pub validation: Curve,
}

/// Points of (step, value) by ascending step.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Curve(pub Vec<(f64, f64)>);

/// One row of an evaluation table.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Eval {
    /// The evaluation, such as `zero`.
    pub table: String,
    /// The run that was evaluated.
    pub run: String,
    /// The task.
    pub task: String,
    /// The language or pair of languages.
    pub lang: String,
    /// The metric.
    pub metric: String,
    /// Its value.
    pub value: f64,
    /// Examples it was measured on.
    pub n: u64,
    /// What always answering the most frequent class gives, where that means something.
    pub baseline_majority: Option<f64>,
}
