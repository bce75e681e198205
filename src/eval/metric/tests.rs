//! What holds for every metric: copies are perfect, order is nothing, hostile text passes.

use super::resample::{
    Resampling, arrange, bootstrap, interval, paired_bootstrap, paired_randomization,
};
use super::*;

const PAIRS: [(&str, &str); 8] = [
    ("The cat sat on the mat today.", "A cat was sitting on the mat today."),
    ("Þetta er stór köttur og hundur.", "Þetta er köttur, stór og hundur."),
    ("Съешь ещё этих мягких французских булок", "Съешь же ещё этих французских булок, да"),
    ("मैं घर जाता हूँ और सोता हूँ।", "मैं अपने घर जा रहा हूँ।"),
    ("我非常喜欢你的猫。", "我喜欢那只猫。"),
    ("أحب القطط والكلاب كثيرا جدا", "أحب الكلاب والقطط جدا"),
    ("ภาษาไทยง่ายมาก", "ภาษาไทยไม่ยาก"),
    ("Ninapenda paka na mbwa sana leo.", "Leo ninapenda sana mbwa na paka."),
];

fn rows(needs: Needs) -> Vec<Item> {
    let of = |(i, (a, b)): (usize, &(&str, &str))| match needs {
        Needs::Texts | Needs::Answers => Item::texts(a, &[b]),
        Needs::Labels => Item::texts(["0", "1", "2"][i % 3], &[["0", "1"][i % 2]]),
        Needs::Numbers => Item::texts(&(i * i % 5).to_string(), &[&format!("{}.5", i % 3)]),
        Needs::Tags => {
            Item::texts("B-PER I-PER O B-LOC", &[["B-PER O O B-LOC", "B-PER I-PER O O"][i % 2]])
        }
        Needs::Rankings => Item::texts("a b c d", &[["c", "a=2 d", "x"][i % 3]]),
    };
    PAIRS.iter().enumerate().map(of).collect()
}

fn value(metric: &Metric, items: &[Item]) -> f64 {
    let options = Options::new(metric.options, []).unwrap();
    score(metric, &options, None, items).unwrap().statistics.value()
}

#[test]
fn a_copy_is_perfect() {
    for metric in METRICS {
        let copy = |item: Item| Item { hypothesis: item.references[0].clone(), ..item };
        let mut items: Vec<Item> = rows(metric.needs).into_iter().map(copy).collect();
        if metric.needs == Needs::Rankings {
            // Names stand without their gains in a ranking.
            items = vec![Item::texts("c", &["c"]), Item::texts("a d", &["a=2 d"])];
        }
        if metric.name.starts_with("rouge") {
            items.truncate(2);
        }
        let best = match metric.scale {
            _ if metric.lower_is_better => 0.0,
            Scale::Hundred => 100.0,
            Scale::One | Scale::Signed => 1.0,
        };
        let found = value(metric, &items);
        assert!((found - best).abs() < 1e-9, "{}: {found}", metric.name);
        assert!((value(metric, &rows(metric.needs)) - best).abs() > 1e-3, "{}", metric.name);
    }
}

#[test]
fn the_order_of_rows_is_nothing() {
    for metric in METRICS {
        let mut items = rows(metric.needs);
        let options = Options::new(metric.options, []).unwrap();
        let how = Resampling { samples: 50, seed: 3 };
        let found = |items: &[Item]| {
            let scored = score(metric, &options, None, items).unwrap();
            let order = arrange(&items.iter().map(Item::key).collect::<Vec<_>>());
            let scores = bootstrap(&scored.statistics, &order, how);
            (scored.statistics.value(), interval(&scores).unwrap())
        };
        let before = found(&items);
        items.reverse();
        items.swap(1, 4);
        let after = found(&items);
        assert!((before.0 - after.0).abs() < 1e-9, "{}", metric.name);
        assert!((before.1.low - after.1.low).abs() < 1e-9, "{}", metric.name);
        assert!(before.1.low <= before.1.high, "{}", metric.name);
    }
}

#[test]
fn chrf_with_beta_one_is_symmetric() {
    let turned = |(a, b): &(&str, &str)| Item::texts(b, &[a]);
    let (metric, options) = find("chrf++:beta=1,whitespace").unwrap();
    let there = score(metric, &options, None, &rows(Needs::Texts)).unwrap().statistics.value();
    let items: Vec<Item> = PAIRS.iter().map(turned).collect();
    let back = score(metric, &options, None, &items).unwrap().statistics.value();
    assert!((there - back).abs() < 1e-9 && there > 10.0, "{there} {back}");
}

#[test]
fn golden_values() {
    // By sacreBLEU 2.6.0, seqeval 1.2.2, rouge_score 0.1.2, scikit-learn 1.9.1 and scipy 1.17.1.
    for (spec, expected) in GOLDEN {
        let (metric, options) = find(spec).unwrap();
        let found = score(metric, &options, None, &rows(metric.needs)).unwrap().statistics.value();
        assert!((found - expected).abs() < 1e-9, "{spec}: {found}");
    }
}

const GOLDEN: &[(&str, f64)] = &[
    ("bleu", 20.862421349997035),
    ("bleu:tokenize=zh", 19.38151896058152),
    ("bleu:tokenize=intl", 20.86132549636578),
    ("bleu:tokenize=char", 64.31952448507535),
    ("bleu:tokenize=none", 14.642694587386462),
    ("bleu:tokenize=none,smooth_method=floor,effective_order", 14.642694587386462),
    ("bleu:tokenize=none,smooth_method=add-k,effective_order", 19.425111063116105),
    ("bleu:tokenize=none,smooth_method=none,effective_order", 14.642694587386462),
    ("chrf", 57.16083004258837),
    ("chrf++", 54.070998829522345),
    ("chrf:eps_smoothing,whitespace,beta=3", 64.79079887527364),
    ("ter", 61.53846153846154),
    ("ter:normalized,asian_support", 54.0),
    ("ter:no_punct,case_sensitive,asian_support", 56.41025641025641),
    ("rouge1", 0.3333333333333333),
    ("rouge2", 0.1291208791208791),
    ("rougeL", 0.21874999999999997),
    ("accuracy", 0.5),
    ("macro_f1", 0.38095238095238093),
    ("micro_f1:without=0", 0.4444444444444444),
    ("f1", 0.5714285714285714),
    ("matthews", 0.2182178902359924),
    ("pearson", 0.08285909615998407),
    ("spearman", 0.04666666666666666),
    ("entity_f1", 0.5714285714285715),
    ("entity_f1:mode=strict,average=macro", 0.5833333333333333),
];

#[test]
fn more_references_never_hurt_a_copy() {
    let items = [Item::texts("a b c d e", &["x y", "a b c d e", ""])];
    for name in ["bleu", "chrf", "chrf++", "rougeL", "answer_f1"] {
        let (metric, options) = find(name).unwrap();
        let best = if metric.scale == Scale::Hundred { 100.0 } else { 1.0 };
        let scored = score(metric, &options, None, &items).unwrap();
        assert!((scored.statistics.value() - best).abs() < 1e-9, "{name}");
    }
    let (bleu, options) = find("bleu").unwrap();
    let scored = score(bleu, &options, None, &items).unwrap();
    assert_eq!(scored.signature, "nrefs:3|case:mixed|eff:no|tok:13a|smooth:exp|version:2.6.0");
}

#[test]
fn hostile_text_passes() {
    let texts = [
        "",
        " ",
        "\n",
        "a",
        "\u{202e}abc\u{202c}",
        "👩\u{200d}👩\u{200d}👧",
        "\u{378}\u{10ffff}",
        "\u{301}",
        "&amp;&lt;",
        "'s",
        "- \n-",
        ".,.,.",
        "０１２",
        "İ",
        "ΣΑΣ",
    ];
    for metric in METRICS.iter().filter(|m| matches!(m.needs, Needs::Texts | Needs::Answers)) {
        for spec in [
            String::new(),
            metric
                .options
                .iter()
                .filter(|c| c.valid == options::FLAG)
                .map(|c| c.name)
                .collect::<Vec<_>>()
                .join(","),
        ] {
            let (metric, options) = find(&format!("{}:{spec}", metric.name)).unwrap();
            for a in texts {
                for b in texts {
                    let items = [Item::texts(a, &[b, a]), Item::texts(a, &[b])];
                    let found =
                        score(metric, &options, Some("tha"), &items).unwrap().statistics.value();
                    assert!(
                        found.is_finite() && found >= 0.0,
                        "{} {a:?} {b:?}: {found}",
                        metric.name
                    );
                }
            }
        }
    }
}

#[test]
fn no_row_is_no_error() {
    for metric in METRICS.iter().filter(|m| m.name != "f1") {
        assert!(
            value(metric, &[]).abs() < 1e-9 || metric.needs == Needs::Numbers,
            "{}",
            metric.name
        );
    }
    assert_eq!(interval(&[]), None);
}

#[test]
fn significance_tells_systems_apart() {
    let items: Vec<Item> = (0..200)
        .map(|i| {
            let gold = ["a", "b", "c"][i % 3];
            Item::texts(if i % 10 == 0 { "x" } else { gold }, &[gold])
        })
        .collect();
    // Wrong in other rows than the first, as often: no better and no worse.
    let same: Vec<Item> = (0..200)
        .map(|i| {
            let gold = ["a", "b", "c"][i % 3];
            Item::texts(if i % 10 == 5 { "x" } else { gold }, &[gold])
        })
        .collect();
    let bad: Vec<Item> = items
        .iter()
        .enumerate()
        .map(|(i, item)| {
            if i % 2 == 0 { Item { hypothesis: "x".into(), ..item.clone() } } else { item.clone() }
        })
        .collect();
    let (metric, options) = find("accuracy").unwrap();
    let of = |items: &[Item]| score(metric, &options, None, items).unwrap().statistics;
    let (a, b, c) = (of(&items), of(&same), of(&bad));
    let order = arrange(&(0..200).map(|i| id::keyed(i, 1)).collect::<Vec<_>>());
    let how = Resampling { samples: 500, seed: 12345 };
    for test in [paired_bootstrap, paired_randomization] {
        assert!(test(&a, &c, &order, how).p < 0.01);
        assert!(test(&a, &b, &order, how).p > 0.3);
        assert!(test(&a, &a, &order, how).difference == 0.0);
    }
    let found = paired_bootstrap(&a, &c, &order, how);
    assert!((found.difference + 0.4).abs() < 1e-12, "{found:?}");
}

#[test]
fn options_are_checked() {
    for (spec, words) in [
        ("bleu:tokenise=zh", "unknown option `tokenise`"),
        ("bleu:tokenize=zhh", "unknown tokenize `zhh`"),
        ("chrf:beta=x", "is no number"),
        ("chrf:char_order=2.5", "a whole number"),
        ("ter@3", "unknown option `k`"),
        ("ndcg@0", "a whole number"),
    ] {
        let found = find(spec).and_then(|(m, o)| score(m, &o, None, &rows(m.needs)).map(|_| ()));
        let error = found.unwrap_err().to_string();
        assert!(error.contains(words), "{spec}: {error}");
    }
}
