//! Each format is read back here as its documentation says; `make check-export` asks the engines.

use std::fs;
use std::path::Path;

use super::handoff::{Counts, Group, Provenance, Stage};
use super::*;

fn settings(layout: Layout) -> Settings {
    Settings { layout, vocab_size: 300, eos: 2, pad: 1, length: 4, memory: 64 }
}

fn place(dir: &Path, layout: Layout, name: &str) -> Place {
    let kind = match name.split_once('-') {
        Some((src, tgt)) => Some(GroupKind::Pairs { src_lang: src.into(), tgt_lang: tgt.into() }),
        None if name == "stream" => None,
        None => Some(GroupKind::Documents { lang: name.into() }),
    };
    Place {
        dir: dir.into(),
        split: Split::Train,
        name: name.into(),
        kind,
        settings: settings(layout),
    }
}

fn handoff(format: &'static dyn Format, layout: Layout) -> Handoff {
    let group = |kind: GroupKind, rows, tokens| Group {
        name: kind.name(),
        kind,
        train: Counts { rows, tokens, bytes: tokens * 3 },
        validation: Counts { rows: 1, tokens: 5, bytes: 15 },
    };
    let document = |lang: &str| GroupKind::Documents { lang: lang.into() };
    let pair = GroupKind::Pairs { src_lang: "eng_Latn".into(), tgt_lang: "isl_Latn".into() };
    let takes = format.takes(layout).unwrap();
    let groups = match takes.documents {
        true => vec![group(document("isl_Latn"), 10, 100), group(document("rus_Cyrl"), 40, 100)],
        false => vec![group(pair, 10, 100)],
    };
    let shares = match groups.len() {
        1 => vec![("eng_Latn-isl_Latn".to_string(), 1.0)],
        _ => vec![("isl_Latn".to_string(), 0.5), ("rus_Cyrl".to_string(), 0.5)],
    };
    Handoff {
        name: "out".into(),
        format,
        settings: settings(layout),
        seed: 17,
        tokenizer: Some("f".into()),
        stages: vec![Stage { until: 400, shares: shares.clone() }, Stage { until: 1000, shares }],
        groups,
        step_tokens: Some(100),
        provenance: Provenance::default(),
    }
}

fn write(format: &dyn Format, place: &Place, rows: &[&[i32]]) -> Option<u64> {
    let mut sink = format.token_sink(place).unwrap();
    for row in rows {
        let half = row.len() as i32 / 2;
        let lengths = [half, row.len() as i32 - half];
        let lengths = if half == 0 { &lengths[1..] } else { &lengths };
        sink.row(&TokenRow { ids: row, lengths, group: "isl_Latn" }).unwrap();
    }
    sink.finish().unwrap()
}

fn u32s(bytes: &[u8]) -> Vec<u32> {
    bytes.as_chunks::<4>().0.iter().map(|b| u32::from_le_bytes(*b)).collect()
}

fn u64s(bytes: &[u8]) -> Vec<u64> {
    bytes.as_chunks::<8>().0.iter().map(|b| u64::from_le_bytes(*b)).collect()
}

const ROWS: &[&[i32]] = &[&[10, 11, 2], &[299, 2], &[20, 21, 22, 23, 2]];

#[test]
fn names_are_sorted_and_found() {
    let names: Vec<&str> = FORMATS.iter().map(|format| format.name()).collect();
    assert!(names.is_sorted(), "{names:?}");
    assert!(FORMATS.iter().all(|format| format.takes(Layout::Parts).is_some()));
    assert!(format("hugginface").err().unwrap().hint().unwrap().contains("`huggingface`"));
}

#[test]
fn what_is_written_beside_says_who_mixes() {
    for format in FORMATS.iter().copied() {
        for layout in [Layout::Parts, Layout::Stream] {
            if format.takes(layout).is_none() {
                continue;
            }
            let handoff = handoff(format, layout);
            let page = format.readme(&handoff);
            assert!(page.contains(handoff.who_mixes()), "{}", format.name());
            let mixture: serde_json::Value = serde_json::from_str(&handoff.mixture()).unwrap();
            assert_eq!(mixture["mixture_applied"], layout == Layout::Stream);
            let files = format.beside(&handoff).unwrap();
            let named = files.iter().any(|(_, text)| text.contains("isl_Latn"));
            // A stream is one thing with one weight.
            assert!(files.is_empty() || named == (layout == Layout::Parts), "{files:?}");
        }
    }
}

#[test]
fn shares_of_rows_follow_from_mean_lengths() {
    let handoff = handoff(&megatron::Megatron, Layout::Parts);
    let rows = handoff.row_shares(&handoff.stages[0]);
    assert_eq!(rows, [("isl_Latn".to_string(), 0.2), ("rus_Cyrl".to_string(), 0.8)]);
    assert_eq!(handoff.epochs(1)[0], ("isl_Latn".to_string(), 3.0));
}

#[test]
fn megatron_is_read_by_its_index() {
    let dir = tempfile::tempdir().unwrap();
    for (vocab_size, code, width) in [(300, 8, 2), (65_499, 8, 2), (65_500, 4, 4)] {
        let mut place = place(dir.path(), Layout::Parts, "isl_Latn");
        place.settings.vocab_size = vocab_size;
        assert_eq!(write(&megatron::Megatron, &place, ROWS), None);
        let idx = fs::read(dir.path().join("train/isl_Latn.idx")).unwrap();
        assert_eq!(&idx[..9], b"MMIDIDX\0\0");
        assert_eq!((u64s(&idx[9..17]), idx[17]), (vec![1], code));
        assert_eq!(u64s(&idx[18..34]), [3, 4]);
        assert_eq!(u32s(&idx[34..46]), [3, 2, 5]);
        assert_eq!(u64s(&idx[46..70]), [0, 3 * width, 5 * width]);
        assert_eq!(u64s(&idx[70..]), [0, 1, 2, 3]);
        let bin = fs::read(dir.path().join("train/isl_Latn.bin")).unwrap();
        assert_eq!(bin.len() as u64, 10 * width);
        assert_eq!(&bin[3 * width as usize..][..2], 299u16.to_le_bytes());
    }
}

#[test]
fn flat_offsets_are_those_of_documents() {
    let dir = tempfile::tempdir().unwrap();
    write(&flat::Flat, &place(dir.path(), Layout::Stream, "stream"), ROWS);
    let folder = dir.path().join("train/stream");
    let ids = u32s(&fs::read(folder.join("tokens.bin")).unwrap());
    assert_eq!(ids, [10, 11, 2, 299, 2, 20, 21, 22, 23, 2]);
    let npy = fs::read(folder.join("document_offsets.npy")).unwrap();
    assert_eq!(&npy[..8], b"\x93NUMPY\x01\0");
    let head = usize::from(u16::from_le_bytes([npy[8], npy[9]])) + 10;
    assert_eq!((head % 64, npy[head - 1]), (0, b'\n'));
    let dict = String::from_utf8_lossy(&npy[10..head]);
    assert!(dict.contains("'shape': (7,)"), "{dict}");
    assert_eq!(u64s(&npy[head..]), [0, 1, 3, 4, 5, 7, 10]);
}

#[test]
fn samples_of_mds_are_of_one_length() {
    let dir = tempfile::tempdir().unwrap();
    for (layout, expected) in [
        (Layout::Parts, vec![10, 11, 2, 299, 2, 20, 21, 22, 23, 2, 1, 1]),
        (Layout::Stream, vec![10, 11, 2, 1, 299, 2, 1, 1, 20, 21, 22, 23, 2, 1, 1, 1]),
    ] {
        let samples = write(&mds::Mds, &place(dir.path(), layout, "x"), ROWS).unwrap();
        assert_eq!(samples as usize, expected.len() / 4);
        let folder = dir.path().join("x/train");
        let index: serde_json::Value =
            serde_json::from_slice(&fs::read(folder.join("index.json")).unwrap()).unwrap();
        let shard = &index["shards"][0];
        assert_eq!((&shard["samples"], &index["shards"][1]), (&samples.into(), &().into()));
        let bytes = fs::read(folder.join("shard.00000.mds")).unwrap();
        assert_eq!(shard["raw_data"]["bytes"], bytes.len());
        let head = u32s(&bytes[..8 + 4 * samples as usize]);
        assert_eq!(u64::from(head[0]), samples);
        assert_eq!(*head.last().unwrap() as usize, bytes.len());
        assert_eq!(u32s(&bytes[head[1] as usize..]), expected);
    }
}

#[test]
fn datatrove_has_ends_and_metadata() {
    let dir = tempfile::tempdir().unwrap();
    write(&datatrove::Datatrove, &place(dir.path(), Layout::Parts, "isl_Latn"), ROWS);
    let file = |end: &str| {
        fs::read(dir.path().join(format!("train/isl_Latn/00000_tokens.ds{end}"))).unwrap()
    };
    assert_eq!((file("").len(), &file("")[..2]), (20, &[10, 0][..]));
    assert_eq!(u64s(&file(".index")), [1, 3, 4, 5, 7, 10]);
    assert_eq!(file(".metadata"), b"tokenizer|2\n10\n10.00 T");
    let format = &datatrove::Datatrove;
    let mut all = handoff(format, Layout::Parts);
    let (_, text) = format.beside(&all).unwrap().remove(0);
    assert!(text.contains("start_training_step: 5\n"), "{text}");
    all.step_tokens = None;
    assert!(format.beside(&all).unwrap_err().hint().unwrap().contains("step_tokens"));
}

#[test]
fn chunks_of_litdata_are_documents() {
    let dir = tempfile::tempdir().unwrap();
    write(&litdata::LitData, &place(dir.path(), Layout::Parts, "isl_Latn"), ROWS);
    let folder = dir.path().join("train/isl_Latn");
    let bytes = fs::read(folder.join("chunk-0-0.bin")).unwrap();
    let words = u32s(&bytes);
    assert_eq!(words[..8], [6, 32, 36, 44, 48, 52, 60, 72]);
    assert_eq!(words[8..], [10, 11, 2, 299, 2, 20, 21, 22, 23, 2]);
    let index = fs::read(folder.join("index.json")).unwrap();
    let index: serde_json::Value = serde_json::from_slice(&index).unwrap();
    let chunk = &index["chunks"][0];
    assert_eq!((&chunk["dim"], &chunk["chunk_bytes"]), (&10.into(), &bytes.len().into()));
}

#[test]
fn pairs_are_lines() {
    let dir = tempfile::tempdir().unwrap();
    for format in [&moses::Moses as &dyn Format, &tsv::Tsv] {
        let mut sink = format.text_sink(&place(dir.path(), Layout::Parts, "a-b")).unwrap();
        for (src, tgt) in [("one\ttwo", "один\nдва"), ("", "三")] {
            let (source, score) = (None, None);
            sink.row(&TextRow::Pair { doc_id: 1, src, tgt, source, score }).unwrap();
        }
        sink.finish().unwrap();
    }
    let read = |end: &str| fs::read_to_string(dir.path().join(format!("train/a-b.{end}"))).unwrap();
    assert_eq!(read("tsv"), "one two\tодин два\n\t三\n");
    assert_eq!((read("a"), read("b")), ("one two\n\n".into(), "один два\n三\n".into()));
    let (_, text) = tsv::Tsv.beside(&handoff(&tsv::Tsv, Layout::Parts)).unwrap().remove(0);
    assert!(text.contains("stage2:\n  - eng_Latn-isl_Latn 1\n  - until eng_Latn-isl_Latn 6\n"));
}

#[test]
fn a_data_set_is_parquet_and_a_card() {
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    let dir = tempfile::tempdir().unwrap();
    let mut sink =
        hf::HuggingFace.text_sink(&place(dir.path(), Layout::Parts, "isl_Latn")).unwrap();
    for doc_id in 0..2500 {
        let text = format!("þetta er skjal {doc_id}");
        let (source, url) = (Some("wiki"), None);
        sink.row(&TextRow::Document { doc_id, text: &text, source, url }).unwrap();
    }
    sink.finish().unwrap();
    let file = fs::File::open(dir.path().join("data/isl_Latn/train-00000.parquet")).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    assert_eq!(reader.metadata().file_metadata().num_rows(), 2500);
    let card = hf::HuggingFace.readme(&handoff(&hf::HuggingFace, Layout::Parts));
    assert!(card.starts_with("---\nlanguage:\n- \"isl\"\n- \"rus\"\n"), "{card}");
    assert!(card.contains("path: \"data/rus_Cyrl/validation-*.parquet\""), "{card}");
    assert!(card.contains("num_examples: 40\n"), "{card}");
}
