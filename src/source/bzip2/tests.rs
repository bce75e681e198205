//! Streams of every shape against a plain decoder.

use std::io::Write;

use proptest::prelude::*;

use super::*;

/// Some text that is compressed to about a third.
fn content(length: usize, mut seed: u64) -> Vec<u8> {
    (0..length)
        .map(|_| {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            b"aeiou nt"[(seed >> 61) as usize]
        })
        .collect()
}

fn compressed(content: &[u8], level: u32) -> Vec<u8> {
    let mut out = ::bzip2::write::BzEncoder::new(Vec::new(), ::bzip2::Compression::new(level));
    out.write_all(content).unwrap();
    out.finish().unwrap()
}

/// What is read, and how it ends.
fn all(bytes: &[u8], threads: usize) -> (Vec<u8>, Option<io::ErrorKind>) {
    let raw = io::BufReader::with_capacity(1000, bytes);
    let mut out = Vec::new();
    let error = reader(Box::new(raw), threads).read_to_end(&mut out).err();
    (out, error.map(|e| e.kind()))
}

/// What a decoder of one thread reads.
fn plainly(bytes: &[u8]) -> (Vec<u8>, Option<io::ErrorKind>) {
    let mut out = Vec::new();
    let error = ::bzip2::bufread::MultiBzDecoder::new(bytes).read_to_end(&mut out).err();
    (out, error.map(|e| e.kind()))
}

/// Streams of one and of several blocks, and an empty one.
fn streams() -> Vec<u8> {
    let mut bytes = compressed(&content(450_000, 1), 1);
    bytes.extend(compressed(b"", 5));
    bytes.extend(compressed(&content(120_000, 2), 9));
    bytes.extend(compressed("Þetta er lok.".as_bytes(), 2));
    bytes
}

#[test]
fn streams_and_blocks_are_one_content_on_any_number_of_threads() {
    let bytes = streams();
    let want = plainly(&bytes);
    assert_eq!((want.0.len(), want.1), (450_000 + 120_000 + 14, None));
    for threads in [0, 1, 2, 5] {
        assert!(all(&bytes, threads) == want, "{threads}");
    }
    assert_eq!(all(&compressed(b"", 9), 2), (Vec::new(), None));
}

#[test]
fn a_truncated_file_gives_its_whole_blocks() {
    let bytes = streams();
    let ends = [0, 1, 3, 4, 7, 14, 15, 30_000, 100_000, bytes.len() - 60, bytes.len() - 1];
    for end in ends.into_iter().chain((0..40).map(|i| i * bytes.len() / 40 + i)) {
        let want = plainly(&bytes[..end]);
        for threads in [1, 2] {
            let got = all(&bytes[..end], threads);
            assert!(got.0 == want.0, "{end}: {} and {}", got.0.len(), want.0.len());
            assert_eq!(got.1, Some(io::ErrorKind::UnexpectedEof), "{end}");
        }
    }
}

#[test]
fn damage_ends_the_content_before_its_block() {
    let whole = streams();
    let want = plainly(&whole).0;
    for i in 0..60 {
        let mut bytes = whole.clone();
        let at = 4 + i * (bytes.len() - 5) / 60;
        bytes[at] ^= 1 << (i % 8);
        let (got, error) = all(&bytes, 2);
        assert!(want.starts_with(&got), "{at}");
        assert!(got.len() < want.len() || error.is_none() || at > 40_000, "{at}");
        // A bit that pads a stream means nothing.
        assert!(error == Some(io::ErrorKind::InvalidData) || got == want, "{at}: {error:?}");
        assert_eq!((got, error), all(&bytes, 1));
    }
}

#[test]
fn what_follows_the_last_stream_is_told() {
    let mut bytes = compressed(b"a", 1);
    bytes.extend(b"BZ");
    assert_eq!(all(&bytes, 2), (b"a".to_vec(), Some(io::ErrorKind::UnexpectedEof)));
    bytes.extend(b"?\0\0");
    assert_eq!(all(&bytes, 2), (b"a".to_vec(), Some(io::ErrorKind::InvalidData)));
    assert_eq!(all(b"no", 2).1, Some(io::ErrorKind::InvalidData));
}

#[test]
fn a_magic_number_by_chance_costs_nothing() {
    let bytes = compressed(&content(90_000, 3), 1);
    let mut splitter = Splitter::new(Box::new(bytes.as_slice()));
    let header = splitter.next().unwrap().unwrap();
    let block = splitter.next().unwrap().unwrap();
    let end = splitter.next().unwrap().unwrap();
    assert_eq!((block.kind, end.kind), (Kind::Block, Kind::End));
    for bit in [80, 1000, 1001, block.bits - 1] {
        let cut = (u64::from(block.first) + bit) as usize;
        let before =
            Segment { bytes: block.bytes[..cut.div_ceil(8)].to_vec(), bits: bit, ..block.clone() };
        let after = Segment {
            kind: if bit == 1000 { Kind::End } else { Kind::Block },
            bytes: block.bytes[cut / 8..].to_vec(),
            first: (cut % 8) as u32,
            bits: block.bits - bit,
            last: false,
        };
        let mut reader = reader(Box::new(io::empty()), 1);
        reader.splitter = None;
        let segments = [header.clone(), before, after, end.clone()];
        reader.pending.extend(segments.map(|segment| (Arc::new(segment), None)));
        let mut out = Vec::new();
        reader.read_to_end(&mut out).unwrap();
        assert!(out == content(90_000, 3), "{bit}");
    }
}

#[test]
fn a_reader_that_is_dropped_ends_its_threads() {
    let bytes = compressed(&content(900_000, 4), 1);
    let mut reader = reader(Box::new(bytes.as_slice()), 3);
    reader.fill_buf().unwrap();
    let stop = Arc::clone(&reader.workers.stop);
    drop(reader);
    // Every thread has let go of it.
    assert_eq!(Arc::strong_count(&stop), 1);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn any_streams_cut_anywhere_are_read_as_on_one_thread(
        parts in proptest::collection::vec((0..250_000_usize, 1..10_u32, any::<u64>()), 1..4),
        cut in 0.0..1.2_f64,
    ) {
        let mut bytes = Vec::new();
        for (length, level, seed) in parts {
            bytes.extend(compressed(&content(length, seed), level));
        }
        bytes.truncate((bytes.len() as f64 * cut) as usize);
        let want = plainly(&bytes);
        prop_assert!(all(&bytes, 2) == want || bytes.is_empty());
    }
}
