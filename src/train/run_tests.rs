//! Runs of a tiny model from the first step to the last.

use std::fs;
use std::sync::atomic::AtomicBool;

use serde_json::Value;
use tch::{Device, Tensor};

use super::*;
use crate::error::Error;
use crate::store::manifest::Manifest;
use crate::train::batch::MicroBatch;
use crate::train::batch::tests::Made;
use crate::train::config::{Dtype, ModelConfig, TrainConfig};
use crate::train::group::Group;
use crate::train::vocabulary::tests::write_tokenizer;
use crate::train::{predict, retention};

const VOCABULARY: i64 = 45;

struct Place {
    dir: tempfile::TempDir,
    model: ModelConfig,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        write_tokenizer(&dir.path().join("tokenizer"), VOCABULARY as usize - 5);
        let model = ModelConfig {
            hidden: 32,
            layers: 2,
            heads: Some(2),
            intermediate: Some(64),
            ..ModelConfig::default()
        };
        Self { dir, model }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn pretrain(&self, name: &str, config: &TrainConfig, resume: bool) -> Result<Outcome> {
        let mut source = made();
        let (dir, tokenizer) = (self.path(name), self.path("tokenizer"));
        let group = Group::alone();
        let run = Run {
            dir: &dir,
            config,
            start: Start::New(&self.model),
            tokenizer: &tokenizer,
            languages: &[],
            seed: 17,
            resume,
            manifest: Manifest { node: format!("train.{name}"), ..Manifest::default() },
            group: &group,
            stop: &STOP,
            until: None,
        };
        pretrain(&run, &mut source, Some(&MadeRows), &mut |_| ())
    }

    fn lines(&self, name: &str) -> Vec<Value> {
        let text = fs::read_to_string(self.path(name).join("metrics.jsonl")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

static STOP: AtomicBool = AtomicBool::new(false);

/// Sixteen micro-batches that training does not come to.
struct MadeRows;

impl HeldOut for MadeRows {
    fn batches(&self) -> usize {
        16
    }

    fn batch(&self, i: usize) -> Result<MicroBatch> {
        Made { step: 1000 + i as u64, ..made() }.next()
    }
}

fn made() -> Made {
    Made { step: 0, rows: 4, length: 16, vocabulary: VOCABULARY, pairs: true }
}

fn config(extra: &str) -> TrainConfig {
    let text = format!(
        "model = 'tiny'\npack = 'main'\nobjectives = {{ mlm = 1.0, tlm = 0.5 }}\nbatch = 4\n\
         accumulate = 3\noptimizer = {{ lr = 3e-3, warmup = 2 }}\n{extra}"
    );
    toml::from_str(&text).unwrap()
}

/// The lines without what depends on the clock or on where the process began.
fn comparable(lines: Vec<Value>) -> Vec<Value> {
    lines
        .into_iter()
        .map(|mut line| {
            let map = line.as_object_mut().unwrap();
            let clock =
                ["tokens_per_second", "seconds", "wait_seconds", "wait_share", "seconds_left"];
            let process = ["bytes_aliased", "bytes_gathered", "memory_bytes"];
            for key in clock.into_iter().chain(process) {
                map.remove(key);
            }
            line
        })
        .collect()
}

#[test]
fn a_resumed_run_is_the_run() {
    for dtype in ["fp32", "bf16"] {
        let place = Place::new();
        let extra = format!(
            "dtype = '{dtype}'\nsteps = 6\nlog_every = 1\nvalidate_every = 2\nsave_every = 2"
        );
        let whole = place.pretrain("whole", &config(&extra), false).unwrap();
        assert_eq!(whole.steps, 6);
        // Killed after two checkpoints, twice.
        for stop in [2u64, 4] {
            place.stopped_after("parts", &config(&extra), stop);
        }
        fs::create_dir(place.path("parts").join(".tmp-half")).unwrap();
        let parts = place.pretrain("parts", &config(&extra), true).unwrap();
        assert_eq!(parts.tokens, whole.tokens);
        for file in ["model.safetensors", "optimizer.safetensors", "state.json"] {
            let read = |run: &Outcome| fs::read(run.checkpoint.join(file)).unwrap();
            assert!(read(&whole) == read(&parts), "{file} differs ({dtype})");
        }
        assert_eq!(comparable(place.lines("whole")), comparable(place.lines("parts")));
        assert!(!place.path("parts").join(".tmp-half").exists());
        // Nothing is left to do.
        let again = place.pretrain("parts", &config(&extra), true).unwrap();
        assert_eq!((again.checkpoint, again.last), (parts.checkpoint, None));
    }
}

impl Place {
    /// Runs until a checkpoint and then breaks off, as a kill would.
    fn stopped_after(&self, name: &str, config: &TrainConfig, step: u64) {
        struct Breaking(Made, u64);
        impl Source for Breaking {
            fn next(&mut self) -> Result<MicroBatch> {
                match self.0.step < self.1 {
                    true => self.0.next(),
                    false => Err(Error::internal("killed")),
                }
            }
            fn state(&self) -> Value {
                self.0.state()
            }
            fn seek(&mut self, state: &Value) -> Result<()> {
                self.0.seek(state)
            }
            fn rows(&self) -> u64 {
                self.0.rows()
            }
            fn length(&self) -> usize {
                self.0.length()
            }
            fn langs(&self) -> Vec<String> {
                self.0.langs()
            }
        }
        let (dir, tokenizer) = (self.path(name), self.path("tokenizer"));
        let group = Group::alone();
        let run = Run {
            dir: &dir,
            config,
            start: Start::New(&self.model),
            tokenizer: &tokenizer,
            languages: &[],
            seed: 17,
            resume: true,
            manifest: Manifest { node: format!("train.{name}"), ..Manifest::default() },
            group: &group,
            stop: &STOP,
            until: None,
        };
        // One step more than was saved, so that there is something to lose.
        let mut source = Breaking(made(), (step + 1) * 3);
        let error = pretrain(&run, &mut source, Some(&MadeRows), &mut |_| ()).unwrap_err();
        assert_eq!(error.to_string(), "killed");
        assert_eq!(retention::latest(&dir).unwrap(), Some(retention::step_dir(&dir, step)));
    }
}

#[test]
fn the_loss_falls_and_is_told_by_language() {
    let place = Place::new();
    let run = place
        .pretrain("long", &config("steps = 60\nlog_every = 20\ndeterministic = true"), false)
        .unwrap();
    let lines = place.lines("long");
    let keys: Vec<&String> = lines[0]["losses"].as_object().unwrap().keys().collect();
    assert_eq!(keys, ["mlm/isl_Latn", "mlm/yor_Latn", "tlm/eng_Latn", "tlm/isl_Latn"]);
    let loss = |line: &Value| line["losses"]["mlm/isl_Latn"].as_f64().unwrap();
    assert!(loss(&lines[2]) < 0.8 * loss(&lines[0]), "{} {}", loss(&lines[0]), loss(&lines[2]));
    assert!(lines[2]["validation"]["mlm/yor_Latn"].is_number());
    assert_eq!(lines[2]["bytes_aliased"].as_u64().unwrap() % (4 * 16 * 4), 0);
    assert_eq!(run.best, Some(run.checkpoint.clone()));
    // What validation said can be asked of the checkpoint again.
    let model = predict::load(&run.checkpoint, Dtype::Fp32, Device::Cpu).unwrap();
    let vocabulary = Vocabulary::read(&run.checkpoint).unwrap();
    let mut held_out = Made { step: 1000, ..made() };
    let objectives = config("").objectives;
    let masking = config("").masking();
    let again =
        predict::packed_loss(&model, &vocabulary, &mut held_out, 4, &objectives, masking).unwrap();
    assert!((again["mlm/isl_Latn"] - loss(&lines[2])).abs() < 1.0, "{again:?}");
}

#[test]
fn a_run_is_not_begun_anew_nor_resumed_otherwise() {
    let place = Place::new();
    place.pretrain("a", &config("steps = 2"), false).unwrap();
    let error = place.pretrain("a", &config("steps = 2"), false).unwrap_err();
    assert!(error.to_string().ends_with("a exists"), "{error}");
    let other = config("steps = 2\nmask_probability = 0.3");
    let error = place.pretrain("a", &other, true).unwrap_err();
    assert!(error.to_string().ends_with("other values of: mask_probability"), "{error}");
    // More steps are a continuation.
    assert_eq!(place.pretrain("a", &config("steps = 3"), true).unwrap().steps, 3);
}

#[test]
fn a_loss_that_is_not_finite_stops_the_run() {
    let place = Place::new();
    let mut wild = config("steps = 50\nlog_every = 1");
    wild.optimizer.lr = 1e30;
    wild.optimizer.clip = 0.0;
    let error = place.pretrain("wild", &wild, false).unwrap_err();
    assert!(error.to_string().contains("the loss is"), "{error}");
    assert!(place.lines("wild").last().unwrap()["step"].as_u64().unwrap() < 50);
}

#[test]
fn classification_learns_from_a_pretrained_encoder() {
    let place = Place::new();
    let base = place.pretrain("base", &config("steps = 2"), false).unwrap();
    // The class is whether a text has the token 10.
    let examples = Examples {
        ids: (0..96)
            .map(|i| {
                let word = if i % 2 == 0 { 10 } else { 11 + i % 7 };
                vec![0, word, 20 + i % 11, 31 + i % 5, 2]
                    .into_iter()
                    .take(4 + i as usize % 2)
                    .collect()
            })
            .collect(),
        labels: (0..96).map(|i| i % 2).collect(),
        langs: (0..96).map(|i| ["eng_Latn", "isl_Latn"][i / 3 % 2].into()).collect(),
    };
    let config: TrainConfig = toml::from_str(
        "init = 'train.base'\ndata = 'SELECT'\nobjectives = { classify = 1.0 }\nbatch = 8\n\
         epochs = 20\noptimizer = { lr = 3e-3 }",
    )
    .unwrap();
    let (dir, tokenizer, from) = (place.path("fine"), place.path("tokenizer"), place.path("base"));
    let group = Group::alone();
    let run = Run {
        dir: &dir,
        config: &config,
        start: Start::From(&from),
        tokenizer: &tokenizer,
        languages: &[],
        seed: 3,
        resume: false,
        manifest: Manifest::default(),
        group: &group,
        stop: &STOP,
        until: None,
    };
    let labels = ["yes".to_string(), "no".to_string()];
    let outcome = finetune(&run, &examples, &labels, Some(&examples), &mut |_| ()).unwrap();
    assert_eq!(outcome.steps, 240);
    let model = predict::load(&dir, Dtype::Fp32, Device::Cpu).unwrap();
    assert_eq!(model.architecture().labels, labels);
    let logits = predict::classify(&model, &examples.ids, &examples.langs, 16).unwrap();
    let right = logits.iter().zip(&examples.labels).filter(|(l, y)| predict::best(l) as i64 == **y);
    assert!(right.count() > 90);
    // The encoder came from the base, the head is new.
    let base = predict::load(&base.checkpoint, Dtype::Fp32, Device::Cpu).unwrap();
    assert!(
        base.class_logits(&Tensor::zeros([1, 1, 32], (tch::Kind::Float, Device::Cpu)), None)
            .is_err()
    );
}

#[test]
fn the_probe_of_a_checkpoint_has_logits_for_every_place_and_gradients() {
    let place = Place::new();
    let run = place.pretrain("a", &config("steps = 1"), false).unwrap();
    let path = place.path("logits.safetensors");
    crate::train::probe::write(&run.checkpoint, &path).unwrap();
    let bytes = fs::read(&path).unwrap();
    let stored = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(stored.tensor("logits").unwrap().shape(), [4, 16, VOCABULARY as usize]);
    let gradient = stored.tensor("gradient.roberta.embeddings.word_embeddings.weight").unwrap();
    assert_eq!(gradient.shape(), [VOCABULARY as usize, 32]);
}

#[test]
fn devices_are_named() {
    assert_eq!(device("cpu").unwrap(), Device::Cpu);
    let error = device("gpu").unwrap_err().to_string();
    assert_eq!(error, "unknown device `gpu`; expected one of: auto, cpu, cuda, cuda:N");
}
