//! Every format under mutation: files that are cut, flipped and spliced neither panic nor fill
//! the memory, whatever they give.
//!
//! A few rounds each in every test run; `FUZZ_SECONDS=60 cargo test --test it mutations::` runs
//! each format for a minute, with `FUZZ_FORMATS=warc,tmx` only these. Rounds are seeded, so that a
//! failure comes again.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use hexapla::ingest::stream;
use hexapla::source::{SOURCES, SourceSpec};

/// A valid file of a format: the name of the format, its files, what is said of it.
type Sample = (&'static str, Vec<(&'static str, Vec<u8>)>, &'static str);

/// Bytes that mean something to some format.
const TOKENS: &[&[u8]] = &[
    b"\0",
    b"\xff",
    b"\xef\xbb\xbf",
    b"\n",
    b"\r\n",
    b"\"",
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b"<",
    b">",
    b"</",
    b"<!--",
    b"<![CDATA[",
    b"&",
    b"&#x110000;",
    b"]]>",
    b"{{",
    b"}}",
    b"[[",
    b"{|",
    b"\x1f\x8b\x08",
    b"WARC/1.0\r\n",
    b"Content-Length: 99999999999\r\n",
    b"-1",
    b"4294967296",
    b" --> ",
    b"\t",
    b"# text = ",
    b"msgid \"",
    b"msgstr[9] \"",
    b"<tu>",
    b"</page>",
    b"PAR1",
];

fn samples() -> Vec<Sample> {
    let text = "Habari ya asubuhi.\n\nيوم جديد\n日本語の文。\n";
    let jsonl = "{\"text\":\"Góðan daginn\",\"lang\":\"is\",\"id\":1}\n{\"text\":\"日本\"}\n";
    let array = "[{\"text\":\"Góðan\",\"n\":[1,{\"a\":null}]},\n{\"text\":\"\\u0041\"}]";
    let table = "text,lang\n\"a, \"\"b\"\"\nc\",is\nþ,sw\n";
    let tmx = "<?xml version=\"1.0\"?><tmx version=\"1.4\"><header srclang=\"en\"/><body><tu \
               tuid=\"1\"><prop type=\"x\">1</prop><tuv xml:lang=\"en\"><seg>a <bpt i=\"1\">&lt;b\
               </bpt>&amp;</seg></tuv><tuv xml:lang=\"is\"><seg>þ</seg></tuv></tu></body></tmx>";
    let xliff = "<xliff version=\"1.2\"><file source-language=\"en\" target-language=\"is\"><body>\
                 <trans-unit id=\"1\"><source>a<g id=\"1\">b</g></source><target>þ</target>\
                 </trans-unit></body></file></xliff>";
    let align = "<cesAlign><linkGrp fromDoc=\"en.xml\" toDoc=\"is.xml\"><link xtargets=\"1;1\"/>\
                 <link xtargets=\"2 1;1\"/></linkGrp></cesAlign>";
    let side = "<text><s id=\"1\">já <w>og</w></s><s id=\"2\">nei</s></text>";
    let po = "msgid \"\"\nmsgstr \"Language: is\\nPlural-Forms: nplurals=2; plural=n!=1;\\n\"\n\n\
              #, c-format\nmsgctxt \"x\"\nmsgid \"a\"\nmsgid_plural \"as\"\nmsgstr[0] \"þ\"\n\
              msgstr[1] \"þar\"\n";
    let squad = "{\"data\":[{\"title\":\"t\",\"paragraphs\":[{\"context\":\"sjór\",\"qas\":[{\"id\":\
                 \"q\",\"question\":\"hvað?\",\"answers\":[{\"text\":\"s\",\"answer_start\":0}]}]}]}]}";
    let srt = "1\n00:00:01,000 --> 00:00:02,000\n<i>Halló</i>\n\n2\n00:00:03,000 --> \
               00:00:04,000\n- já\n- nei\n";
    let conllu = "# sent_id = 1\n# text = Já\n1\tJá\tjá\tINTJ\t_\t_\t0\troot\t_\t_\n\n";
    let wiki = "<mediawiki xml:lang=\"is\"><siteinfo><dbname>iswiki</dbname></siteinfo><page>\
                <title>T</title><ns>0</ns><id>1</id><revision><id>2</id><text>'''T''' er {{x|[[y]]}}\
                 [[a|b]] &lt;ref&gt;r&lt;/ref&gt; texti.\n== H ==\n* a\n{| \n|x\n|}\n</text>\
                </revision></page></mediawiki>";
    let html = "<html lang=\"is\"><head><meta charset=\"utf-8\"><title>T</title></head><body><nav>\
                <a href=\"/\">n</a></nav><main><h1>Fyrirsögn</h1><p>Löng málsgrein með nógu miklum \
                texta til að teljast texti.</p><table><tr><td>a</table></main></body></html>";
    let http = format!("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n{html}");
    let warc = format!(
        "WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: http://a.example/\r\nContent-Type: \
         application/http\r\nContent-Length: {}\r\n\r\n{http}\r\n\r\nWARC/1.0\r\nWARC-Type: \
         conversion\r\nContent-Type: text/plain\r\nContent-Length: 6\r\n\r\ntexti\n\r\n\r\n",
        http.len()
    );
    let one = |name: &'static str, bytes: &str| vec![(name, bytes.as_bytes().to_vec())];
    let two = |a: (&'static str, &str), b: (&'static str, &str)| {
        vec![(a.0, a.1.as_bytes().to_vec()), (b.0, b.1.as_bytes().to_vec())]
    };
    let langs = "into = 'pairs'\nlangs = ['en', 'is']";
    let aligned = vec![
        ("a.xml", align.as_bytes().to_vec()),
        ("en.xml", side.as_bytes().to_vec()),
        ("is.xml", side.as_bytes().to_vec()),
    ];
    vec![
        ("jsonl", one("a.jsonl", jsonl), ""),
        ("json", one("a.json", array), ""),
        ("text", one("a.txt", text), ""),
        ("lines", one("a.txt", text), ""),
        ("paragraphs", one("a.txt", text), ""),
        ("tsv", one("a.tsv", &table.replace(',', "\t")), ""),
        ("csv", one("a.csv", table), ""),
        ("parquet", vec![("a.parquet", parquet())], ""),
        ("moses", two(("a.en-is.en", "a\nb\n"), ("a.en-is.is", "þ\nð\n")), langs),
        ("tmx", one("a.tmx", tmx), langs),
        ("opus-xml", aligned, langs),
        ("xliff", one("a.xlf", xliff), ""),
        ("po", one("a.po", po), "into = 'pairs'\nlangs = ['en', 'is']"),
        ("mo", vec![("a.gmo", catalogue())], "into = 'pairs'\nlangs = ['en', 'is']"),
        ("squad", one("a.json", squad), "into = 'labelled'"),
        ("subtitles", one("a.srt", srt), ""),
        ("cues", one("a.srt", srt), ""),
        ("conllu", one("a.conllu", conllu), ""),
        ("mediawiki", one("a.xml", wiki), ""),
        ("warc", one("a.warc", &warc), ""),
    ]
}

fn parquet() -> Vec<u8> {
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["Habari", "日本", "þ"]));
    let batch = RecordBatch::try_from_iter([("text", texts)]).unwrap();
    let mut out = Vec::new();
    let mut writer = parquet::arrow::ArrowWriter::try_new(&mut out, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    out
}

/// A compiled catalogue of two messages.
fn catalogue() -> Vec<u8> {
    let strings: [&[u8]; 4] =
        [b"", b"a\0as", b"Content-Type: text/plain; charset=UTF-8\n", "þ\0þar".as_bytes()];
    let mut out = Vec::new();
    let mut numbers = |all: &[u32]| out.extend(all.iter().flat_map(|n| n.to_le_bytes()));
    numbers(&[0x9504_12de, 0, 2, 28, 44, 0, 60]);
    let mut at = 60;
    for string in strings {
        numbers(&[string.len() as u32, at]);
        at += string.len() as u32 + 1;
    }
    strings.iter().for_each(|string| out.extend([string, &b"\0"[..]].concat()));
    out
}

/// Numbers that look random, always the same ones.
struct Draw(u64);

impl Draw {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % n.max(1) as u64) as usize
    }

    fn range(&mut self, n: usize) -> std::ops::Range<usize> {
        let (a, b) = (self.below(n + 1), self.below(n + 1));
        a.min(b)..a.max(b)
    }

    /// A file that is not quite what it was.
    fn mutate(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..=self.below(4) {
            let (n, kind) = (bytes.len(), self.below(7));
            let at = self.below(n + 1);
            match kind {
                0 => bytes.truncate(at),
                1 if n > 0 => bytes[at.min(n - 1)] ^= 1 << self.below(8),
                2 => drop(bytes.drain(self.range(n))),
                3 => {
                    let part = bytes[self.range(n)].to_vec();
                    bytes.splice(at..at, part);
                }
                4 => {
                    let part = bytes[self.range(n)].repeat(1 + self.below(50));
                    bytes.splice(at..at, part);
                }
                _ => {
                    let token = TOKENS[self.below(TOKENS.len())].repeat(1 + self.below(3));
                    bytes.splice(at..at, token);
                }
            }
            bytes.truncate(1 << 20);
        }
    }
}

/// The same bytes, sometimes compressed, and sometimes mutated after that.
fn packed(bytes: &[u8], draw: &mut Draw) -> Vec<u8> {
    let mut out = Vec::new();
    match draw.below(8) {
        0 => {
            let mut gz = flate2::write::GzEncoder::new(out, flate2::Compression::fast());
            gz.write_all(bytes).unwrap();
            out = gz.finish().unwrap();
        }
        1 => out = zstd::encode_all(bytes, 1).unwrap(),
        2 => {
            let mut bz = bzip2::write::BzEncoder::new(out, bzip2::Compression::fast());
            bz.write_all(bytes).unwrap();
            out = bz.finish().unwrap();
        }
        3 => {
            let mut xz = liblzma::write::XzEncoder::new(out, 1);
            xz.write_all(bytes).unwrap();
            out = xz.finish().unwrap();
        }
        _ => return bytes.to_vec(),
    }
    if draw.below(2) == 0 {
        draw.mutate(&mut out);
    }
    out
}

/// Memory of this process in bytes, where the system tells.
fn resident() -> u64 {
    let told = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    told.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4096
}

fn read(dir: &Path, (format, files, options): &Sample) -> hexapla::error::Result<u64> {
    let names: Vec<String> = files.iter().map(|(name, _)| format!("'{name}'")).collect();
    let paths = if *format == "moses" { names.join(", ") } else { names[0].clone() };
    let text = format!("path = [{paths}]\nformat = '{format}'\n{options}");
    let spec: SourceSpec = toml::from_str(&text).unwrap();
    let mut rows = 0;
    stream::batches(&spec, dir, u64::MAX, &mut |batch| {
        rows += batch.num_rows() as u64;
        Ok(())
    })?;
    Ok(rows)
}

#[test]
fn no_mutation_of_any_format_panics_or_fills_the_memory() {
    let all = samples();
    for format in SOURCES {
        assert!(all.iter().any(|s| s.0 == format.name()), "no sample of `{}`", format.name());
    }
    let seconds = std::env::var("FUZZ_SECONDS").ok().and_then(|s| s.parse().ok());
    let before = resident();
    let only = std::env::var("FUZZ_FORMATS").unwrap_or_default();
    let wanted = |name: &str| only.is_empty() || only.split(',').any(|format| format == name);
    for sample in all.iter().filter(|sample| wanted(sample.0)) {
        let dir = tempfile::tempdir().unwrap();
        for (name, bytes) in &sample.1 {
            fs::write(dir.path().join(name), bytes).unwrap();
        }
        let rows = read(dir.path(), sample);
        assert!(rows.as_ref().is_ok_and(|rows| *rows > 0), "{}: {rows:?}", sample.0);
        let (mut draw, mut round, begun) = (Draw(17), 0u64, Instant::now());
        loop {
            let over = match seconds {
                Some(seconds) => begun.elapsed() >= Duration::from_secs(seconds),
                None => round >= 40,
            };
            if over {
                break;
            }
            for (name, bytes) in &sample.1 {
                let mut bytes = bytes.clone();
                draw.mutate(&mut bytes);
                fs::write(dir.path().join(name), packed(&bytes, &mut draw)).unwrap();
            }
            // What comes of it does not matter, as long as something does.
            let _ = read(dir.path(), sample);
            round += 1;
        }
        let grown = resident().saturating_sub(before);
        assert!(grown < 1 << 30, "{}: {grown} bytes more after {round} rounds", sample.0);
    }
}
