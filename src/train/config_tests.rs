//! What a project file may say of training, and what it may not.

use super::*;

#[test]
fn the_examples_of_the_design_are_read() {
    let model: ModelConfig = toml::from_str("type = 'encoder'\nhidden = 384\nlayers = 6").unwrap();
    model.validate().unwrap();
    assert_eq!((model.heads(), model.intermediate()), (6, 1536));
    let run: TrainConfig = toml::from_str(
        "model = 'small'\npack = 'main'\nobjectives = { mlm = 1.0, tlm = 0.5 }\n\
         optimizer = { lr = 5e-4, schedule = 'wsd', warmup = 100 }",
    )
    .unwrap();
    run.validate().unwrap();
    assert_eq!(run.optimizer.schedule, Schedule::Wsd);
    let text = toml::to_string(&run).unwrap();
    assert_eq!(toml::from_str::<TrainConfig>(&text).unwrap(), run);
}

#[test]
fn options_of_another_architecture_are_refused() {
    let model: ModelConfig =
        toml::from_str("type = 'decoder'\nhidden = 512\nheads = 8\nkv_heads = 2\nrope_theta = 5e5")
            .unwrap();
    model.validate().unwrap();
    assert_eq!(model.intermediate(), 1344);
    let other = ModelConfig { kind: ModelKind::Encoder, ..model.clone() };
    let error = other.validate().unwrap_err().to_string();
    assert_eq!(error, "`kv_heads` is for type `decoder`, not `encoder`");
    let uneven = ModelConfig { kv_heads: Some(3), ..model };
    assert!(uneven.validate().unwrap_err().to_string().contains("cannot share"));
}

#[test]
fn wrong_names_are_told_with_the_valid_ones() {
    let error = toml::from_str::<TrainConfig>("optimizer = { schedule = 'cosin' }").unwrap_err();
    assert!(
        error.message().contains("expected one of: constant, linear, cosine, wsd, inverse_sqrt")
    );
    let run: TrainConfig =
        toml::from_str("model = 'a'\npack = 'b'\nobjectives = { mml = 1 }").unwrap();
    assert_eq!(
        run.validate().unwrap_err().to_string(),
        "unknown objective `mml`; expected one of: mlm, tlm, clm, translation, denoise, classify"
    );
    assert!(toml::from_str::<TrainConfig>("bacth = 3").is_err());
}

#[test]
fn weights_move_along_lines_between_their_steps() {
    let run: TrainConfig = toml::from_str(
        "model = 'a'\npack = 'b'\nobjectives = { mlm = 1, tlm = [[10, 0.0], [20, 1.0], [30, 0.5]] }",
    )
    .unwrap();
    run.validate().unwrap();
    let at = |step| run.objectives["tlm"].at(step);
    assert_eq!([0, 10, 15, 20, 25, 30, 99].map(at), [0.0, 0.0, 0.5, 1.0, 0.75, 0.5, 0.5]);
    assert_eq!(run.objectives["mlm"].at(7), 1.0);
    let text = toml::to_string(&run).unwrap();
    assert_eq!(toml::from_str::<TrainConfig>(&text).unwrap(), run);
    for wrong in ["[]", "[[5, 1.0], [5, 2.0]]", "[[0, -1.0]]"] {
        let text = format!("model = 'a'\npack = 'b'\nobjectives = {{ mlm = {wrong} }}");
        let run: TrainConfig = toml::from_str(&text).unwrap();
        assert!(run.validate().unwrap_err().to_string().contains("`objectives.mlm`"));
    }
}

#[test]
fn impossible_runs_are_refused() {
    for (text, message) in [
        ("pack = 'b'\nobjectives = { mlm = 1 }", "neither `model` nor `init`"),
        ("model = 'a'\nobjectives = { mlm = 1 }", "neither `pack` nor `data`"),
        ("model = 'a'\npack = 'b'\nobjectives = { classify = 1 }", "needs `data`"),
        ("model = 'a'\npack = 'b'\nobjectives = { mlm = 1 }\nbatch = 0", "`batch`"),
        ("model = 'a'\npack = 'b'\nobjectives = { mlm = 1 }\nsteps = 1\ntokens = 5", "more"),
    ] {
        let error = toml::from_str::<TrainConfig>(text).unwrap().validate().unwrap_err();
        assert!(error.to_string().contains(message), "{error}");
    }
}
