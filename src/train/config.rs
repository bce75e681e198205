//! What a model, an optimizer and a run are told: their fields, defaults and limits.
//!
//! Every field has a default that trains a small encoder sensibly. Names that are wrong are told
//! with the valid ones; numbers are checked by [`TrainConfig::validate`] before anything is built.
//! Nothing here touches libtorch, so that projects can be read without it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The names of the objectives a run can list, in the order of the registry.
pub const OBJECTIVE_NAMES: &[&str] = &["mlm", "tlm", "clm", "translation", "denoise", "classify"];

/// A network: `[model.NAME]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ModelConfig {
    /// The architecture: `encoder` is compatible with XLM-R, `decoder` with Llama, `seq2seq`
    /// (encoder and decoder) with M2M-100 and NLLB.
    #[serde(rename = "type", alias = "kind")]
    pub kind: ModelKind,
    /// Width of the hidden states.
    pub hidden: i64,
    /// Number of layers; of a `seq2seq` those of each side.
    pub layers: i64,
    /// Attention heads; by default one for every 64 of `hidden`, at least one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heads: Option<i64>,
    /// Width inside the feed-forward layers; by default four times `hidden`, for a decoder, whose
    /// layers have a third matrix, two thirds of that, in full 64s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub intermediate: Option<i64>,
    /// Share of hidden values dropped in training; a decoder drops none.
    pub dropout: f64,
    /// Share of attention weights dropped in training; above 0 the fused kernel cannot be used.
    pub attention_dropout: f64,
    /// Added to the variance in layer norms.
    pub norm_eps: f64,
    /// The longest document in tokens; by default the run's `length`, else 512.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub length: Option<i64>,
    /// Whether each language has a vector that is added to its tokens (as token types).
    pub language_embeddings: bool,
    /// For a decoder: heads of keys and values, each shared by a group of `heads`; by default as
    /// many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kv_heads: Option<i64>,
    /// For a decoder: the base of its rotary positions; by default 10,000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rope_theta: Option<f64>,
    /// For a decoder: whether logits are products with the token embedding itself; by default they
    /// are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tied: Option<bool>,
    /// For a `seq2seq`: layers of its decoder; by default `layers`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decoder_layers: Option<i64>,
}

impl Default for ModelConfig {
    fn default() -> Self {
        Self {
            kind: ModelKind::Encoder,
            hidden: 384,
            layers: 6,
            heads: None,
            intermediate: None,
            dropout: 0.1,
            attention_dropout: 0.0,
            norm_eps: 1e-5,
            length: None,
            language_embeddings: false,
            kv_heads: None,
            rope_theta: None,
            tied: None,
            decoder_layers: None,
        }
    }
}

impl ModelConfig {
    /// Attention heads in force.
    pub fn heads(&self) -> i64 {
        self.heads.unwrap_or((self.hidden / 64).max(1))
    }

    /// Width of the feed-forward layers in force.
    pub fn intermediate(&self) -> i64 {
        self.intermediate.unwrap_or(match self.kind {
            ModelKind::Decoder => (8 * self.hidden).div_euclid(3).div_euclid(64).max(1) * 64,
            _ => 4 * self.hidden,
        })
    }

    /// Checks the numbers against each other.
    pub fn validate(&self) -> Result<()> {
        positive("hidden", self.hidden)?;
        positive("layers", self.layers)?;
        positive("heads", self.heads())?;
        positive("intermediate", self.intermediate())?;
        positive("length", self.length.unwrap_or(1))?;
        share("dropout", self.dropout)?;
        share("attention_dropout", self.attention_dropout)?;
        if self.hidden % self.heads() != 0 {
            let (hidden, heads) = (self.hidden, self.heads());
            return Err(Error::usage(format!(
                "`hidden` = {hidden} cannot be divided among `heads` = {heads}"
            )));
        }
        let kv_heads = self.kv_heads.unwrap_or(1);
        positive("kv_heads", kv_heads)?;
        positive("decoder_layers", self.decoder_layers.unwrap_or(1))?;
        if self.heads() % kv_heads != 0 {
            return Err(Error::usage(format!(
                "`heads` = {} cannot share `kv_heads` = {kv_heads}",
                self.heads()
            )));
        }
        if self.rope_theta.is_some_and(|theta| !(theta > 1.0 && theta.is_finite())) {
            return Err(Error::usage("`rope_theta` must be above 1"));
        }
        if self.kind == ModelKind::Seq2seq && self.norm_eps != 1e-5 {
            return Err(Error::usage("`norm_eps` of type `seq2seq` is 1e-5 in its files"));
        }
        // An option that would change nothing is a mistake.
        for (key, given, kind) in [
            ("kv_heads", self.kv_heads.is_some(), ModelKind::Decoder),
            ("rope_theta", self.rope_theta.is_some(), ModelKind::Decoder),
            ("tied", self.tied.is_some(), ModelKind::Decoder),
            ("decoder_layers", self.decoder_layers.is_some(), ModelKind::Seq2seq),
            ("language_embeddings", self.language_embeddings, ModelKind::Encoder),
        ] {
            if given && kind != self.kind {
                let (own, other) = (kind.name(), self.kind.name());
                return Err(Error::usage(format!("`{key}` is for type `{own}`, not `{other}`")));
            }
        }
        Ok(())
    }
}

/// The optimizer, AdamW: `optimizer = { … }` of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OptimizerConfig {
    /// Learning rate at its peak.
    pub lr: f64,
    /// How the rate moves after warming up.
    pub schedule: Schedule,
    /// Steps with a rising rate; below 1 a share of all steps.
    pub warmup: f64,
    /// For `wsd`: the share of steps at the end in which the rate falls.
    pub decay: f64,
    /// The rate at the last step as a share of the peak.
    pub floor: f64,
    /// Decoupled weight decay; norms and biases are never decayed.
    pub weight_decay: f64,
    /// Decay of the first and second moment.
    pub betas: (f64, f64),
    /// Added to the root of the second moment.
    pub eps: f64,
    /// The norm that gradients are scaled down to; 0 leaves them as they are.
    pub clip: f64,
    /// Names of parameters that are not decayed besides norms and biases, with `*` for anything:
    /// `["*embeddings*"]`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub no_decay: Vec<String>,
    /// Names of parameters that stay as they are, with `*` for anything: `["*embeddings*",
    /// "*.layer.0.*"]`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub freeze: Vec<String>,
    /// Each layer's rate as a share of the rate of the layer above it; 1 moves all alike.
    pub layer_decay: f64,
    /// Decay of a running average of the weights, such as 0.999, which is what validation measures
    /// and `ema.safetensors` has; 0 keeps none.
    pub ema: f64,
    /// A step whose gradients are so many times larger than usual is skipped; 0 takes them all.
    pub spike: f64,
    /// So many skipped steps in a row end the run.
    pub max_skipped: u64,
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        Self {
            lr: 5e-4,
            schedule: Schedule::Linear,
            warmup: 0.06,
            decay: 0.2,
            floor: 0.0,
            weight_decay: 0.01,
            betas: (0.9, 0.98),
            eps: 1e-6,
            clip: 1.0,
            no_decay: Vec::new(),
            freeze: Vec::new(),
            layer_decay: 1.0,
            ema: 0.0,
            spike: 10.0,
            max_skipped: 5,
        }
    }
}

/// A run: `[train.NAME]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainConfig {
    /// The `[model.NAME]` to begin with at random; this or `init`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// A run or a Hugging Face folder whose weights to begin with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init: Option<String>,
    /// The pack to read; this or `data`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pack: Option<String>,
    /// A query for labelled rows; this or `pack`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// What is learned, with weights: a number, or numbers at steps with lines between them, such as
    /// `tlm = [[0, 0.0], [10000, 1.0]]`.
    pub objectives: BTreeMap<String, Weight>,
    /// The optimizer.
    pub optimizer: OptimizerConfig,
    /// Rows per micro-batch.
    pub batch: usize,
    /// Micro-batches per optimizer step, over all processes.
    pub accumulate: usize,
    /// Optimizer steps; this, `epochs` or `tokens`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<u64>,
    /// Passes over the data; labelled data is read three times unless something else is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epochs: Option<f64>,
    /// Places in rows to be read, padding included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// One run for each seed; by default the project's seed alone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub seeds: Vec<u64>,
    /// The numbers that matrices are multiplied in; weights, norms and losses stay `fp32`.
    pub dtype: Dtype,
    /// `auto`, `cpu`, `cuda` or `cuda:N`.
    pub device: String,
    /// Tokens per row; by default the pack's, for labelled data the model's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub length: Option<i64>,
    /// λ of each language in −Σ λ/N Σ log P, with `default` for those not named; without it the
    /// share of each language in the step, which makes the loss the mean over predictions. It may
    /// move with the step as the weights of objectives do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language_weights: Option<BTreeMap<String, Weight>>,
    /// Share of tokens that `mlm` and `tlm` predict.
    pub mask_probability: f64,
    /// Whether `mlm` and `tlm` hide words whole, with as many tokens as they have.
    pub whole_words: bool,
    /// Steps between lines of the metrics.
    pub log_every: u64,
    /// Steps between checkpoints; by default one at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub save_every: Option<u64>,
    /// Steps between validations; by default one at each checkpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validate_every: Option<u64>,
    /// Checkpoints to keep, besides the best.
    pub keep: usize,
    /// Validation rows to read of each language (of each pair) at most.
    pub validate_rows: usize,
    /// The loss by which a checkpoint is the best: `mean` over all predictions, `macro` over
    /// languages, or that of one of them such as `mlm/swh_Latn`.
    pub best_by: String,
    /// Validations in a row without a better loss that end the run; by default none do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patience: Option<u64>,
    /// Whether libtorch may use only operations that give equal bits for equal inputs; on a CPU
    /// all of ours do.
    pub deterministic: bool,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            model: None,
            init: None,
            pack: None,
            data: None,
            objectives: BTreeMap::new(),
            optimizer: OptimizerConfig::default(),
            batch: 32,
            accumulate: 1,
            steps: None,
            epochs: None,
            tokens: None,
            seeds: Vec::new(),
            dtype: Dtype::Fp32,
            device: "auto".into(),
            length: None,
            language_weights: None,
            mask_probability: 0.15,
            whole_words: false,
            log_every: 10,
            save_every: None,
            validate_every: None,
            keep: 2,
            validate_rows: 128,
            best_by: "mean".into(),
            patience: None,
            deterministic: false,
        }
    }
}

/// A weight in the loss, which may move with the step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Weight {
    /// The same at every step.
    Constant(f64),
    /// Values at rising steps, with lines between them.
    Points(Vec<(u64, f64)>),
}

impl Weight {
    /// The weight at a step.
    pub fn at(&self, step: u64) -> f64 {
        let points = match self {
            Self::Constant(value) => return *value,
            Self::Points(points) => points,
        };
        let after = points.iter().position(|(at, _)| *at > step).unwrap_or(points.len());
        let before = after.checked_sub(1).and_then(|k| points.get(k));
        match (before, points.get(after)) {
            (Some((from, a)), Some((to, b))) => {
                a + (b - a) * (step - from) as f64 / (to - from) as f64
            }
            (Some((_, only)), None) | (None, Some((_, only))) => *only,
            (None, None) => 0.0,
        }
    }

    fn validate(&self, name: &str) -> Result<()> {
        let points = match self {
            Self::Constant(value) => return not_negative(name, *value),
            Self::Points(points) => points,
        };
        if points.is_empty() || points.windows(2).any(|w| w[0].0 >= w[1].0) {
            return Err(Error::usage(format!("`{name}`: its steps do not rise"))
                .hint_with("`[[0, 0.0], [10000, 1.0]]` is 0 at first and 1 from step 10000 on"));
        }
        points.iter().try_for_each(|(_, value)| not_negative(name, *value))
    }
}

impl From<f64> for Weight {
    fn from(value: f64) -> Self {
        Self::Constant(value)
    }
}

/// What masked objectives hide.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Masking {
    /// Share of the tokens.
    pub probability: f64,
    /// Whether words are hidden whole.
    pub whole_words: bool,
}

impl TrainConfig {
    /// What masked objectives hide.
    pub fn masking(&self) -> Masking {
        Masking { probability: self.mask_probability, whole_words: self.whole_words }
    }

    /// Checks names and numbers, before anything is built.
    pub fn validate(&self) -> Result<()> {
        one_of("model", self.model.is_some(), "init", self.init.is_some())?;
        one_of("pack", self.pack.is_some(), "data", self.data.is_some())?;
        if self.objectives.is_empty() {
            return Err(Error::usage("no `objectives`")
                .hint_with(format!("expected some of: {}", OBJECTIVE_NAMES.join(", "))));
        }
        for (name, weight) in &self.objectives {
            if !OBJECTIVE_NAMES.contains(&name.as_str()) {
                return Err(Error::unknown("objective", name, OBJECTIVE_NAMES.iter().copied()));
            }
            weight.validate(&format!("objectives.{name}"))?;
            let labelled = name == "classify";
            if labelled != self.data.is_some() {
                let (needs, has) = if labelled { ("data", "pack") } else { ("pack", "data") };
                return Err(Error::usage(format!(
                    "objective `{name}` needs `{needs}`; this run has `{has}`"
                )));
            }
        }
        if [self.steps.is_some(), self.epochs.is_some(), self.tokens.is_some()]
            .iter()
            .filter(|&&given| given)
            .count()
            > 1
        {
            return Err(Error::usage("more than one of `steps`, `epochs` and `tokens`"));
        }
        for (name, weight) in self.language_weights.iter().flatten() {
            weight.validate(&format!("language_weights.{name}"))?;
        }
        positive("batch", self.batch as i64)?;
        positive("accumulate", self.accumulate as i64)?;
        positive("log_every", self.log_every as i64)?;
        positive("save_every", self.save_every.unwrap_or(1) as i64)?;
        positive("validate_every", self.validate_every.unwrap_or(1) as i64)?;
        positive("keep", self.keep as i64)?;
        positive("validate_rows", self.validate_rows as i64)?;
        positive("patience", self.patience.unwrap_or(1) as i64)?;
        positive("steps", self.steps.unwrap_or(1) as i64)?;
        positive("tokens", self.tokens.unwrap_or(1) as i64)?;
        if self.epochs.is_some_and(|n| !(n > 0.0 && n.is_finite())) {
            return Err(Error::usage("`epochs` must be above 0"));
        }
        if !(0.0 < self.mask_probability && self.mask_probability <= 1.0) {
            return Err(Error::usage("`mask_probability` must be above 0 and at most 1"));
        }
        let optimizer = &self.optimizer;
        not_negative("optimizer.lr", optimizer.lr)?;
        not_negative("optimizer.warmup", optimizer.warmup)?;
        not_negative("optimizer.weight_decay", optimizer.weight_decay)?;
        not_negative("optimizer.clip", optimizer.clip)?;
        not_negative("optimizer.eps", optimizer.eps)?;
        share("optimizer.betas", optimizer.betas.0)?;
        share("optimizer.betas", optimizer.betas.1)?;
        share("optimizer.ema", optimizer.ema)?;
        not_negative("optimizer.spike", optimizer.spike)?;
        positive("optimizer.max_skipped", optimizer.max_skipped as i64)?;
        if !(0.0 < optimizer.layer_decay && optimizer.layer_decay <= 1.0) {
            return Err(Error::usage("`optimizer.layer_decay` must be above 0 and at most 1"));
        }
        for (name, value) in [("decay", optimizer.decay), ("floor", optimizer.floor)] {
            if !(0.0..=1.0).contains(&value) {
                return Err(Error::usage(format!("`optimizer.{name}` must be within 0 and 1")));
            }
        }
        Ok(())
    }
}

macro_rules! names {
    ($(#[$doc:meta])* $type:ident, $what:literal, $($(#[$item:meta])* $variant:ident = $name:literal),+) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub enum $type { $($(#[$item])* $variant),+ }

        impl $type {
            /// The valid names.
            pub const NAMES: &'static [&'static str] = &[$($name),+];

            /// The name of this choice.
            pub fn name(self) -> &'static str {
                match self { $($type::$variant => $name),+ }
            }
        }

        impl TryFrom<String> for $type {
            type Error = Error;

            fn try_from(name: String) -> Result<Self> {
                match name.as_str() {
                    $($name => Ok($type::$variant),)+
                    _ => Err(Error::unknown($what, &name, Self::NAMES.iter().copied())),
                }
            }
        }

        impl From<$type> for String {
            fn from(choice: $type) -> String {
                choice.name().into()
            }
        }
    };
}

names! {
    /// The architecture of a model.
    ModelKind, "model type",
    /// Post-norm encoder with learned positions, compatible with XLM-R.
    Encoder = "encoder",
    /// Pre-norm decoder with rotary positions and gated layers, compatible with Llama.
    Decoder = "decoder",
    /// Pre-norm encoder and decoder, compatible with M2M-100.
    Seq2seq = "seq2seq"
}

names! {
    /// Between the two matrices of a feed-forward layer.
    Activation, "activation",
    /// max(0, x).
    Relu = "relu",
    /// x Φ(x), exactly.
    Gelu = "gelu"
}

names! {
    /// How the learning rate moves after warming up.
    Schedule, "schedule",
    /// It stays.
    Constant = "constant",
    /// It falls in a line to the floor.
    Linear = "linear",
    /// It falls along half a cosine to the floor.
    Cosine = "cosine",
    /// It stays (warm up, stable, decay) and falls in a line at the end.
    Wsd = "wsd",
    /// It falls with the inverse square root of the step, whatever the number of steps.
    InverseSqrt = "inverse_sqrt"
}

names! {
    /// The numbers that matrices are multiplied in.
    Dtype, "dtype",
    /// 32 bits.
    Fp32 = "fp32",
    /// bfloat16 for matrix products; weights, norms and losses in 32 bits.
    Bf16 = "bf16"
}

fn one_of(a: &str, has_a: bool, b: &str, has_b: bool) -> Result<()> {
    match (has_a, has_b) {
        (true, true) => Err(Error::usage(format!("both `{a}` and `{b}`; expected one of them"))),
        (false, false) => Err(Error::usage(format!("neither `{a}` nor `{b}`; expected one"))),
        _ => Ok(()),
    }
}

fn positive(name: &str, value: i64) -> Result<()> {
    if value < 1 { Err(Error::usage(format!("`{name}` must be at least 1"))) } else { Ok(()) }
}

fn not_negative(name: &str, value: f64) -> Result<()> {
    if value >= 0.0 && value.is_finite() {
        return Ok(());
    }
    Err(Error::usage(format!("`{name}` must be a number not below 0")))
}

fn share(name: &str, value: f64) -> Result<()> {
    if (0.0..1.0).contains(&value) {
        return Ok(());
    }
    Err(Error::usage(format!("`{name}` must be at least 0 and below 1")))
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
