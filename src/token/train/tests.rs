//! Training is reproducible, and its tokenizers read and write every script.

use super::*;

const LINES: &[(&str, &str)] = &[
    ("isl_Latn", "Það er gott veður í dag og sólin skín á fjöllin"),
    ("isl_Latn", "Hún á hest og hundurinn hennar heitir Kolur"),
    ("swh_Latn", "Habari za asubuhi, leo kuna jua kali sana"),
    ("swh_Latn", "Watoto wanacheza mpira uwanjani kila siku"),
    ("ell_Grek", "Καλημέρα, σήμερα έχει ήλιο και τα παιδιά παίζουν"),
    ("jpn_Jpan", "今日は天気がいいので、子供たちは公園で遊んでいます"),
    ("arb_Arab", "الطقس جميل اليوم والأطفال يلعبون في الحديقة"),
];

pub(in crate::token) fn texts() -> Vec<(u64, String, String)> {
    (0..60u64)
        .map(|i| {
            let (lang, line) = LINES[i as usize % LINES.len()];
            let rest: String = line.chars().skip(i as usize % 7).collect();
            (i, lang.to_string(), format!("{line} {rest}"))
        })
        .collect()
}

pub(in crate::token) fn trained(
    spec: &TrainSpec,
    texts: &[(u64, String, String)],
) -> Result<Tokenizer> {
    let mut sizes = BTreeMap::new();
    for (_, lang, text) in texts {
        *sizes.entry(lang.clone()).or_insert(0) += text.chars().count() as u64;
    }
    let dir = tempfile::tempdir().unwrap();
    let texts = texts.iter().map(|(id, lang, text)| Ok((*id, lang, text)));
    train(spec, &sizes, texts, dir.path(), 1 << 30)
}

pub(in crate::token) fn spec(kind: &str, vocab: usize) -> TrainSpec {
    TrainSpec { kind: kind.into(), vocab, coverage: 1.0, ..TrainSpec::default() }
}

#[test]
fn the_order_of_texts_does_not_matter() {
    let (texts, mut reversed) = (texts(), texts());
    reversed.reverse();
    for kind in KINDS {
        let spec = spec(kind.name, 500);
        let first = trained(&spec, &texts).unwrap();
        for _ in 0..5 {
            assert_eq!(trained(&spec, &reversed).unwrap().json(), first.json());
        }
    }
}

/// Prints what it trained when told to, so that the test below can compare processes.
#[test]
fn another_process_trains_the_same_bytes() {
    const CHILD: &str = "HEXAPLA_TEST_TRAIN_TO";
    if let Ok(dir) = std::env::var(CHILD) {
        for kind in KINDS {
            let trained = trained(&spec(kind.name, 500), &texts()).unwrap();
            trained.save_to(&Path::new(&dir).join(kind.name)).unwrap();
        }
        return;
    }
    let here = tempfile::tempdir().unwrap();
    for threads in ["1", "3"] {
        let status = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "token::train::tests::another_process_trains_the_same_bytes"])
            .env(CHILD, here.path())
            .env("RAYON_NUM_THREADS", threads)
            .env("TOKENIZERS_PARALLELISM", if threads == "1" { "false" } else { "true" })
            .output()
            .unwrap();
        assert!(status.status.success());
        for kind in KINDS {
            let other = Tokenizer::load(&here.path().join(kind.name)).unwrap();
            let own = trained(&spec(kind.name, 500), &texts()).unwrap();
            assert_eq!(other.json(), own.json());
        }
    }
}

#[test]
fn ids_are_numbered_as_fairseq_does() {
    for kind in KINDS {
        let tokenizer = trained(&spec(kind.name, 450), &texts()).unwrap();
        let special = tokenizer.special();
        assert_eq!((special.bos, special.pad, special.eos, special.unk), (0, 1, 2, Some(3)));
        assert_eq!(special.mask, Some(tokenizer.vocab_size() as i32 - 1), "{}", kind.name);
        assert!(tokenizer.vocab_size() <= 450, "{}", tokenizer.vocab_size());
        let first = if kind.name == "byte" { "Ā" } else { "<0x00>" };
        assert_eq!(tokenizer.token(4).as_deref(), Some(first));
    }
}

#[test]
fn every_script_is_spelled_and_read_back() {
    for kind in KINDS {
        let tokenizer = trained(&spec(kind.name, 700), &texts()).unwrap();
        for (_, line) in LINES {
            let ids = tokenizer.encode(line).unwrap();
            match kind.name {
                "byte" => assert_eq!(ids.len(), line.len()),
                "char" => assert_eq!(ids.len(), line.chars().count() + 1),
                _ => assert!(ids.len() < line.len(), "{} {line}: {ids:?}", kind.name),
            }
            assert_eq!(tokenizer.decode(&ids).unwrap(), *line, "{}", kind.name);
        }
        // Characters that were never seen are spelled in bytes.
        let unseen = "ทดสอบ 🦅 \u{10ffff}";
        let ids = tokenizer.encode(unseen).unwrap();
        assert!(!ids.contains(&3), "{}: {ids:?}", kind.name);
        assert_eq!(tokenizer.decode(&ids).unwrap(), unseen, "{}", kind.name);
        assert!(tokenizer.encode("").unwrap().is_empty());
        assert!(tokenizer.encode("<s> </s> <pad> <mask>").unwrap().iter().all(|id| *id > 2));
    }
}

#[test]
fn a_vocabulary_too_small_for_all_characters_has_unknown_ones() {
    for kind in KINDS.iter().filter(|kind| kind.name != "byte") {
        let spec = TrainSpec { byte_fallback: false, ..spec(kind.name, 40) };
        let tokenizer = trained(&spec, &texts()).unwrap();
        assert!(tokenizer.vocab_size() <= 40, "{} {}", kind.name, tokenizer.vocab_size());
        let ids = tokenizer.encode("天気").unwrap();
        assert!(ids.contains(&3), "{}: {ids:?}", kind.name);
    }
}

#[test]
fn the_template_is_that_of_xlm_r() {
    let tokenizer = trained(&spec("unigram", 400), &texts()).unwrap();
    let inner = tokenizers::Tokenizer::from_bytes(tokenizer.json()).unwrap();
    let (a, b) = (tokenizer.encode("leo").unwrap(), tokenizer.encode("dag").unwrap());
    let ids =
        |e: tokenizers::Encoding| -> Vec<i32> { e.get_ids().iter().map(|id| *id as i32).collect() };
    let single = inner.encode("leo", true).unwrap();
    assert_eq!(ids(single), [&[0], a.as_slice(), &[2]].concat());
    let pair = inner.encode(("leo", "dag"), true).unwrap();
    assert!(pair.get_type_ids().iter().all(|id| *id == 0));
    assert_eq!(ids(pair), [&[0], a.as_slice(), &[2, 2], b.as_slice(), &[2]].concat());
}

#[test]
fn bytes_are_their_own_ids_and_nothing_is_lost() {
    let tokenizer = trained(&spec("byte", 0), &[]).unwrap();
    assert_eq!(tokenizer.vocab_size(), 261);
    let text = "  Καλημέρα\t\u{fb01}\u{e0}\r\n 天気 🦅 </s>";
    let ids = tokenizer.encode(text).unwrap();
    assert!(ids.iter().map(|id| *id - 4).eq(text.bytes().map(i32::from)), "{ids:?}");
    assert_eq!(tokenizer.decode(&ids).unwrap(), text);
}

#[test]
fn each_choice_of_parts_does_what_it_says() {
    let pieces = |change: fn(&mut TrainSpec), text: &str| -> Vec<String> {
        let mut spec = spec("char", 700);
        change(&mut spec);
        let tokenizer = trained(&spec, &texts()).unwrap();
        let ids = tokenizer.encode(text).unwrap();
        ids.iter().map(|id| tokenizer.token(*id).unwrap()).collect()
    };
    let text = |change, text| pieces(change, text).concat();
    assert_eq!(text(|_| {}, "Það\u{a0} ﬁ"), "▁Það▁fi");
    assert_eq!(text(|s| s.lowercase = true, "ÞAÐ"), "▁það");
    assert_eq!(text(|s| s.strip_accents = true, "έχει"), "▁εχει");
    assert_eq!(text(|s| s.normalizer = Some("nmt_nfkc".into()), "e\u{200b}r\u{1}u"), "▁e▁ru");
    let wide = |form: &'static str| {
        let mut spec = spec("char", 700);
        spec.normalizer = Some(form.into());
        let tokenizer = trained(&spec, &texts()).unwrap();
        tokenizer.encode("ﬁ").unwrap().len()
    };
    // `ﬁ` was not in the texts, so that it is three bytes where it is kept.
    assert_eq!(["nfkc", "nfc", "none"].map(wide), [3, 4, 4]);

    // No piece of merges reaches across what a pre-tokenizer cuts.
    let words = |cut: &str, digits: bool, text: &str| -> Vec<String> {
        let spec =
            TrainSpec { pre_tokenizer: Some(cut.into()), split_digits: digits, ..spec("bpe", 900) };
        let lines = |i| (i, "swh_Latn".to_string(), "leo... 2026, leo... 2026, (leo)".to_string());
        let tokenizer = trained(&spec, &(0..9).map(lines).collect::<Vec<_>>()).unwrap();
        let ids = tokenizer.encode(text).unwrap();
        assert_eq!(tokenizer.decode(&ids).unwrap(), text, "{cut}");
        ids.iter().map(|id| tokenizer.token(*id).unwrap()).collect()
    };
    assert_eq!(words("metaspace", false, "leo... 2026,"), ["▁leo...", "▁2026,"]);
    assert_eq!(words("whitespace", false, "leo... 2026,"), ["▁leo", "...", "▁2026", ","]);
    assert_eq!(words("bert", true, "leo... 2026,").concat(), "▁leo...▁2026,");
    assert_eq!(words("bert", true, "leo... 2026,").len(), 10);
    assert_eq!(words("byte_level", false, "leo...  2026,"), ["leo", "...", "Ġ", "Ġ2026", ","]);
    assert_eq!(words("byte_level", true, "leo 2026").len(), 6);

    for (cut, form) in [("metaspce", "nfkc"), ("bert", "nfkd")] {
        let (cut, form) = (Some(cut.to_string()), Some(form.to_string()));
        let spec = TrainSpec { pre_tokenizer: cut, normalizer: form, ..spec("bpe", 900) };
        let error = trained(&spec, &texts()).unwrap_err();
        assert!(error.to_string().contains("expected one of"), "{error}");
    }
    let spec = TrainSpec { pre_tokenizer: Some("bert".into()), ..spec("byte", 0) };
    assert!(trained(&spec, &texts()).unwrap_err().to_string().contains("no words"));
}

#[test]
fn languages_have_tokens_of_their_own() {
    for kind in KINDS {
        let plain = trained(&spec(kind.name, 600), &texts()).unwrap();
        assert!(plain.lang_tokens().is_empty());
        let error = plain.lang_token("isl_Latn").unwrap_err();
        assert!(error.hint().unwrap().contains("lang_tokens = true"), "{error}");

        let spec = TrainSpec { lang_tokens: true, ..spec(kind.name, 600) };
        let tokenizer = trained(&spec, &texts()).unwrap();
        assert!(tokenizer.vocab_size() <= 600, "{}", kind.name);
        let langs: Vec<&str> = tokenizer.lang_tokens().keys().map(String::as_str).collect();
        assert_eq!(langs, ["arb_Arab", "ell_Grek", "isl_Latn", "jpn_Jpan", "swh_Latn"]);
        // They stand before the mask, which stays the last one, and no text yields them.
        let mask = tokenizer.special().mask.unwrap();
        assert_eq!(mask, tokenizer.vocab_size() as i32 - 1);
        let id = tokenizer.lang_token("swh_Latn").unwrap();
        assert_eq!((id, tokenizer.token(id).as_deref()), (mask - 1, Some("<2swh_Latn>")));
        assert!(!tokenizer.encode("<2swh_Latn> leo").unwrap().contains(&id));
        let error = tokenizer.lang_token("swa_Latn").unwrap_err();
        assert!(error.to_string().contains("swh_Latn"), "{error}");

        let dir = tempfile::tempdir().unwrap();
        tokenizer.save_to(dir.path()).unwrap();
        let back = Tokenizer::load(dir.path()).unwrap();
        assert_eq!(back.lang_tokens(), tokenizer.lang_tokens());
        assert_eq!(back.fingerprint(), tokenizer.fingerprint());
    }
}

#[test]
fn specifications_that_cannot_be_met_are_refused() {
    let error = trained(&spec("unigramm", 500), &texts()).unwrap_err();
    assert_eq!(error.hint(), Some("did you mean `unigram`?"));
    for spec in [
        spec("bpe", 100),
        TrainSpec { alpha: f64::NAN, ..spec("bpe", 500) },
        TrainSpec { coverage: 0.0, ..spec("bpe", 500) },
        TrainSpec { max_piece: 0, ..spec("bpe", 500) },
    ] {
        assert!(trained(&spec, &texts()).is_err(), "{spec:?}");
    }
    let error = trained(&spec("bpe", 500), &[]).unwrap_err();
    assert_eq!(error.to_string(), "no text to train a tokenizer on");
}
