//! Ranks in threads of one process: sums, gradients, and whole runs that are the run of one rank.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use arrow::buffer::Buffer;
use serde_json::Value;
use tch::{Device, Kind};

use super::*;
use crate::store::manifest::Manifest;
use crate::train::batch::tests::Made;
use crate::train::batch::{Kind as Rowkind, MicroBatch, Source};
use crate::train::config::{Dtype, Masking, ModelConfig, TrainConfig, Weight};
use crate::train::layout::{Layout, Unit};
use crate::train::loss::{self, Weights};
use crate::train::model::Model;
use crate::train::model::encoder::tests::tiny;
use crate::train::objective::{Rows, Setting, mlm};
use crate::train::run::{self, Run, Start};
use crate::train::vocabulary::tests::{write_tokenizer, xlmr};
use crate::train::work::Work;

/// Runs a function as so many ranks, each in a thread; what they return, by rank.
fn together<T: Send>(size: usize, run: impl Fn(Group) -> T + Sync) -> Vec<T> {
    // The port is free now, and nobody else is likely to take it at once.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let place = |rank| Place { rank, size, local: rank, host: "127.0.0.1".into(), port };
    std::thread::scope(|scope| {
        let start = |rank| {
            let run = &run;
            scope.spawn(move || run(Group::join(place(rank)).unwrap()))
        };
        let threads: Vec<_> = (0..size).map(start).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

#[test]
fn sums_are_over_all_ranks() {
    let sums = together(3, |group| {
        let mine = group.rank() as f64;
        let counts = BTreeMap::from([("a", group.rank() as u64), ("b", 7)]);
        group.barrier().unwrap();
        let differ = group.agree(&[mine], "their numbers").unwrap_err().to_string();
        group.agree(&[0.1, f64::from(1u8 << 3)], "nothing").unwrap();
        (
            group.sum(&[mine, 0.5]).unwrap(),
            group.sum_counts(counts).unwrap(),
            group.any(group.rank() == 2).unwrap(),
            differ,
        )
    });
    for sum in sums {
        assert_eq!(sum.0, [3.0, 1.5]);
        assert_eq!(sum.1, BTreeMap::from([("a", 3), ("b", 21)]));
        assert!(sum.2);
        assert_eq!(sum.3, "the ranks differ in their numbers");
    }
}

#[test]
fn a_rank_that_ends_with_an_error_is_named() {
    let ended = together(2, |group| match group.rank() {
        1 => {
            group.last_words(&Error::usage("the disk is full"));
            String::new()
        }
        _ => group.barrier().unwrap_err().to_string(),
    });
    assert_eq!(ended[0], "rank 1 ended with: the disk is full");
}

const LENGTH: usize = 24;

/// 64 rows of three languages whose documents differ in length, masked once.
fn rows() -> (Work, Vec<Vec<i32>>) {
    let (mut tokens, mut document_lengths) = (Vec::new(), Vec::new());
    for row in 0..64usize {
        let lengths = match row % 7 {
            0 | 1 => vec![4, 5],
            2..5 => vec![11, 9],
            _ => vec![LENGTH as i32],
        };
        for (document, &length) in lengths.iter().enumerate() {
            tokens.push(0);
            tokens.extend(
                (0..length - 2).map(|k| 4 + (row as i32 * 5 + k * 7 + document as i32) % 50),
            );
            tokens.push(2);
        }
        tokens.resize((row + 1) * LENGTH, 1);
        document_lengths.push(lengths);
    }
    let batch = MicroBatch {
        kind: Rowkind::Documents,
        langs: vec!["yor_Latn".into()],
        rows: 64,
        length: LENGTH,
        tokens: Buffer::from_vec(tokens),
        document_lengths: document_lengths.clone(),
        aliased: false,
        group: 0,
    };
    let vocabulary = xlmr(60);
    let masking = Masking { probability: 0.2, whole_words: false };
    let architecture = &tiny(60);
    let setting = Setting { vocabulary: &vocabulary, architecture, masking, key: 5 };
    let work = (mlm::MLM.prepare)(&Rows::Packed(&batch), &setting).unwrap();
    let lang = |place: &i64| match (*place as usize / LENGTH) % 7 {
        0 | 1 => 0u8,
        2..5 => 1,
        _ => 2,
    };
    let target_langs = work.places.iter().map(lang).collect();
    let langs = ["yor_Latn", "isl_Latn", "amh_Ethi"].map(String::from).to_vec();
    (Work { langs, target_langs, ..work }, document_lengths)
}

/// Some rows of a micro-batch as one of their own.
fn part(work: &Work, lengths: &[Vec<i32>], first: usize, count: usize) -> Work {
    let range = (first * LENGTH) as i64..((first + count) * LENGTH) as i64;
    let chosen: Vec<usize> =
        (0..work.places.len()).filter(|&i| range.contains(&work.places[i])).collect();
    let bytes = |buffer: &Buffer| buffer.slice_with_length(first * LENGTH * 4, count * LENGTH * 4);
    Work {
        ids: bytes(&work.ids),
        layout: Layout::new(&lengths[first..first + count], LENGTH, Unit::Document, 32).unwrap(),
        places: chosen.iter().map(|&i| work.places[i] - range.start).collect(),
        target_langs: chosen.iter().map(|&i| work.target_langs[i]).collect(),
        gold: chosen.iter().map(|&i| work.gold[i]).collect(),
        ..work.clone()
    }
}

/// The gradients of a step, of which this group's process has some micro-batches.
fn gradients(group: &Group, works: &[Work], lambda: bool) -> Vec<(String, Tensor)> {
    let model = Model::new(tiny(60), 3, Dtype::Fp32, Device::Cpu).unwrap();
    let objectives = BTreeMap::from([("mlm".to_string(), Weight::from(0.7))]);
    let table = BTreeMap::from([
        ("amh_Ethi".to_string(), Weight::from(0.6)),
        ("default".to_string(), Weight::from(0.2)),
    ]);
    let languages = lambda.then_some(&table);
    let weights = Weights { objectives: &objectives, languages, step: 0 };
    let mut counts: loss::Counts =
        works[0].langs.iter().map(|lang| (("mlm", lang.clone()), 0)).collect();
    counts.extend(loss::counts(works));
    let counts = group.sum_counts(counts).unwrap();
    let mut buckets = group.buckets(model.parameters()).unwrap();
    let coefficients = loss::coefficients(works, &counts, weights).unwrap();
    for (i, (work, coefficients)) in works.iter().zip(&coefficients).enumerate() {
        let losses = (work.objective.score)(&model, work, None).unwrap();
        if let (Some(buckets), true) = (&buckets, i + 1 == works.len()) {
            buckets.arm().unwrap();
        }
        losses.dot(&Tensor::from_slice(coefficients)).backward();
    }
    if let Some(buckets) = buckets.as_mut() {
        buckets.finish().unwrap();
    }
    let grads = model.parameters().iter().filter(|p| p.tensor.grad().defined());
    grads.map(|p| (p.name.clone(), p.tensor.grad().copy())).collect()
}

/// The largest ‖Δg‖ / ‖g‖ of any tensor.
fn apart(a: &[(String, Tensor)], b: &[(String, Tensor)]) -> f64 {
    assert_eq!(a.len(), b.len());
    let off = |((name, a), (other, b)): (&(String, Tensor), &(String, Tensor))| {
        assert_eq!(name, other);
        let wide = |t: &Tensor| t.to_kind(Kind::Double);
        let norm = wide(a).norm().double_value(&[]);
        // A key's bias has no gradient but rounding: the softmax takes it out.
        if norm < 1e-7 { 0.0 } else { (wide(a) - wide(b)).norm().double_value(&[]) / norm }
    };
    a.iter().zip(b).map(off).fold(0.0, f64::max)
}

#[test]
fn micro_batches_and_ranks_have_the_gradients_of_one_batch() {
    let (work, lengths) = rows();
    for lambda in [false, true] {
        let alone = Group::alone();
        let whole = gradients(&alone, std::slice::from_ref(&work), lambda);
        let four: Vec<Work> = (0..4).map(|i| part(&work, &lengths, 16 * i, 16)).collect();
        let four = gradients(&alone, &four, lambda);
        assert!(apart(&whole, &four) <= 1e-5, "4 × 16: {}", apart(&whole, &four));
        let two = together(2, |group| {
            gradients(&group, &[part(&work, &lengths, 32 * group.rank(), 32)], lambda)
        });
        for two in &two {
            assert!(apart(&whole, two) <= 1e-5, "2 ranks × 32: {}", apart(&whole, two));
        }
        // Both at once, and ranks that do not have equally much.
        let uneven = together(2, |group| {
            let parts = match group.rank() {
                0 => vec![part(&work, &lengths, 0, 40), part(&work, &lengths, 40, 8)],
                _ => vec![part(&work, &lengths, 48, 16)],
            };
            gradients(&group, &parts, lambda)
        });
        assert!(apart(&whole, &uneven[1]) <= 1e-5, "uneven: {}", apart(&whole, &uneven[1]));
    }
}

#[test]
fn what_no_rank_used_has_no_gradient_and_what_one_used_has_its() {
    let found = together(2, |group| {
        let mut p = Parameters::new(1, Device::Cpu);
        let tensors: Vec<Tensor> =
            ["a", "b", "c"].iter().map(|name| p.bias(name, 2).unwrap()).collect();
        let mut buckets = group.buckets(&p).unwrap().unwrap();
        for _ in 0..2 {
            crate::train::ffi::clear_grads(&p.tensors()).unwrap();
            // An earlier micro-batch counts too.
            tensors[0].sum(Kind::Float).backward();
            buckets.arm().unwrap();
            if group.rank() == 1 {
                (tensors[1].sum(Kind::Float) * 3.0).backward();
            }
            buckets.finish().unwrap();
        }
        let value = |t: &Tensor| t.grad().defined().then(|| t.grad().double_value(&[0]));
        tensors.iter().map(value).collect::<Vec<_>>()
    });
    assert_eq!(found, vec![vec![Some(2.0), Some(3.0), None]; 2]);
}

/// Of each round of micro-batches the one of a rank.
struct Shared(Made, usize, usize);

impl Source for Shared {
    fn next(&mut self) -> Result<MicroBatch> {
        self.0.step += self.1 as u64;
        let batch = self.0.next();
        self.0.step += (self.2 - self.1 - 1) as u64;
        batch
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

fn trained(dir: &Path, name: &str, group: &Group, until: Option<u64>) -> Result<run::Outcome> {
    let config: TrainConfig = toml::from_str(
        "model = 'tiny'\npack = 'main'\nobjectives = { mlm = 1.0, tlm = 0.5 }\nbatch = 4\n\
         accumulate = 6\nsteps = 20\nlog_every = 1\noptimizer = { lr = 3e-3, warmup = 2 }",
    )
    .unwrap();
    let model = ModelConfig {
        hidden: 32,
        layers: 2,
        heads: Some(2),
        intermediate: Some(64),
        ..ModelConfig::default()
    };
    let made = Made { step: 0, rows: 4, length: 16, vocabulary: 45, pairs: true };
    let mut source = Shared(made, group.rank(), group.size());
    let stop = AtomicBool::new(false);
    let run = Run {
        dir: &dir.join(name),
        config: &config,
        start: Start::New(&model),
        tokenizer: &dir.join("tokenizer"),
        languages: &[],
        seed: 17,
        resume: true,
        manifest: Manifest::default(),
        group,
        stop: &stop,
        until,
    };
    run::pretrain(&run, &mut source, None, &mut |_| ())
}

fn losses(run: PathBuf) -> Vec<f64> {
    let text = std::fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let lines = text.lines().map(|l| serde_json::from_str::<Value>(l).unwrap());
    lines.map(|line| line["loss"].as_f64().unwrap()).collect()
}

#[test]
fn a_run_of_several_ranks_is_the_run_of_one() {
    let dir = tempfile::tempdir().unwrap();
    write_tokenizer(&dir.path().join("tokenizer"), 40);
    let one = trained(dir.path(), "one", &Group::alone(), None).unwrap();
    assert_eq!(one.end, run::End::Done);
    let expected = losses(dir.path().join("one"));
    assert_eq!(expected.len(), 20);
    for size in [2, 3] {
        let name = format!("by{size}");
        let ended = together(size, |group| trained(dir.path(), &name, &group, None).unwrap());
        assert!(ended.iter().all(|end| (end.steps, end.tokens) == (20, one.tokens)));
        for (step, (a, b)) in expected.iter().zip(losses(dir.path().join(&name))).enumerate() {
            assert!((a - b).abs() < 1e-5, "{size} ranks, step {step}: {a} and {b}");
        }
    }
    // Begun by two, gone on with by three, ended by one.
    together(2, |group| trained(dir.path(), "parts", &group, Some(7)).unwrap());
    together(3, |group| trained(dir.path(), "parts", &group, Some(12)).unwrap());
    let parts = trained(dir.path(), "parts", &Group::alone(), None).unwrap();
    assert_eq!((parts.steps, parts.tokens), (20, one.tokens));
    for (a, b) in expected.iter().zip(losses(dir.path().join("parts"))) {
        assert!((a - b).abs() < 1e-5, "{a} and {b}");
    }
    let four = together(4, |group| trained(dir.path(), "four", &group, None).unwrap_err());
    let words = "a step of `accumulate` = 6 micro-batches cannot be shared evenly by 4 ranks";
    assert!(four.iter().any(|error| error.to_string() == words), "{four:?}");
}

fn place(variables: &[(&str, &str)]) -> Result<Option<Place>> {
    let map: BTreeMap<&str, &str> = variables.iter().copied().collect();
    Place::read(|name| map.get(name).map(ToString::to_string))
}

#[test]
fn the_environment_of_torchrun_is_read() {
    assert_eq!(place(&[]).unwrap(), None);
    assert_eq!(place(&[("WORLD_SIZE", "1")]).unwrap(), None);
    let all = [
        ("WORLD_SIZE", "4"),
        ("RANK", "3"),
        ("LOCAL_RANK", "1"),
        ("MASTER_ADDR", "node0"),
        ("MASTER_PORT", "29500"),
    ];
    let found = place(&all).unwrap().unwrap();
    assert_eq!((found.rank, found.size, found.local), (3, 4, 1));
    assert_eq!((found.host.as_str(), found.port), ("node0", 29500));
    let error = place(&all[..1]).unwrap_err();
    assert_eq!(error.to_string(), "`WORLD_SIZE` is set and `RANK` is not");
    let error = place(&[("WORLD_SIZE", "2"), ("RANK", "2"), ("MASTER_PORT", "1")]);
    assert_eq!(error.unwrap_err().to_string(), "`RANK` is 2 of `WORLD_SIZE` 2");
    let error = place(&[("WORLD_SIZE", "2"), ("RANK", "one"), ("MASTER_PORT", "1")]);
    assert_eq!(error.unwrap_err().to_string(), "`RANK` is `one`; expected a whole number");
}

#[test]
fn one_process_is_its_own_group() {
    let group = Group::alone();
    assert_eq!(group.sum(&[1.5, 2.0]).unwrap(), [1.5, 2.0]);
    assert!(group.leads() && !group.any(false).unwrap());
    group.barrier().unwrap();
}
