//! What every objective over packs promises: it begins at chance, learns, and looks at one document
//! (or pair) at a time.

use std::collections::BTreeMap;

use arrow::buffer::Buffer;
use tch::{Device, Kind as Number};

use super::*;
use crate::train::config::{Dtype, OBJECTIVE_NAMES, OptimizerConfig};
use crate::train::model::{decoder, encoder, seq2seq};
use crate::train::optim::Optimizer;
use crate::train::vocabulary::tests::xlmr;

const VOCABULARY: i64 = 200;

fn vocabulary() -> Vocabulary {
    let langs = ["isl_Latn", "ell_Grek"].iter().zip([197, 198]);
    let languages: BTreeMap<String, i32> = langs.map(|(l, id)| ((*l).to_string(), id)).collect();
    let mut vocabulary = xlmr(VOCABULARY);
    vocabulary.special = vec![0, 1, 2, 3, 197, 198, 199];
    Vocabulary { languages, ..vocabulary }
}

/// The objectives over packs, each with every shape of model that it trains and rows to read.
fn cases() -> Vec<(&'static Objective, Architecture, Kind)> {
    let bert = Architecture {
        family: crate::train::model::architecture::Family::Bert { types: 2 },
        ..encoder::tests::tiny(VOCABULARY)
    };
    let [m2m100, mbart] = [false, true].map(|is| seq2seq::tests::tiny(VOCABULARY, is));
    // The first mBART has its languages behind.
    let mut first = mbart.clone();
    if let crate::train::model::architecture::Family::Seq2seq(own) = &mut first.family {
        own.start = None;
    }
    vec![
        (&mlm::MLM, encoder::tests::tiny(VOCABULARY), Kind::Documents),
        (&mlm::MLM, bert.clone(), Kind::Pairs),
        (&tlm::TLM, encoder::tests::tiny(VOCABULARY), Kind::Pairs),
        (&tlm::TLM, bert, Kind::Pairs),
        (&clm::CLM, decoder::tests::tiny(VOCABULARY), Kind::Documents),
        (&clm::CLM, decoder::tests::tiny(VOCABULARY), Kind::Pairs),
        (&translation::TRANSLATION, m2m100.clone(), Kind::Pairs),
        (&translation::TRANSLATION, mbart.clone(), Kind::Pairs),
        (&translation::TRANSLATION, first, Kind::Pairs),
        (&denoise::DENOISE, m2m100, Kind::Documents),
        (&denoise::DENOISE, mbart, Kind::Documents),
    ]
}

/// Two rows of four documents or two pairs, the first of which has `other` inside.
fn batch(kind: Kind, other: i32) -> MicroBatch {
    let lengths = [vec![6, 7, 5, 6], vec![7, 5, 8, 4]];
    let mut tokens: Vec<i32> = Vec::new();
    for (row, lengths) in lengths.iter().enumerate() {
        for (document, &n) in lengths.iter().enumerate() {
            let seed = 7 * row + 3 * document;
            tokens.push(if kind == Kind::Pairs && document % 2 == 1 { 2 } else { 0 });
            tokens.extend((0..n as usize - 2).map(|k| 4 + ((seed + k * k) % 190) as i32));
            tokens.push(2);
        }
        tokens.resize((row + 1) * 26, 1);
    }
    tokens[2] = other;
    let langs: &[&str] = match kind {
        Kind::Documents => &["isl_Latn"],
        Kind::Pairs => &["isl_Latn", "ell_Grek"],
    };
    MicroBatch {
        kind,
        langs: langs.iter().map(|lang| (*lang).to_string()).collect(),
        rows: 2,
        length: 26,
        tokens: Buffer::from_vec(tokens),
        document_lengths: lengths.into(),
        aliased: true,
        group: 0,
    }
}

fn work(objective: &Objective, shape: &Architecture, batch: &MicroBatch) -> Work {
    let (vocabulary, masking) = (vocabulary(), Masking { probability: 0.5, whole_words: false });
    let setting = Setting { vocabulary: &vocabulary, architecture: shape, masking, key: 12 };
    (objective.prepare)(&Rows::Packed(batch), &setting).unwrap()
}

fn losses(model: &Model, work: &Work) -> Vec<f32> {
    Vec::try_from((work.objective.score)(model, work, None).unwrap().detach()).unwrap()
}

#[test]
fn the_first_loss_is_that_of_chance_and_a_batch_is_learned_by_heart() {
    for (objective, shape, kind) in cases() {
        let work = work(objective, &shape, &batch(kind, 50));
        let model = Model::new(shape, 3, Dtype::Fp32, Device::Cpu).unwrap();
        let mean = |losses: &[f32]| losses.iter().sum::<f32>() / losses.len() as f32;
        let first = losses(&model, &work);
        assert_eq!(first.len(), work.places.len());
        let chance = (VOCABULARY as f32).ln();
        assert!((mean(&first) - chance).abs() < 0.15, "{}: {}", objective.name, mean(&first));
        let config = OptimizerConfig { weight_decay: 0.0, ..OptimizerConfig::default() };
        let mut optimizer = Optimizer::new(model.parameters(), &config).unwrap();
        for _ in 0..150 {
            (objective.score)(&model, &work, None).unwrap().mean(Number::Float).backward();
            optimizer.clip(model.parameters()).unwrap();
            optimizer.step(model.parameters(), 5e-3).unwrap();
        }
        let last = mean(&losses(&model, &work));
        // Which document it is cannot be known before its first token, by a decoder.
        assert!(last < chance / 10.0, "{}: {last}", objective.name);
    }
}

#[test]
fn a_document_says_nothing_of_the_next() {
    for (objective, shape, kind) in cases() {
        let (one, other) = (work(objective, &shape, &batch(kind, 50)), batch(kind, 60));
        let two = work(objective, &shape, &other);
        let model = Model::new(shape, 3, Dtype::Fp32, Device::Cpu).unwrap();
        let name = objective.name;
        assert_eq!(one.places, two.places, "{name}");
        let (a, b) = (losses(&model, &one), losses(&model, &two));
        let (mut own, mut others) = (0, 0);
        for ((&place, a), b) in one.places.iter().zip(a).zip(b) {
            let of_first =
                place < one.layout.length as i64 && one.layout.units[place as usize] == 0;
            match of_first {
                true => own += usize::from(a != b),
                false => {
                    assert_eq!(a, b, "{name}: place {place}");
                    others += 1;
                }
            }
        }
        assert!(own > 0 && others > 5, "{name}: {own} {others}");
    }
}

#[test]
fn a_source_and_its_target_stand_as_the_family_writes_them() {
    let (vocabulary, batch) = (vocabulary(), batch(Kind::Pairs, 50));
    let tokens = batch.tokens.typed_data::<i32>();
    let (x, y) = (&tokens[1..5], &tokens[7..12]);
    for (objective, shape, kind) in cases() {
        if objective.name != "translation" {
            continue;
        }
        assert_eq!(kind, Kind::Pairs);
        let work = work(objective, &shape, &batch);
        let source = work.source.as_ref().unwrap();
        let crate::train::model::architecture::Family::Seq2seq(own) = &shape.family else {
            unreachable!()
        };
        let (from, to) = (197, 198);
        let (source_want, input, gold) = match own.start {
            Some(start) => {
                ([&[from], x, &[2]].concat(), [&[start, to], y].concat(), [&[to], y, &[2]].concat())
            }
            None => ([x, &[2, from]].concat(), [&[to], y, &[2]].concat(), [y, &[2, to]].concat()),
        };
        assert_eq!(source.ids.typed_data::<i32>()[..6], source_want);
        assert_eq!(work.ids.typed_data::<i32>()[..7], input);
        assert_eq!(work.gold[..7], gold.iter().map(|&id| i64::from(id)).collect::<Vec<_>>());
        assert_eq!(source.layout.documents[..12], [0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, -1]);
        // Losses are told by the language that is predicted.
        assert!(work.target_langs.iter().all(|&lang| work.langs[usize::from(lang)] == "ell_Grek"));
        assert_eq!(work.tokens, batch.real_tokens());
    }
    let unknown = MicroBatch { langs: vec!["isl_Latn".into(), "yor_Latn".into()], ..batch };
    let shape = seq2seq::tests::tiny(VOCABULARY, false);
    let masking = Masking { probability: 0.0, whole_words: false };
    let setting = Setting { vocabulary: &vocabulary, architecture: &shape, masking, key: 12 };
    let error = (translation::TRANSLATION.prepare)(&Rows::Packed(&unknown), &setting);
    assert!(error.err().unwrap().to_string().contains("language of the tokenizer `yor_Latn`"));
}

#[test]
fn the_registry_and_the_configuration_name_the_same() {
    let names: Vec<&str> = OBJECTIVES.iter().map(|o| o.name).collect();
    assert_eq!(names, OBJECTIVE_NAMES);
    assert!(OBJECTIVES.iter().all(|o| o.doc.ends_with('.')));
}

#[test]
fn pairs_prefer_tlm() {
    let both = ["mlm".to_string(), "tlm".to_string()];
    assert_eq!(for_batch(Kind::Pairs, &both).unwrap().name, "tlm");
    assert_eq!(for_batch(Kind::Pairs, &both[..1]).unwrap().name, "mlm");
    assert_eq!(for_batch(Kind::Documents, &both).unwrap().name, "mlm");
    let error = for_batch(Kind::Documents, &both[1..]).err().unwrap();
    assert!(error.to_string().starts_with("the pack has documents, which none"), "{error}");
    assert_eq!(for_batch(Kind::Pairs, &["clm".to_string()]).unwrap().name, "clm");
}

#[test]
fn objectives_are_held_to_their_kind_of_model() {
    let shape = decoder::tests::tiny(50);
    check_model(&["clm".to_string()], &shape).unwrap();
    let error = check_model(&["mlm".to_string()], &shape).unwrap_err();
    let text = "objective `mlm` trains a model of type `encoder`; this one is `decoder`";
    assert_eq!(error.to_string(), text);
    assert_eq!(error.hint(), Some("objectives of `decoder`: clm"));
}
