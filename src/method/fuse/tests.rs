//! Models in folders, fused: laws, formats, refusals.

use std::collections::BTreeMap;

use serde_json::json;

use super::*;
use crate::id;

/// Writes a model of float tensors (and one counter) and gives its folder.
fn model(dir: &Path, name: &str, tensors: &[(&str, &[u64], Vec<f32>)]) -> PathBuf {
    let dir = dir.join(name);
    fs::create_dir_all(&dir).unwrap();
    let mut header = serde_json::Map::new();
    let mut data = Vec::new();
    for (name, shape, values) in tensors {
        let begin = data.len();
        values.iter().for_each(|v| data.extend(v.to_le_bytes()));
        header.insert(
            (*name).into(),
            json!({ "dtype": "F32", "shape": shape, "data_offsets": [begin, data.len()] }),
        );
    }
    let begin = data.len();
    data.extend(7i64.to_le_bytes());
    header.insert(
        "steps".into(),
        json!({ "dtype": "I64", "shape": [1], "data_offsets": [begin, data.len()] }),
    );
    let text = Value::from(header).to_string();
    let mut bytes = (text.len() as u64).to_le_bytes().to_vec();
    bytes.extend(text.as_bytes());
    bytes.extend(data);
    fs::write(dir.join(safetensors::MODEL), bytes).unwrap();
    fs::write(dir.join("config.json"), format!("{{\"name\": \"{name}\"}}")).unwrap();
    fs::write(dir.join("tokenizer.json"), "{}").unwrap();
    fs::write(dir.join("state.json"), "{}").unwrap();
    dir
}

/// Numbers around 0 that are a function of a key.
fn drawn(key: u64, n: usize) -> Vec<f32> {
    (0..n as u64).map(|i| (id::uniform(i, key) - 0.5) as f32).collect()
}

fn near(of: &[f32], key: u64) -> Vec<f32> {
    of.iter().zip(drawn(key, of.len())).map(|(a, b)| a + b * 0.1).collect()
}

fn two(dir: &Path, related: bool) -> Vec<PathBuf> {
    let first = drawn(1, 600);
    let second = if related { near(&first, 2) } else { drawn(2, 600) };
    vec![
        model(dir, "a", &[("w", &[20, 30], first), ("b", &[3], vec![1.0, 2.0, 3.0])]),
        model(dir, "b", &[("w", &[20, 30], second), ("b", &[3], vec![3.0, 2.0, 1.0])]),
    ]
}

fn read(dir: &Path) -> BTreeMap<String, Vec<f32>> {
    let model = Model::open(dir).unwrap();
    let names: Vec<String> = model.tensors().map(|t| t.name.clone()).collect();
    names.into_iter().map(|n| (n.clone(), model.read(&n).unwrap())).collect()
}

fn linear(weights: &[f64]) -> Method {
    Method::Linear { weights: weights.to_vec(), normalize: true }
}

#[test]
fn a_mean_is_a_model_with_the_first_ones_files() {
    let dir = tempfile::tempdir().unwrap();
    let models = two(dir.path(), true);
    let out = dir.path().join("deep/out");
    let fused = fuse(&models, None, &linear(&[3.0, 1.0]), &out).unwrap();
    assert_eq!((fused.tensors, fused.parameters), (3, 604));
    assert_eq!(fused.copied, ["config.json", "tokenizer.json"]);
    assert_eq!(
        fs::read(out.join("config.json")).unwrap(),
        fs::read(models[0].join("config.json")).unwrap()
    );
    assert_eq!(read(&out)["b"], [1.5, 2.0, 2.5]);
    assert_eq!(fused.ancestry.warning(), None);
    assert_eq!(Model::open(&out).unwrap().bytes("steps").unwrap(), 7i64.to_le_bytes());
    // The crate that everybody reads with reads it too.
    assert_eq!(fs::metadata(out.join(safetensors::MODEL)).unwrap().len() % 8, 4);
    // The same inputs give the same bytes, and nothing is overwritten.
    let again = dir.path().join("again");
    fuse(&models, None, &linear(&[3.0, 1.0]), &again).unwrap();
    let bytes = |dir: &Path| fs::read(dir.join(safetensors::MODEL)).unwrap();
    assert_eq!(bytes(&out), bytes(&again));
    let error = fuse(&models, None, &linear(&[1.0, 1.0]), &out).unwrap_err();
    assert!(error.to_string().contains("there is something already"), "{error}");
}

#[test]
fn ends_of_every_way_are_the_models() {
    let dir = tempfile::tempdir().unwrap();
    let models = two(dir.path(), true);
    let base =
        model(dir.path(), "base", &[("w", &[20, 30], drawn(1, 600)), ("b", &[3], vec![0.0; 3])]);
    let tasks = |weights: &[f64], density| {
        Method::Tasks(Tasks {
            weights: weights.into(),
            normalize: false,
            lambda: 1.0,
            density,
            rescale: false,
        })
    };
    let ends: [(Method, Option<&Path>, usize); 6] = [
        (linear(&[1.0, 0.0]), None, 0),
        (Method::Slerp { t: 0.0 }, None, 0),
        (Method::Slerp { t: 1.0 }, None, 1),
        (tasks(&[0.0, 1.0], None), Some(&base), 1),
        (tasks(&[1.0, 0.0], Some(1.0)), Some(&base), 0),
        (Method::Linear { weights: steps::moving_average(2, 0.0), normalize: false }, None, 1),
    ];
    for (i, (method, base, end)) in ends.into_iter().enumerate() {
        let out = dir.path().join(format!("out{i}"));
        fuse(&models, base, &method, &out).unwrap();
        for (name, values) in read(&models[end]) {
            for (a, b) in values.iter().zip(&read(&out)[&name]) {
                assert!((a - b).abs() < 1e-6, "{method:?} {name}: {a} {b}");
            }
        }
    }
}

#[test]
fn strangers_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let models = two(dir.path(), false);
    let fused = fuse(&models, None, &linear(&[1.0, 1.0]), &dir.path().join("out")).unwrap();
    let warning = fused.ancestry.warning().unwrap();
    assert!(warning.contains("share no ancestor"), "{warning}");
    assert!(fused.ancestry.cosine.unwrap().abs() < 0.2);
    assert_eq!(fused.ancestry.origins, [None, None]);
}

#[test]
fn what_does_not_fit_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let a = model(at, "a", &[("w", &[2, 2], vec![1.0; 4])]);
    let wide = model(at, "wide", &[("w", &[4, 1], vec![1.0; 4])]);
    let less = model(at, "less", &[]);
    let out = at.join("out");
    let fail = |models: &[&PathBuf], method: &Method, base: Option<&Path>| {
        let models: Vec<PathBuf> = models.iter().map(|m| (*m).clone()).collect();
        let error = fuse(&models, base, method, &out).unwrap_err();
        assert!(!out.exists());
        assert_eq!(fs::read_dir(at).unwrap().count(), 3, "nothing is left behind");
        error.to_string()
    };
    let half = linear(&[0.5, 0.5]);
    assert!(fail(&[&a, &wide], &half, None).contains("`w` is [2, 2] in"));
    assert!(fail(&[&a, &less], &half, None).contains("`w` is in"));
    assert!(fail(&[&less, &a], &half, None).contains("and not in"));
    assert!(fail(&[&a, &a], &linear(&[1.0]), None).contains("1 weights for 2 models"));
    assert!(fail(&[&a, &a], &linear(&[1.0, -1.0]), None).contains("add up to nothing"));
    assert!(fail(&[&a], &Method::Slerp { t: 0.5 }, None).contains("slerp is between two"));
    assert!(fail(&[&a, &a], &half, Some(&a)).contains("no base"));
    let damaged = at.join("a").join(safetensors::MODEL);
    let bytes = fs::read(&damaged).unwrap();
    for cut in [0, 4, 20, bytes.len() - 1] {
        fs::write(&damaged, &bytes[..cut]).unwrap();
        assert!(fail(&[&a, &wide], &half, None).contains("damaged"), "{cut}");
    }
    let mut huge = bytes.clone();
    huge[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    fs::write(&damaged, huge).unwrap();
    assert!(fail(&[&a, &wide], &half, None).contains("a header of"));
}

#[test]
fn steps_come_in_their_order() {
    let dir = tempfile::tempdir().unwrap();
    for step in [5, 10, 100] {
        model(dir.path(), &format!("step-{step}"), &[("w", &[1], vec![step as f32])]);
    }
    let names = |last| -> Vec<String> {
        let found = steps::steps(dir.path(), last).unwrap();
        found.iter().map(|p| p.file_name().unwrap().to_string_lossy().into_owned()).collect()
    };
    assert_eq!(names(None), ["step-5", "step-10", "step-100"]);
    assert_eq!(names(Some(2)), ["step-10", "step-100"]);
    assert!(steps::steps(dir.path(), Some(4)).is_err());
    fs::write(dir.path().join("LATEST"), "step-10\n").unwrap();
    assert_eq!(steps::resolve(dir.path()).unwrap(), dir.path().join("step-10"));
    // An average over steps, by hand: 5, then halfway to 10, then halfway to 100.
    let method = Method::Linear { weights: steps::moving_average(3, 0.5), normalize: false };
    let out = dir.path().join("ema");
    fuse(&steps::steps(dir.path(), None).unwrap(), None, &method, &out).unwrap();
    assert_eq!(read(&out)["w"], [53.75]);
}
