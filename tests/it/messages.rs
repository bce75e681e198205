//! What is said about damaged and hostile sources, word for word.
//!
//! Each case is made here from a few words of our own, ingested, and written down with the exit
//! code, what stands on stderr, and the reasons in `errors/`: `tests/data/messages.txt`, written
//! anew with `UPDATE_EXPECT=1`. Whether a message is good is for its reader to judge.

use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write};
use std::path::Path;

use crate::util::{Dir, sentence};

/// A case: what it shows, its files, and what follows `hexapla ingest`.
struct Case {
    title: &'static str,
    files: Vec<(&'static str, Vec<u8>)>,
    args: &'static str,
}

fn case(title: &'static str, file: &'static str, bytes: impl Into<Vec<u8>>) -> Case {
    Case { title, files: vec![(file, bytes.into())], args: "" }
}

impl Case {
    fn and(mut self, file: &'static str, bytes: impl Into<Vec<u8>>) -> Self {
        self.files.push((file, bytes.into()));
        self
    }

    fn with(self, args: &'static str) -> Self {
        Self { args, ..self }
    }
}

fn lines(n: usize) -> Vec<u8> {
    let line = |i| format!("{}\n", serde_json::json!({ "id": i, "text": sentence(3, i) }));
    (0..n).map(line).collect::<String>().into_bytes()
}

fn text(n: usize) -> Vec<u8> {
    (0..n).map(|i| format!("{}\n", sentence(1, i))).collect::<String>().into_bytes()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 3).unwrap()
}

fn bzip2(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = bzip2::read::BzEncoder::new(bytes, bzip2::Compression::best());
    encoder.read_to_end(&mut out).unwrap();
    out
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    liblzma::read::XzEncoder::new(bytes, 6).read_to_end(&mut out).unwrap();
    out
}

fn half(bytes: Vec<u8>) -> Vec<u8> {
    bytes[..bytes.len() / 2].to_vec()
}

/// A member of a zip archive that is stored as it is.
struct Member<'a> {
    name: &'a str,
    bytes: &'a [u8],
    method: u16,
    flags: u16,
}

fn stored<'a>(name: &'a str, bytes: &'a [u8]) -> Member<'a> {
    Member { name, bytes, method: 0, flags: 0 }
}

/// A zip archive by hand, as no honest packer writes what is asked for here.
fn zip(members: &[Member]) -> Vec<u8> {
    let (mut out, mut central) = (Vec::new(), Vec::new());
    for member in members {
        let at = out.len() as u32;
        let size = (member.bytes.len() as u32).to_le_bytes();
        let crc = crc32fast::hash(member.bytes).to_le_bytes();
        let name = (member.name.len() as u16).to_le_bytes();
        let mut common = Vec::new();
        common.extend(20u16.to_le_bytes());
        common.extend(member.flags.to_le_bytes());
        common.extend(member.method.to_le_bytes());
        // Midnight of the first day of 1980.
        common.extend([0, 0, 0x21, 0]);
        common.extend([crc, size, size].concat());
        common.extend(name);
        common.extend([0, 0]);
        out.extend(*b"PK\x03\x04");
        out.extend(&common);
        out.extend(member.name.as_bytes());
        out.extend(member.bytes);
        central.extend(*b"PK\x01\x02\x14\x00");
        central.extend(&common);
        central.extend([0; 10]);
        central.extend(at.to_le_bytes());
        central.extend(member.name.as_bytes());
    }
    let (n, at) = (members.len() as u16, out.len() as u32);
    out.extend(&central);
    out.extend(*b"PK\x05\x06\0\0\0\0");
    out.extend([n.to_le_bytes(), n.to_le_bytes()].concat());
    out.extend((central.len() as u32).to_le_bytes());
    out.extend(at.to_le_bytes());
    out.extend([0, 0]);
    out
}

fn tmx(prolog: &str, body: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{prolog}<tmx version=\"1.4\">\
         <header srclang=\"en\"/>\n<body>\n{body}</body>\n</tmx>\n"
    )
}

fn unit(n: usize) -> String {
    format!(
        "<tu tuid=\"{n}\"><tuv xml:lang=\"en\"><seg>{}</seg></tuv>\
         <tuv xml:lang=\"sw\"><seg>{}</seg></tuv></tu>\n",
        sentence(0, n),
        sentence(2, n)
    )
}

fn compressed() -> Vec<Case> {
    let mut flipped = gzip(&lines(2000));
    let at = flipped.len() - 6;
    flipped[at] ^= 1;
    let mut tail = gzip(&lines(5));
    tail.extend(b"not a member");
    let bomb = zstd::encode_all(std::io::repeat(b' ').take(320 << 20), 1).unwrap();
    vec![
        case("gzip, cut in the middle", "a.jsonl.gz", half(gzip(&lines(5000)))),
        case("gzip, its checksum changed", "a.jsonl.gz", flipped),
        case("gzip with something else behind it", "a.jsonl.gz", tail),
        case("zstd, cut in the middle", "a.jsonl.zst", half(zstd(&lines(9000)))),
        case("bzip2, cut in the middle", "a.jsonl.bz2", half(bzip2(&lines(20_000)))),
        case("xz, cut in the middle", "a.jsonl.xz", half(xz(&lines(9000)))),
        case("compressed, but only the first bytes of it", "a.jsonl.gz", &gzip(&lines(9))[..12]),
        case("a few kilobytes that are 320 MiB of blanks", "a.jsonl.zst", bomb),
    ]
}

fn archives() -> Vec<Case> {
    let (good, more) = (lines(3), lines(2));
    let cut = zip(&[stored("a.jsonl", &lines(900))]);
    let method = Member { method: 99, ..stored("b.jsonl", &more) };
    let locked = Member { flags: 1, ..stored("b.jsonl", &more) };
    let mut changed = zip(&[stored("a.jsonl", &good)]);
    changed[60] ^= 1;
    let inner = zip(&[stored("a.jsonl", &good)]);
    vec![
        case(
            "a member that would be written outside of the archive",
            "a.zip",
            zip(&[stored("a.jsonl", &good), stored("../../b.jsonl", &more)]),
        ),
        case(
            "two members of one name",
            "a.zip",
            zip(&[stored("a.jsonl", &good), stored("a.jsonl", &more)]),
        ),
        case("a member of an unknown method", "a.zip", zip(&[stored("a.jsonl", &good), method])),
        case("an encrypted member", "a.zip", zip(&[stored("a.jsonl", &good), locked])),
        case("a member whose checksum is another", "a.zip", changed),
        case("an archive without its end", "a.zip", half(cut)),
        case("an archive without members", "a.zip", zip(&[])),
        case("an archive in an archive", "a.zip", zip(&[stored("b.zip", &inner)])),
    ]
}

fn texts() -> Vec<Case> {
    let deep = format!("{{\"text\": \"x\", \"y\": {}", "[".repeat(100_000));
    let mut long = b"{\"text\": \"".to_vec();
    long.resize(40 << 20, b'x');
    long.extend(b"\"}\n");
    long.extend(lines(1));
    vec![
        case("sides of unequal length", "a.en", text(4))
            .and("a.is", text(3))
            .with("a.en a.is --langs en,is"),
        case("a side that is cut", "a.en", text(3000))
            .and("a.is.gz", half(gzip(&text(3000))))
            .with("a.en a.is.gz --langs en,is"),
        case("a column that is not there", "a.csv", "id,body\n1,habari\n"),
        case("a named column that is not there", "a.csv", "id,body\n1,habari\n")
            .with("a.csv --text-field txet"),
        case("a field that no record has", "a.jsonl", "{\"body\": \"habari\"}\n"),
        case("arrays that are 100,000 deep", "a.jsonl", deep),
        case("a line longer than a record may be", "a.jsonl", long),
        case("a quote that is never closed", "a.csv", "text\n\"habari\nya\nasubuhi\n"),
        case("bytes that are no text in any encoding", "a.jsonl", b"{\"text\": \"\xc3\x28\"}\n"),
        case("an unknown encoding", "a.txt", text(1)).with("a.txt --encoding utf8mb5"),
        case("bytes that mean nothing in the encoding", "a.txt", b"a\n\x81\x20\nb\n")
            .with("a.txt --format lines --encoding euc-jp"),
        case("UTF-16 that ends inside a character", "a.txt", b"\xff\xfea\0\n\0b")
            .with("a.txt --format lines"),
        case("Parquet, cut in the middle", "a.parquet", b"PAR1 and nothing else"),
    ]
}

fn markup() -> Vec<Case> {
    let laughs: String = (1..10)
        .map(|i| format!("<!ENTITY l{i} \"{}\">\n", format!("&l{};", i - 1).repeat(10)))
        .collect();
    let laughs = format!("<!DOCTYPE tmx [\n<!ENTITY l0 \"ha\">\n{laughs}]>\n");
    let laughing = unit(1).replace("<seg>", "<seg>&l9; ");
    let outside = "<!DOCTYPE tmx [\n<!ENTITY x SYSTEM \"file:///etc/hostname\">\n]>\n";
    let stolen = unit(1).replace("<seg>", "<seg>&x; ");
    let whole: String = (0..50).map(unit).collect();
    let whole = tmx("", &whole).into_bytes();
    let crossed = unit(1).replace("</seg></tuv></tu>", "</tuv></seg></tu>");
    let deep = format!("{}{}", "<b>".repeat(100_000), unit(2));
    let alone = "<tu><tuv xml:lang=\"en\"><seg>alone</seg></tuv></tu>\n";
    let other = unit(1).replace("\"sw\"", "\"qqq\"");
    let record = |length: usize| {
        format!(
            "WARC/1.0\r\nWARC-Type: conversion\r\nWARC-Target-URI: https://a.example/\r\n\
             Content-Type: text/plain\r\nContent-Length: {length}\r\n\r\nhabari ya asubuhi\r\n\r\n"
        )
    };
    let page = |n: usize| {
        format!(
            "<page><title>{n}</title><ns>0</ns><id>{n}</id><revision><id>{n}</id>\
             <text>{}</text></revision></page>\n",
            sentence(2, n)
        )
    };
    let dump: String = (0..40).map(page).collect();
    let dump = format!("<mediawiki xml:lang=\"sw\">\n<siteinfo/>\n{dump}</mediawiki>\n");
    let langs = "a.tmx --langs en,sw";
    vec![
        case("TMX with a billion laughs", "a.tmx", tmx(&laughs, &(laughing + &unit(2))))
            .with(langs),
        case("TMX that asks for a file", "a.tmx", tmx(outside, &(stolen + &unit(2)))).with(langs),
        case("TMX, cut in the middle", "a.tmx", half(whole)).with(langs),
        case("TMX with crossed tags", "a.tmx", tmx("", &(unit(0) + &crossed + &unit(2))))
            .with(langs),
        case("TMX that is 100,000 deep", "a.tmx", tmx("", &(unit(0) + &deep))).with(langs),
        case("TMX with a unit in one language", "a.tmx", tmx("", &(unit(0) + alone))).with(langs),
        case("TMX in an unknown language", "a.tmx", tmx("", &(unit(0) + &other)))
            .with("a.tmx --into pairs"),
        case("TMX that is something else", "a.tmx", "habari ya asubuhi\n").with(langs),
        case("WARC, cut in the middle", "a.warc", record(17) + &record(17)[..100]),
        case("WARC with a length that is wrong", "a.warc", record(9) + &record(17)),
        case("WARC with a length beyond the file", "a.warc", record(17) + &record(9000)),
        case("a Wikipedia dump, cut in the middle", "a.xml.bz2", bzip2(&half(dump.into_bytes()))),
    ]
}

/// Runs a case and writes down what came of it.
fn told(case: &Case) -> String {
    let dir = Dir::new();
    for (name, bytes) in &case.files {
        dir.write(name, bytes);
    }
    let given = if case.args.is_empty() { case.files[0].0 } else { case.args };
    let mut args = vec!["ingest"];
    args.extend(given.split(' '));
    args.extend(["--out", "out"]);
    let done = dir.run(&args);
    let mut out = format!("# {}\n$ hexapla {}\n", case.title, args.join(" "));
    out.push_str(&done.stdout);
    out.push_str(&done.stderr);
    let _ = writeln!(out, "exit {}", done.code);
    if dir.join("out/errors").is_dir() && done.code == 0 {
        let sql = "SELECT source_path, source_offset, reason FROM read('out/errors/*.parquet') \
                   ORDER BY source_path, source_row";
        let rows = dir.ok(&["sql", "-c", sql, "--json"]).json();
        for row in rows["rows"].as_array().unwrap() {
            let text = |key: &str| row[key].as_str().map_or(row[key].to_string(), String::from);
            let (path, at, reason) = (text("source_path"), text("source_offset"), text("reason"));
            let _ = writeln!(out, "errors: {path} at {at}: {reason}");
        }
    }
    assert!(!done.stderr.contains("panicked"), "{out}");
    out
}

#[test]
fn damaged_and_hostile_sources_are_told_in_these_words() {
    let cases = [compressed(), archives(), texts(), markup()].into_iter().flatten();
    let found: Vec<String> = cases.map(|case| told(&case)).collect();
    let found = found.join("\n");
    let path = Path::new(".").join("tests/data/messages.txt");
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(&path, &found).unwrap();
        return;
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    let differs = expected.lines().zip(found.lines()).find(|(a, b)| a != b);
    assert!(
        expected == found,
        "tests/data/messages.txt is out of date: {differs:?}; look at what UPDATE_EXPECT=1 changes"
    );
}
