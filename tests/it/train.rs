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

/// What makes a step's micro-batches two, which two ranks can share.
const TWO: [&str; 6] = ["--set", "batch=4", "--set", "accumulate=2", "--threads", "2"];

#[test]
fn two_ranks_train_what_one_trains() {
    let dirs = [(); 2].map(|()| Dir::new());
    for (dir, ranks) in dirs.iter().zip(["1", "2"]) {
        project(dir);
        dir.ok(&[&["train", "pretrain", "--nproc", ranks][..], &TWO].concat());
    }
    let [one, two] = dirs.each_ref().map(lines);
    assert_eq!(one.len(), two.len());
    for (a, b) in one.iter().zip(&two) {
        let loss = |line: &serde_json::Value| line["loss"].as_f64().unwrap();
        assert!((loss(a) - loss(b)).abs() < 1e-5, "{a}\n{b}");
        assert_eq!((&a["step"], &a["tokens"]), (&b["step"], &b["tokens"]));
    }
    // Whatever began it, any number of ranks goes on with it.
    let more = ["train", "pretrain", "--resume", "--set", "steps=16"];
    dirs[1].ok(&[&more[..], &TWO].concat());
    assert_eq!(lines(&dirs[1]).last().unwrap()["step"], 16);
    let odd = dirs[0].run(&["train", "pretrain", "--resume", "--nproc", "2", "--set", "steps=20"]);
    assert_eq!(odd.code, 2);
    assert!(odd.stderr.contains("accumulate"), "{}", odd.stderr);
}

/// A run by two ranks that would take very long, once it has done some steps.
fn endless(dir: &Dir) -> (std::process::Child, Vec<u32>) {
    project(dir);
    dir.ok(&["run"]);
    let args = ["train", "pretrain", "--nproc", "2", "--set", "steps=1000000"];
    let log = ["--set", "log_every=1", "--set", "save_every=1000000", "--set", "validate_every=5"];
    let args = [&args[..], &log, &TWO].concat();
    let child = dir.command(&args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let metrics = dir.join("runs/pretrain/metrics.jsonl");
    while fs::read_to_string(&metrics).unwrap_or_default().lines().count() < 3 {
        std::thread::sleep(Duration::from_millis(20));
    }
    let id = child.id();
    let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap();
    let mut ranks: Vec<(String, u32)> = children
        .split_whitespace()
        .map(|pid| {
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap();
            let variables = String::from_utf8_lossy(&environment).into_owned();
            let rank = variables.split('\0').find_map(|v| v.strip_prefix("RANK="));
            (rank.unwrap().to_string(), pid.parse().unwrap())
        })
        .collect();
    ranks.sort();
    (child, ranks.into_iter().map(|(_, pid)| pid).collect())
}

fn signal(name: &str, pid: u32) {
    let done = std::process::Command::new("kill").args([name, &pid.to_string()]).status();
    assert!(done.unwrap().success());
}

#[test]
fn a_rank_that_is_killed_is_named_and_ends_the_run() {
    for (victim, words) in [
        (1, "error: train.pretrain: rank 1 is gone"),
        (0, "rank 1: error: train.pretrain: rank 0 is gone"),
    ] {
        let dir = Dir::new();
        let (child, ranks) = endless(&dir);
        signal("-KILL", ranks[victim]);
        let output = child.wait_with_output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains(words), "{stderr}");
    }
}

#[test]
fn a_rank_that_hangs_is_named_and_ends_the_run() {
    let dir = Dir::new();
    let (child, ranks) = endless(&dir);
    signal("-STOP", ranks[1]);
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("error: train.pretrain: rank 1 is gone: silent for 15 s"), "{stderr}");
}

#[test]
fn a_polite_signal_saves_and_is_no_failure() {
    let dir = Dir::new();
    let (child, _) = endless(&dir);
    signal("-TERM", child.id());
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert!(stderr.contains("stopped"), "{stderr}");
    let step = lines(&dir).last().unwrap()["step"].as_u64().unwrap();
    assert!(dir.join(&format!("runs/pretrain/step-{step}/manifest.json")).is_file());
    dir.ok(&["verify", "runs"]);
    let more = ["train", "pretrain", "--resume", "--set", &format!("steps={}", step + 2)];
    let more = [&more[..], &TWO, &["--set", "validate_every=5"]].concat();
    dir.ok(&more);
    assert_eq!(lines(&dir).last().unwrap()["step"], step + 2);
}

#[test]
fn resuming_is_proved_on_the_run_itself() {
    let dir = Dir::new();
    project(&dir);
    let done = dir.ok(&["train", "pretrain", "--verify-resume", "--threads", "1"]);
    assert!(done.stderr.contains("equal to the bit"), "{}", done.stderr);
    let left: Vec<_> = fs::read_dir(dir.join("runs")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_damaged_checkpoint_is_refused_with_its_name() {
    let dir = Dir::new();
    project(&dir);
    dir.ok(&["train", "pretrain", "--threads", "1"]);
    let step = dir.join("runs/pretrain/step-12");
    let resume = ["train", "pretrain", "--threads", "1", "--resume", "--set", "steps=14"];
    for file in ["model.safetensors", "optimizer.safetensors", "state.json", "config.json"] {
        let whole = fs::read(step.join(file)).unwrap();
        let mut flipped = whole.clone();
        let middle = flipped.len() / 2;
        flipped[middle] ^= 1;
        for (bytes, words) in
            [(&whole[..whole.len() - 1], "damaged: it has"), (&flipped[..], "damaged: its hash")]
        {
            fs::write(step.join(file), bytes).unwrap();
            let done = dir.run(&resume);
            assert_eq!(done.code, 2);
            assert!(done.stderr.contains(&format!("step-12/{file}: {words}")), "{}", done.stderr);
            assert!(done.stderr.contains("hint: write `step-8` into"), "{}", done.stderr);
        }
        fs::remove_file(step.join(file)).unwrap();
        let done = dir.run(&resume);
        assert!(done.stderr.contains(&format!("step-12/{file}: ")), "{}", done.stderr);
        fs::write(step.join(file), whole).unwrap();
    }
    // The hint helps.
    fs::write(step.join("state.json"), "").unwrap();
    fs::write(dir.join("runs/pretrain/LATEST"), "step-8\n").unwrap();
    dir.ok(&resume);
    assert_eq!(lines(&dir).last().unwrap()["step"], 14);
}

#[test]
fn a_full_disk_names_the_checkpoint_and_leaves_the_one_before() {
    // A file of this size is larger than the shell lets the process write.
    let dir = Dir::new();
    project(&dir);
    dir.ok(&["train", "pretrain", "--threads", "1", "--set", "steps=4"]);
    let bytes = fs::metadata(dir.join("runs/pretrain/step-4/optimizer.safetensors")).unwrap().len();
    let blocks = bytes / 1024 - 10;
    let script = format!(
        "trap '' XFSZ; ulimit -f {blocks}; exec {} train pretrain --threads 1 --resume",
        env!("CARGO_BIN_EXE_hexapla")
    );
    let mut limited = std::process::Command::new("bash");
    let output = limited.args(["-c", &script]).current_dir(dir.path()).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("optimizer.safetensors"), "{stderr}");
    let names = |e: std::io::Result<fs::DirEntry>| e.unwrap().file_name().into_string().unwrap();
    let left: Vec<String> = fs::read_dir(dir.join("runs/pretrain")).unwrap().map(names).collect();
    assert!(!left.iter().any(|name| name.starts_with(".tmp-") || name == "step-8"), "{left:?}");
    dir.ok(&["train", "pretrain", "--threads", "1", "--resume"]);
}
