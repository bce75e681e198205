//! Training from outside: a run, its checkpoints, its refusals, and kill -9.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use crate::util::{Dir, project};

fn lines(dir: &Dir) -> Vec<serde_json::Value> {
    let text = fs::read_to_string(dir.join("runs/pretrain/metrics.jsonl")).unwrap();
    text.lines().map(|l| serde_json::from_str(l).unwrap()).collect()
}

/// What a line says about the model, without what depends on the clock.
fn learned(dir: &Dir) -> Vec<String> {
    let steady = |l: &serde_json::Value| {
        format!("{} {} {} {}", l["step"], l["loss"], l["grad_norm"], l["validation"])
    };
    lines(dir).iter().map(steady).collect()
}

#[test]
fn a_run_leaves_a_checkpoint_and_is_never_overwritten() {
    let dir = Dir::new();
    project(&dir);
    dir.ok(&["train", "pretrain", "--threads", "1"]);
    let metrics = lines(&dir);
    let last = metrics.last().unwrap();
    assert_eq!(last["step"], 12);
    let losses = last["validation"].as_object().unwrap();
    assert!(losses.keys().any(|k| k.starts_with("mlm/")), "{losses:?}");
    assert!(
        metrics
            .iter()
            .any(|l| { l["losses"].as_object().unwrap().keys().any(|k| k.starts_with("tlm/")) })
    );
    // The rows were used where they are mapped.
    assert!(last["bytes_aliased"].as_u64().unwrap() > 0);
    let step = dir.join("runs/pretrain/step-12");
    for file in ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"] {
        assert!(step.join(file).is_file(), "{file}");
    }
    dir.ok(&["verify", "runs", "packs", "tokenizers"]);

    let again = dir.ok(&["train", "pretrain", "--threads", "1", "--json"]).json();
    let node = again["nodes"].as_array().unwrap().last().unwrap().clone();
    assert_eq!((&node["node"], &node["state"]), (&"train.pretrain".into(), &"up to date".into()));

    let other = dir.run(&["train", "pretrain", "--set", "optimizer.lr=1e-2"]);
    assert_eq!(other.code, 2);
    assert!(other.stderr.contains("optimizer changed"), "{}", other.stderr);
    assert_eq!(other.stderr.lines().filter(|l| l.starts_with("hint: ")).count(), 1);
}

#[test]
fn a_killed_run_goes_on_as_if_nothing_had_been() {
    let whole = Dir::new();
    project(&whole);
    whole.ok(&["run"]);
    let killed = Dir::new();
    project(&killed);
    killed.ok(&["run"]);
    whole.ok(&["train", "pretrain", "--threads", "1"]);
    let args = ["train", "pretrain", "--threads", "1", "--resume"];
    for _ in 0..40 {
        let mut child =
            killed.command(&args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // Until the next checkpoint is there, then at once.
        let before = checkpoints(&killed);
        let mut ended = false;
        while checkpoints(&killed) <= before && !ended {
            std::thread::sleep(Duration::from_millis(5));
            ended = child.try_wait().unwrap().is_some();
        }
        let _ = child.kill();
        child.wait().unwrap();
        if killed.join("runs/pretrain/step-12").exists() {
            break;
        }
    }
    killed.ok(&args);
    assert_eq!(learned(&killed).last(), learned(&whole).last());
    let weights =
        |dir: &Dir| fs::read(dir.join("runs/pretrain/step-12/model.safetensors")).unwrap();
    assert!(weights(&killed) == weights(&whole), "the weights differ");
}

/// The largest step that has a folder.
fn checkpoints(dir: &Dir) -> u64 {
    let Ok(entries) = fs::read_dir(dir.join("runs/pretrain")) else { return 0 };
    entries
        .filter_map(|e| e.ok()?.file_name().to_string_lossy().strip_prefix("step-")?.parse().ok())
        .max()
        .unwrap_or(0)
}

#[test]
fn a_decoder_trains_and_another_run_begins_with_it() {
    let dir = Dir::new();
    project(&dir);
    let path = dir.join("hexapla.toml");
    let more = "
[model.llama]
type = 'decoder'
hidden = 32
layers = 2
heads = 4
kv_heads = 2

[train.clm]
model = 'llama'
pack = 'main'
objectives = { clm = [[0, 0.5], [3, 1.0]] }
batch = 8
steps = 4

[train.more]
init = 'train.clm'
pack = 'main'
objectives = { clm = 1.0 }
batch = 8
steps = 2
";
    fs::write(&path, fs::read_to_string(&path).unwrap() + more).unwrap();
    dir.ok(&["train", "more", "--threads", "1"]);
    for step in ["clm/step-4", "more/step-2"] {
        let config = fs::read_to_string(dir.join("runs").join(step).join("config.json")).unwrap();
        let config: serde_json::Value = serde_json::from_str(&config).unwrap();
        assert_eq!(config["architectures"][0], "LlamaForCausalLM", "{step}");
        assert_eq!(config["num_key_value_heads"], 2);
    }
    let text = fs::read_to_string(dir.join("runs/clm/metrics.jsonl")).unwrap();
    let last: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert!(last["validation"].as_object().unwrap().keys().any(|k| k.starts_with("clm/")));
    let done = dir.run(&["train", "more", "--set", "objectives.mlm=1.0"]);
    assert!(done.code != 0);
    let done = dir.run(&["train", "pretrain", "--set", "objectives.clm=1.0"]);
    let words = "objective `clm` trains a model of type `decoder`; this one is `encoder`";
    assert!(done.stderr.contains(words), "{}", done.stderr);
}

#[test]
fn a_run_without_data_or_model_is_told() {
    let dir = Dir::new();
    project(&dir);
    for (set, words) in [
        ("objectives.mml=1.0", "unknown objective `mml`"),
        ("optimizer.schedule=cosin", "cosine"),
        ("steps=0", "steps"),
        ("bacth=3", "bacth"),
        ("optimizer", "sets no key"),
    ] {
        let done = dir.run(&["train", "pretrain", "--set", set]);
        assert_eq!(done.code, 2, "{set}: {}", done.stderr);
        assert!(done.stderr.contains(words), "{set}: {}", done.stderr);
    }
    let done = dir.run(&["train", "pretrian"]);
    assert!(done.stderr.contains("did you mean `train.pretrain`?"), "{}", done.stderr);
}
