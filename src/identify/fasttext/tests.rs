//! Whole models, written byte by byte as fastText writes them.

use super::*;

/// A model that is written to bytes.
#[derive(Clone)]
struct File {
    version: i32,
    dim: i32,
    word_ngrams: i32,
    loss: i32,
    model: i32,
    buckets: i32,
    minn: i32,
    maxn: i32,
    words: Vec<&'static str>,
    labels: Vec<(&'static str, i64)>,
    /// Buckets that were kept and their rows.
    kept: Option<Vec<(i32, i32)>>,
    input: Matrix,
    output: Matrix,
}

#[derive(Clone)]
enum Matrix {
    Dense(Vec<Vec<f32>>),
    Quantised {
        /// Columns that a code stands for.
        width: usize,
        codes: Vec<Vec<u8>>,
        /// For each code of a row, what its first values stand for; the others are 0.
        centroids: Vec<Vec<Vec<f32>>>,
        /// Codes of the norms, and what the first values stand for.
        norms: Option<(Vec<u8>, Vec<f32>)>,
    },
}

const HS: i32 = 1;
const NS: i32 = 2;
const SOFTMAX: i32 = 3;
const OVA: i32 = 4;

/// Two words and the end of the line, two labels.
fn small() -> File {
    File {
        version: 12,
        dim: 2,
        word_ngrams: 1,
        loss: SOFTMAX,
        model: 3,
        buckets: 0,
        minn: 0,
        maxn: 0,
        words: vec!["</s>", "hund", "собака"],
        labels: vec![("__label__de", 3), ("__label__ru", 2)],
        kept: None,
        input: Matrix::Dense(vec![vec![0.0, 0.0], vec![4.0, 0.0], vec![0.0, 4.0]]),
        output: Matrix::Dense(vec![vec![1.0, 0.0], vec![0.0, 1.0]]),
    }
}

impl File {
    fn bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let ints = |out: &mut Vec<u8>, ints: &[i32]| {
            ints.iter().for_each(|int| out.extend(int.to_le_bytes()));
        };
        ints(&mut out, &[793_712_314, self.version, self.dim, 5, 5, 1, 5, self.word_ngrams]);
        ints(&mut out, &[self.loss, self.model, self.buckets, self.minn, self.maxn, 100]);
        out.extend(1e-4_f64.to_le_bytes());
        let (words, labels) = (self.words.len() as i32, self.labels.len() as i32);
        ints(&mut out, &[words + labels, words, labels]);
        out.extend(1000_i64.to_le_bytes());
        out.extend(self.kept.as_ref().map_or(-1, |kept| kept.len() as i64).to_le_bytes());
        let words = self.words.iter().map(|word| (*word, 1, 0));
        for (word, count, kind) in words.chain(self.labels.iter().map(|(l, n)| (*l, *n, 1))) {
            out.extend(word.bytes().chain([0]));
            out.extend(count.to_le_bytes());
            out.push(kind);
        }
        for (bucket, row) in self.kept.iter().flatten() {
            ints(&mut out, &[*bucket, *row]);
        }
        self.input.write(&mut out);
        self.output.write(&mut out);
        out
    }

    fn parse(&self) -> Result<Model> {
        parse(self.bytes())
    }

    /// The names without `__label__` and the probabilities of the best k.
    fn predict(&self, text: &str, k: usize) -> Vec<(String, f32)> {
        let model = self.parse().unwrap();
        let mut scratch = Scratch::default();
        let predictions = model.predict(text, k, &mut scratch).unwrap();
        let name = |label: usize| model.labels()[label].replace(LABEL, "");
        predictions.iter().map(|p| (name(p.label), p.probability)).collect()
    }

    fn best(&self, text: &str) -> String {
        self.predict(text, 1).remove(0).0
    }
}

impl Matrix {
    fn write(&self, out: &mut Vec<u8>) {
        let floats = |out: &mut Vec<u8>, floats: &[f32]| {
            floats.iter().for_each(|float| out.extend(float.to_le_bytes()));
        };
        let shape = |out: &mut Vec<u8>, rows: usize, columns: usize| {
            out.extend([rows as u64, columns as u64].iter().flat_map(|n| n.to_le_bytes()));
        };
        let table = |out: &mut Vec<u8>, width: usize, centroids: &[Vec<Vec<f32>>]| {
            let last = centroids.last().unwrap()[0].len();
            let columns = (centroids.len() - 1) * width + last;
            let numbers = [columns, centroids.len(), width, last];
            out.extend(numbers.iter().flat_map(|n| (*n as i32).to_le_bytes()));
            for group in centroids {
                let known = group.concat();
                floats(out, &known);
                floats(out, &vec![0.0; 256 * group[0].len() - known.len()]);
            }
        };
        match self {
            Self::Dense(rows) => {
                out.push(0);
                shape(out, rows.len(), rows[0].len());
                rows.iter().for_each(|row| floats(out, row));
            }
            Self::Quantised { width, codes, centroids, norms } => {
                let last = centroids.last().unwrap()[0].len();
                out.extend([1, u8::from(norms.is_some())]);
                shape(out, codes.len(), (centroids.len() - 1) * width + last);
                out.extend(((codes.len() * centroids.len()) as i32).to_le_bytes());
                out.extend(codes.concat());
                table(out, *width, centroids);
                if let Some((codes, values)) = norms {
                    out.extend(codes);
                    table(out, 1, &[values.iter().map(|value| vec![*value]).collect()]);
                }
            }
        }
    }
}

fn parse(bytes: Vec<u8>) -> Result<Model> {
    Model::parse(Path::new("lid.bin"), &Buffer::from_vec(bytes))
}

fn is_near(found: &[(String, f32)], expected: &[(&str, f32)]) {
    let same = found.len() == expected.len()
        && found.iter().zip(expected).all(|(f, e)| f.0 == e.0 && (f.1 - e.1).abs() < 1e-6);
    assert!(same, "{found:?}, expected {expected:?}");
}

#[test]
fn softmax_is_one_distribution() {
    // The mean of (4, 0) and (0, 0) is (2, 0): e² / (e² + 1), and 10⁻⁵ that fastText adds.
    is_near(&small().predict("hund", 5), &[("de", 0.880_807), ("ru", 0.119_212_9)]);
    // (4, 0), (4, 0), (0, 4) and (0, 0) make (2, 1).
    is_near(&small().predict("hund hund собака", 1), &[("de", 0.731_068_6)]);
    // Without a known word there is the end of the line alone; equal scores are in fastText's order.
    is_near(&small().predict("", 2), &[("ru", 0.500_01), ("de", 0.500_01)]);
}

#[test]
fn sigmoids_are_those_of_the_table() {
    for loss in [NS, OVA] {
        let file = File { loss, ..small() };
        is_near(&file.predict("hund", 5), &[("de", 0.880_807), ("ru", 0.500_01)]);
        // 1.99 is looked up as 1.96875, beyond 8 there is 1.
        let Matrix::Dense(mut rows) = file.input.clone() else { unreachable!() };
        rows[1] = vec![3.98, -18.0];
        let file = File { input: Matrix::Dense(rows), ..file };
        is_near(&file.predict("hund", 5), &[("de", 0.877_486_7), ("ru", 0.000_01)]);
    }
}

#[test]
fn hierarchical_softmax_walks_the_tree_of_counts() {
    // Counts of 5, 3, 2: the inner node 0 is (c, b), the root is (inner node 0, a).
    let file = File {
        loss: HS,
        labels: vec![("a", 5), ("b", 3), ("c", 2)],
        output: Matrix::Dense(vec![vec![0.5, 0.0], vec![-1.0, 0.0], vec![9.0, 9.0]]),
        ..small()
    };
    // Products are 1 and -2: a is σ(-2), b is σ(2) σ(1), c is σ(2) σ(-1).
    let expected = [("b", 0.643_930_6), ("c", 0.236_893_7), ("a", 0.119_212_9)];
    is_near(&file.predict("hund", 3), &expected);
    is_near(&file.predict("hund", 1), &expected[..1]);
    let one = File {
        loss: HS,
        labels: vec![("a", 5)],
        output: Matrix::Dense(vec![vec![1.0, 0.0]]),
        ..small()
    };
    is_near(&one.predict("hund", 3), &[("a", 1.0)]);
}

#[test]
fn equal_labels_have_the_order_of_fasttext() {
    // Given by the official library 0.9.2.
    let names = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
    let order = |loss, k| -> String {
        let output = [0.0, 1.0, 2.0, 1.0, 0.0, 2.0, 1.0, 2.0, 0.0, 1.0].map(|n| vec![n, 0.0]);
        let file = File {
            loss,
            words: vec!["a"],
            input: Matrix::Dense(vec![vec![1.0, 0.0]]),
            labels: names.iter().map(|name| (*name, 10)).collect(),
            output: Matrix::Dense(output.to_vec()),
            ..small()
        };
        file.predict("a", k).into_iter().map(|(name, _)| name).collect()
    };
    for (loss, expected) in [
        (SOFTMAX, ["7", "75", "752", "57239", "75239168", "7523916840"]),
        (OVA, ["7", "75", "752", "57239", "75239168", "7523916840"]),
        (HS, ["6", "62", "624", "62473", "62473108", "6247310895"]),
    ] {
        assert_eq!([1, 2, 3, 5, 8, 12].map(|k| order(loss, k)), expected);
    }
}

#[test]
fn a_text_is_read_as_one_line() {
    let file = small();
    let same = |text: &str, as_if: &str| {
        assert_eq!(file.predict(text, 2), file.predict(as_if, 2), "{text:?}");
    };
    same(" hund\tсобака\r\n", "hund собака");
    same("hund\0собака\x0b\x0c", "hund собака");
    same("hund __label__ru __label__xx __label__", "hund");
    same("hund </s> собака собака", "hund");
    same("hund</s> <собака>", "");
    // Other spaces are letters of a word.
    same("hund\u{a0}собака\u{2028}", "");
    let file = File { words: vec!["hund"], input: Matrix::Dense(vec![vec![4.0, 0.0]]), ..small() };
    assert_eq!(file.predict("собака", 2), []);
    is_near(&file.predict("hund", 1), &[("de", 0.982_023_8)]);
}

/// A model with as many buckets that each of some n-grams has its own.
fn with_ngrams(ngrams: &[(&[u8], [f32; 2])]) -> File {
    let buckets = 1009;
    let mut rows = vec![vec![0.0, 0.0]; 3 + buckets];
    for (ngram, row) in ngrams {
        rows[3 + ngrams::hash(ngram) as usize % buckets] = row.to_vec();
    }
    File {
        buckets: buckets as i32,
        minn: 2,
        maxn: 3,
        words: vec!["</s>", "hund", "собака"],
        input: Matrix::Dense(rows),
        ..small()
    }
}

#[test]
fn unknown_words_are_known_by_their_ngrams() {
    let file = with_ngrams(&[("<ко".as_bytes(), [0.0, 9.0]), (b"ox>", [9.0, 0.0])]);
    assert_eq!((file.best("fox"), file.best("кот")), ("de".into(), "ru".into()));
    // Before version 12 they were not looked at.
    let file = File { version: 11, ..file };
    assert_eq!(file.predict("fox", 2), file.predict("кот", 2));
}

#[test]
fn neighbouring_words_have_a_row_of_their_own() {
    // As fastText hashes: 64 bits, from hashes that are signed.
    let wide = |word: &str| ngrams::hash(word.as_bytes()) as i32 as i64 as u64;
    let pair = wide("hund").wrapping_mul(116_049_371).wrapping_add(wide("</s>"));
    let mut rows = vec![vec![0.0, 0.0]; 3 + 1009];
    rows[3 + (pair % 1009) as usize] = vec![0.0, 9.0];
    let file = File { word_ngrams: 2, maxn: 0, input: Matrix::Dense(rows), ..with_ngrams(&[]) };
    assert_eq!(file.best("собака hund"), "ru");
    is_near(&file.predict("hund собака", 1), &[("ru", 0.500_01)]);
}

/// [`small`] as one code a row, or two of one column each.
fn quantised(width: usize) -> File {
    let (codes, centroids) = match width {
        2 => {
            let codes = vec![vec![2], vec![7], vec![1]];
            let mut centroids = vec![vec![0.0, 0.0]; 8];
            (centroids[1], centroids[7]) = (vec![0.0, 4.0], vec![4.0, 0.0]);
            (codes, vec![centroids])
        }
        _ => {
            let codes = vec![vec![0, 0], vec![1, 0], vec![0, 2]];
            (codes, vec![vec![vec![0.0], vec![4.0]], vec![vec![0.0], vec![0.0], vec![4.0]]])
        }
    };
    File { input: Matrix::Quantised { width, codes, centroids, norms: None }, ..small() }
}

#[test]
fn quantised_rows_are_what_their_codes_stand_for() {
    for width in [1, 2] {
        let file = quantised(width);
        assert_eq!(file.predict("hund hund собака", 2), small().predict("hund hund собака", 2));
        let Matrix::Quantised { codes, centroids, .. } = file.input.clone() else { unreachable!() };
        // Norms of 1, 2 and 1.
        let norms = Some((vec![0, 3, 0], vec![1.0, 9.0, 9.0, 2.0]));
        let input = Matrix::Quantised { width, codes, centroids, norms };
        let file = File { input, ..file };
        // (8, 0), (0, 4) and (0, 0): e⁴ᐟ³ / (e⁴ᐟ³ + 1).
        is_near(&file.predict("hund собака", 1), &[("de", 0.791_401_5)]);
    }
}

#[test]
fn quantised_labels_are_what_their_codes_stand_for() {
    let output = Matrix::Quantised {
        width: 2,
        codes: vec![vec![1], vec![0]],
        centroids: vec![vec![vec![0.0, 1.0], vec![2.0, 0.0]]],
        norms: Some((vec![1, 0], vec![1.0, 0.5])),
    };
    for loss in [SOFTMAX, OVA, HS] {
        let file = File { loss, output: output.clone(), ..quantised(2) };
        let plain = File { loss, ..small() };
        assert_eq!(file.predict("hund собака hund", 2), plain.predict("hund собака hund", 2));
    }
    // With plain words, the flag that announces it means nothing.
    let mut bytes = small().bytes();
    let flag = bytes.len() - (2 * 2 * 4 + 16) - 1;
    bytes[flag] = 1;
    assert_eq!(parse(bytes).unwrap().labels().len(), 2);
}

#[test]
fn wide_rows_are_added_like_narrow_ones() {
    // 5 columns are no whole block, 16 are one, 35 are two and a rest.
    for dim in [5, 16, 32, 35] {
        let number = |row: usize, column: usize| ((row * 7 + column * 3) % 11) as f32 - 5.0;
        let rows = |n| (0..n).map(|r| (0..dim).map(|c| number(r, c)).collect()).collect();
        let dense: Vec<Vec<f32>> = rows(3);
        let file = File {
            dim: dim as i32,
            input: Matrix::Dense(dense.clone()),
            output: Matrix::Dense(rows(2)),
            ..small()
        };
        let groups = dense.iter().map(|row| row.chunks(2).map(<[f32]>::to_vec).collect());
        let groups: Vec<Vec<Vec<f32>>> = groups.collect();
        let codes = (0..3).map(|row| vec![row; groups[0].len()]).collect();
        let centroids =
            (0..groups[0].len()).map(|g| groups.iter().map(|row| row[g].clone()).collect());
        let input =
            Matrix::Quantised { width: 2, codes, centroids: centroids.collect(), norms: None };
        let quantised = File { input, ..file.clone() };
        let text = "hund собака hund hund собака";
        // Hidden numbers are means of the rows, the end of the line being the first.
        let mean = |c| (number(0, c) + 3.0 * number(1, c) + 2.0 * number(2, c)) / 6.0;
        let score = |label| (0..dim).map(|c| mean(c) * number(label, c)).sum::<f32>();
        let first = 1.0 / (1.0 + (score(1) - score(0)).exp());
        let found = file.predict(text, 2);
        let de = found.iter().find(|(name, _)| name == "de").unwrap().1;
        assert!((de - first - 1e-5).abs() < 1e-4, "{dim}: {de}, expected {first}");
        assert_eq!(quantised.predict(text, 2), found);
    }
}

#[test]
fn pruned_ngrams_have_no_row() {
    let bucket = |ngram: &[u8]| (ngrams::hash(ngram) % 1009) as i32;
    let Matrix::Quantised { centroids, .. } = quantised(2).input else { unreachable!() };
    let file = File {
        buckets: 1009,
        minn: 2,
        maxn: 3,
        kept: Some(vec![(bucket(b"ox>"), 1), (bucket("<ко".as_bytes()), 0)]),
        input: Matrix::Quantised {
            width: 2,
            codes: vec![vec![0], vec![7], vec![1], vec![1], vec![7]],
            centroids,
            norms: None,
        },
        ..small()
    };
    // One n-gram and the end of the line; the others are not counted.
    is_near(&file.predict("fox", 1), &[("de", 0.880_807)]);
    is_near(&file.predict("кот", 1), &[("ru", 0.880_807)]);
    is_near(&file.predict("xyz", 1), &[("ru", 0.500_01)]);
    let none = File { kept: Some(Vec::new()), ..file.clone() };
    assert_eq!(none.predict("fox", 2), none.predict("", 2));
    // Before quantisation there is no pruning.
    let error = File { input: small().input, kept: Some(Vec::new()), ..file }.parse().err();
    assert!(error.unwrap().to_string().contains("plain vectors of pruned n-grams"));
}

#[test]
fn tags_are_those_of_the_labels() {
    let model = small().parse().unwrap();
    assert_eq!(model.tag(1, "", None).map(|tag| tag.to_string()), Some("rus_Cyrl".into()));
    assert_eq!(model.tag(2, "", None), None);
    let tags: Vec<String> = model.tags().map(|tag| tag.to_string()).collect();
    assert_eq!(tags, ["deu_Latn", "rus_Cyrl"]);
}

#[test]
fn other_files_are_told_what_they_are_not() {
    let refused = |file: File| file.parse().err().unwrap().to_string();
    for foreign in [&b""[..], b"PAR1", b"PAR1 and so on and so forth", &[0; 200]] {
        let error = parse(foreign.to_vec()).err().unwrap().to_string();
        let expected = "lid.bin: not a fastText model: it does not begin with the magic number";
        assert!(error.starts_with(expected), "{error}");
    }
    let error = refused(File { version: 13, ..small() });
    assert_eq!(error, "lid.bin: a fastText model of version 13; read are 11 and 12");
    let error = refused(File { model: 1, ..small() });
    assert_eq!(error, "lid.bin: a fastText model of word vectors, which has no labels");
    for (file, expected) in [
        (File { loss: 5, ..small() }, "the unknown loss 5 in the head"),
        (File { dim: 0, ..small() }, "vectors of no dimension in the head"),
        (File { dim: -2, ..small() }, "-2 dimensions in the head"),
        (File { dim: 3, ..small() }, "3 × 2 numbers where 3 × 3 are needed in the input matrix"),
        (File { maxn: 1 << 30, ..small() }, "n-grams of length 1073741824 in the head"),
        (File { word_ngrams: 2, ..small() }, "n-grams without buckets in the head"),
        (
            File { word_ngrams: 2, buckets: i32::MAX, ..small() },
            "3 × 2 numbers where 2147483650 × 2 are needed in the input matrix",
        ),
        (File { labels: vec![], ..small() }, "3 entries of 3 words, 0 labels in the dictionary"),
        (
            File { output: Matrix::Dense(vec![vec![1.0, 0.0]]), ..small() },
            "1 × 2 numbers for 2 × 2 in the output matrix",
        ),
        (
            File { output: Matrix::Dense(vec![vec![1.0, f32::NAN]; 2]), ..small() },
            "a number that is not finite in the output matrix",
        ),
        (File { kept: Some(vec![(1, 1)]), ..quantised(2) }, "bucket 1 of 0 in the kept n-grams"),
        (
            File { loss: HS, labels: vec![("a", i64::MAX), ("b", i64::MAX)], ..small() },
            "counts of labels that make no tree in the output matrix",
        ),
    ] {
        let error = refused(file);
        let expected = format!("lid.bin: {expected} of the fastText model, at byte ");
        assert!(error.starts_with(&expected), "{error}, expected {expected}");
    }
}

#[test]
fn damage_is_an_error_and_never_a_panic() {
    let plain = with_ngrams(&[]);
    let pruned = File { kept: Some(vec![]), output: quantised_output(), ..quantised(2) };
    for file in [small(), File { loss: HS, ..quantised(1) }, pruned, plain] {
        let bytes = file.bytes();
        let mut scratch = Scratch::default();
        let ends = (0..bytes.len()).filter(|end| *end < 400 || end % 97 == 0);
        for end in ends {
            assert!(parse(bytes[..end].to_vec()).is_err(), "{end}");
        }
        for at in (0..bytes.len()).filter(|at| *at < 400 || at % 61 == 0) {
            for damage in [0, 1, 0x7f, 0x80, 0xff] {
                let mut bytes = bytes.clone();
                bytes[at] = damage;
                if let Ok(model) = parse(bytes) {
                    // Some damage cannot be told from another model.
                    let _ = model.predict("hund und собака </s>", 2, &mut scratch);
                }
            }
        }
    }
}

fn quantised_output() -> Matrix {
    Matrix::Quantised {
        width: 2,
        codes: vec![vec![0], vec![1]],
        centroids: vec![vec![vec![1.0, 0.0], vec![0.0, 1.0]]],
        norms: None,
    }
}

#[test]
fn numbers_that_make_no_probability_are_an_error() {
    for loss in [HS, SOFTMAX, OVA] {
        let input = Matrix::Dense(vec![vec![0.0, 0.0], vec![f32::NAN, 0.0], vec![0.0, 0.0]]);
        let model = File { loss, input, ..small() }.parse().unwrap();
        let mut scratch = Scratch::default();
        assert_eq!(model.predict("собака", 1, &mut scratch).unwrap().len(), 1);
        let error = model.predict("hund", 1, &mut scratch).unwrap_err();
        let expected = "lid.bin: the numbers of the fastText model make no probability";
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn hostile_texts_are_predicted() {
    let model = with_ngrams(&[(b"aa", [1.0, 0.0])]).parse().unwrap();
    let mut scratch = Scratch::default();
    let long = "字".repeat(300_000);
    for text in ["", "\0", "\u{200d}", "\u{feff}", "🙂", "\u{378}", "a", "<", ">", "<>", &long] {
        for k in [0, 1, 2, 1000] {
            let predictions = model.predict(text, k, &mut scratch).unwrap();
            assert_eq!(predictions.len(), k.min(2), "{text:.9?}");
        }
    }
}
