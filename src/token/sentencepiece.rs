//! SentencePiece models as the `tokenizer.json` that says the same, in the manner of the converters
//! of `transformers`.
//!
//! The parts of the `tokenizers` crate are chosen so that ids are those of SentencePiece. Its table
//! of characters is the exception: hexapla applies it as SentencePiece does (`charsmap.rs`), while
//! the crate loses marks of text that is not composed; for others that open the file, `NFC` stands
//! before and behind the table where it composes, which is nearer. What stays different here:
//! sums of scores are of 64 bits and of 32 in SentencePiece, so of segmentations that are equally
//! likely another one may be taken; a text that spells a control symbol (`<s>`) has its letters in
//! SentencePiece, and here the unknown token.

mod wire;

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use crate::error::{Error, Result};
use crate::token::charsmap::{Charsmap, EXACT, base64};
use crate::token::sample::METASPACE;
use wire::{Model, Piece, PieceKind};

/// Whose numbering of tokens it is.
#[derive(Debug, Clone, PartialEq)]
pub enum Numbering {
    /// SentencePiece's own, with tokens behind it.
    Own { more: Vec<String> },
    /// fairseq's, as in XLM-R, with tokens of languages before `<mask>`.
    Fairseq { langs: Vec<String> },
}

/// The classes of `tokenizer_config.json` whose numbering is fairseq's.
const FAIRSEQ: &[&str] = &["XLMRoberta", "MBart", "MBart50", "Nllb"];
/// Those whose numbering is SentencePiece's.
const OWN: &[&str] = &[
    "T5",
    "Llama",
    "CodeLlama",
    "Albert",
    "BigBird",
    "DebertaV2",
    "RemBert",
    "BertGeneration",
    "PreTrained",
];

impl Numbering {
    /// That of the class a `tokenizer_config.json` names, SentencePiece's own without one.
    ///
    /// Errors for a class that numbers tokens in a way that is not known here.
    pub fn of(config: &Map<String, Value>) -> Result<Self> {
        let texts = |key: &str| -> Option<Vec<String>> {
            let text =
                |v: &Value| v.as_str().or_else(|| v.get("content")?.as_str()).map(Into::into);
            config.get(key)?.as_array()?.iter().map(text).collect()
        };
        let listed = texts("additional_special_tokens").or_else(|| texts("extra_special_tokens"));
        let Some(class) = config.get("tokenizer_class").and_then(Value::as_str) else {
            return Ok(Self::Own { more: Vec::new() });
        };
        let name = class.strip_suffix("Fast").unwrap_or(class);
        let name = name.strip_suffix("Tokenizer").unwrap_or(name);
        match name {
            "XLMRoberta" => Ok(Self::Fairseq { langs: Vec::new() }),
            "MBart" | "MBart50" | "Nllb" => {
                let langs = listed.unwrap_or_default();
                if langs.is_empty() {
                    return Err(Error::usage(format!(
                        "`{class}` has tokens of languages, and none are listed"
                    ))
                    .hint_with(
                        "list them as `additional_special_tokens` in tokenizer_config.json",
                    ));
                }
                Ok(Self::Fairseq { langs })
            }
            "T5" => {
                let n = config.get("extra_ids").and_then(Value::as_u64).unwrap_or(100).min(10_000);
                Ok(Self::Own { more: (0..n).rev().map(|i| format!("<extra_id_{i}>")).collect() })
            }
            _ if OWN.contains(&name) => Ok(Self::Own { more: Vec::new() }),
            _ => {
                let known = FAIRSEQ.iter().chain(OWN).copied();
                Err(Error::unknown("`tokenizer_class` of a SentencePiece model", name, known))
            }
        }
    }
}

/// The text of a `tokenizer.json` with the ids of a `.model` file, and what
/// `tokenizer_config.json` says of its special tokens.
///
/// Errors for a file that is none, and for models that have no equal: those of words, and those
/// with white space behind a word.
pub fn convert(bytes: &[u8], numbering: &Numbering) -> Result<(String, Map<String, Value>)> {
    let model = Model::parse(bytes)?;
    if model.trainer.whitespace_as_suffix || !model.normalizer.escape_whitespaces {
        return Err(Error::usage(
            "a SentencePiece model with white space behind words, or as itself, cannot be loaded",
        )
        .hint_with(
            "`treat_whitespace_as_suffix` and `escape_whitespaces` must be the usual ones",
        ));
    }
    let vocab = number(&model, numbering);
    let unknown = vocab.iter().position(|piece| piece.kind == PieceKind::Unknown);
    let (parts, split) = parts(&model);
    let body = match model.trainer.kind {
        1 => unigram(&vocab, unknown, model.trainer.byte_fallback),
        2 | 4 => merging(&vocab, unknown, &model),
        kind => {
            let name = if kind == 3 { "word".into() } else { kind.to_string() };
            let message = format!("a SentencePiece model of type `{name}` cannot be loaded");
            return Err(Error::usage(message).hint_with("types: unigram, bpe, char"));
        }
    };
    let role = |id: i64| -> Option<&str> {
        let piece = model.pieces.get(usize::try_from(id).ok()?)?;
        Some(piece.text.as_str())
    };
    let trainer = &model.trainer;
    let fairseq = matches!(numbering, Numbering::Fairseq { .. });
    let roles = match fairseq {
        true => ["<s>", "</s>", "<pad>", "<unk>"].map(Some),
        false => [trainer.bos_id, trainer.eos_id, trainer.pad_id, trainer.unk_id].map(role),
    };
    let mut config = Map::new();
    for (key, token) in ["bos_token", "eos_token", "pad_token", "unk_token"].iter().zip(roles) {
        if let Some(token) = token {
            config.insert((*key).into(), json!(token));
        }
    }
    if !model.normalizer.charsmap.is_empty() {
        config.insert(EXACT.into(), json!(true));
    }
    let bpe = model.trainer.kind != 1;
    let added: Vec<Value> = vocab
        .iter()
        .enumerate()
        .filter(|(_, piece)| match piece.kind {
            PieceKind::Control | PieceKind::Unknown => true,
            // In a unigram model its score sees to it that it is taken.
            PieceKind::UserDefined => bpe,
            _ => false,
        })
        .map(|(id, piece)| {
            json!({"id": id, "content": piece.text, "single_word": false,
                   "lstrip": fairseq && piece.text == "<mask>", "rstrip": false,
                   "normalized": false, "special": piece.kind != PieceKind::UserDefined})
        })
        .collect();
    let place = |token: &str| vocab.iter().position(|piece| piece.text == token);
    let json = json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added,
        "normalizer": parts,
        "pre_tokenizer": split,
        "post_processor": template(&roles[..2], place, fairseq),
        "decoder": {"type": "Sequence", "decoders": decoders(&model)},
        "model": body,
    });
    let mut text = serde_json::to_string(&json)
        .map_err(|e| Error::internal(format!("tokenizer.json: {e}")))?;
    text.push('\n');
    Ok((text, config))
}

/// A piece with its id as its place.
struct Token {
    text: String,
    score: f32,
    kind: PieceKind,
}

fn number(model: &Model, numbering: &Numbering) -> Vec<Token> {
    let control = |text: &str| Token { text: text.into(), score: 0.0, kind: PieceKind::Control };
    let of =
        |piece: &Piece| Token { text: piece.text.clone(), score: piece.score, kind: piece.kind };
    match numbering {
        Numbering::Own { more } => {
            model.pieces.iter().map(of).chain(more.iter().map(|text| control(text))).collect()
        }
        Numbering::Fairseq { langs } => {
            let unknown = Token { kind: PieceKind::Unknown, ..control("<unk>") };
            let head = ["<s>", "<pad>", "</s>"].map(control).into_iter().chain([unknown]);
            let pieces = model.pieces.iter().skip(3).map(of);
            head.chain(pieces)
                .chain(langs.iter().map(|t| control(t)))
                .chain([control("<mask>")])
                .collect()
        }
    }
}

fn unigram(vocab: &[Token], unknown: Option<usize>, bytes: bool) -> Value {
    let normal = || vocab.iter().filter(|t| t.kind == PieceKind::Normal).map(|t| t.score);
    let (least, most) = (normal().fold(0.0, f32::min), normal().fold(f32::MIN, f32::max));
    let score = |token: &Token| match token.kind {
        PieceKind::Normal => token.score,
        // As SentencePiece has it: better than all pieces that it could be cut into.
        PieceKind::UserDefined => (token.text.len() as f32 * most - 0.1).max(least),
        PieceKind::Unused | PieceKind::Byte => least,
        _ => 0.0,
    };
    let vocab: Vec<Value> =
        vocab.iter().map(|token| json!([token.text, f64::from(score(token))])).collect();
    json!({"type": "Unigram", "unk_id": unknown, "vocab": vocab, "byte_fallback": bytes})
}

/// Merges: each piece of two others, in the order of scores, those of one piece from the left.
fn merging(vocab: &[Token], unknown: Option<usize>, model: &Model) -> Value {
    let mut ids = Map::new();
    for (id, token) in vocab.iter().enumerate() {
        ids.entry(token.text.clone()).or_insert_with(|| json!(id));
    }
    let mut merges: Vec<(f32, usize, usize, &str, &str)> = Vec::new();
    if model.trainer.kind == 2 {
        let normal = || vocab.iter().enumerate().filter(|(_, t)| t.kind == PieceKind::Normal);
        let places: HashMap<&str, usize> = normal().map(|(id, t)| (t.text.as_str(), id)).collect();
        for (id, token) in normal() {
            for (at, _) in token.text.char_indices().skip(1) {
                let (left, right) = token.text.split_at(at);
                if let (Some(a), Some(_)) = (places.get(left), places.get(right)) {
                    merges.push((token.score, id, *a, left, right));
                }
            }
        }
        merges.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
    }
    let merges: Vec<[&str; 2]> = merges.iter().map(|(.., left, right)| [*left, *right]).collect();
    json!({
        "type": "BPE", "dropout": null, "unk_token": unknown.map(|id| &vocab[id].text),
        "continuing_subword_prefix": null, "end_of_word_suffix": null, "fuse_unk": true,
        "byte_fallback": model.trainer.byte_fallback, "ignore_merges": false, "vocab": ids,
        "merges": merges
    })
}

/// The normaliser and the pre-tokenizer.
fn parts(model: &Model) -> (Value, Value) {
    let spec = &model.normalizer;
    let mut parts = Vec::new();
    if !spec.charsmap.is_empty() {
        let table = json!({"type": "Precompiled", "precompiled_charsmap": base64(&spec.charsmap)});
        match composes(&spec.charsmap) {
            true => parts.extend([json!({"type": "NFC"}), table, json!({"type": "NFC"})]),
            false => parts.push(table),
        }
    }
    let replace = |pattern: Value, content: &str| json!({"type": "Replace", "pattern": pattern, "content": content});
    // Only spaces are white to SentencePiece; its table makes others into them.
    if spec.remove_extra_whitespaces {
        parts.push(replace(json!({"Regex": r"\A +| +\z"}), ""));
        parts.push(replace(json!({"Regex": " {2,}"}), " "));
    }
    // Where no piece has white space inside, words can be taken one by one.
    let inside = |piece: &Piece| piece.text.chars().skip(1).any(|c| c == METASPACE);
    let learned = |piece: &&Piece| matches!(piece.kind, PieceKind::Normal | PieceKind::UserDefined);
    let apart = !model.pieces.iter().filter(learned).any(inside);
    let mut split = Value::Null;
    if spec.remove_extra_whitespaces {
        let scheme = match (spec.dummy_prefix, model.trainer.kind) {
            (false, _) => "never",
            // What follows a symbol of the user's is not the beginning of the text.
            (true, 1) => "always",
            (true, _) if has_symbols(model) => "first",
            (true, _) => "always",
        };
        split = json!({"type": "Metaspace", "replacement": METASPACE, "prepend_scheme": scheme,
                       "split": apart});
    } else {
        if spec.dummy_prefix {
            parts.push(json!({"type": "Prepend", "prepend": METASPACE}));
        }
        parts.push(replace(json!({"String": " "}), &METASPACE.to_string()));
        if apart {
            split = json!({"type": "Split", "pattern": {"String": METASPACE},
                           "behavior": "MergedWithNext", "invert": false});
        }
    }
    let normalizer = match parts.len() {
        0 => Value::Null,
        1 => parts.remove(0),
        _ => json!({"type": "Sequence", "normalizers": parts}),
    };
    (normalizer, split)
}

fn has_symbols(model: &Model) -> bool {
    model.pieces.iter().any(|piece| piece.kind == PieceKind::UserDefined)
}

fn decoders(model: &Model) -> Vec<Value> {
    let mut all = vec![
        json!({"type": "Replace", "pattern": {"String": METASPACE}, "content": " "}),
        json!({"type": "ByteFallback"}),
        json!({"type": "Fuse"}),
    ];
    if model.normalizer.dummy_prefix {
        all.push(json!({"type": "Strip", "content": " ", "start": 1, "stop": 0}));
    }
    all
}

/// The tokens that begin and end a text around it, those that there are.
fn template(roles: &[Option<&str>], place: impl Fn(&str) -> Option<usize>, twice: bool) -> Value {
    let of = |role: usize| Some((roles[role]?, place(roles[role]?)?));
    let (bos, eos) = (of(0), of(1));
    let special = |token: &str| json!({"SpecialToken": {"id": token, "type_id": 0}});
    let sequence = |name: &str| json!({"Sequence": {"id": name, "type_id": 0}});
    let around = |all: &mut Vec<Value>, name: &str, bos: Option<(&str, usize)>| {
        all.extend(bos.map(|(token, _)| special(token)));
        all.push(sequence(name));
        all.extend(eos.map(|(token, _)| special(token)));
    };
    let mut single = Vec::new();
    around(&mut single, "A", bos);
    let mut pair = single.clone();
    if twice {
        pair.extend(eos.map(|(token, _)| special(token)));
    }
    around(&mut pair, "B", bos.filter(|_| !twice));
    let tokens: Map<String, Value> = [bos, eos]
        .into_iter()
        .flatten()
        .map(|(token, id)| (token.into(), json!({"id": token, "ids": [id], "tokens": [token]})))
        .collect();
    json!({"type": "TemplateProcessing", "single": single, "pair": pair, "special_tokens": tokens})
}

/// Whether a table of characters composes, as all of Unicode's forms do: `e` and an acute give `é`.
fn composes(charsmap: &[u8]) -> bool {
    let table = Charsmap::new(charsmap);
    table.is_some_and(|table| table.longest("e\u{301}".as_bytes()).is_some_and(|(n, _)| n == 3))
}

#[cfg(test)]
mod tests {
    use super::wire::tests::{bytes_field, piece, varint_field};
    use super::*;
    use crate::token::Tokenizer;

    fn model(kind: u64, more: &[Vec<u8>], normalizer: &[Vec<u8>]) -> Vec<u8> {
        let pieces =
            [("▁", -2.0), ("▁дом", -3.0), ("д", -4.0), ("о", -4.5), ("м", -5.0), ("до", -6.0)];
        let mut out: Vec<u8> = [("<unk>", 2), ("<s>", 3), ("</s>", 3)]
            .iter()
            .flat_map(|(text, kind)| piece(text, 0.0, *kind))
            .chain(pieces.iter().flat_map(|(text, score)| piece(text, *score, 1)))
            .chain(more.concat())
            .collect();
        out.extend(bytes_field(2, &varint_field(3, kind)));
        out.extend(bytes_field(3, &normalizer.concat()));
        out
    }

    fn pieces(bytes: &[u8], numbering: &Numbering, text: &str) -> Vec<String> {
        let (json, config) = convert(bytes, numbering).unwrap();
        let tokenizer = Tokenizer::parse(json, config).unwrap();
        let ids = tokenizer.encode(text).unwrap();
        ids.iter().map(|id| tokenizer.token(*id).unwrap()).collect()
    }

    #[test]
    fn white_space_is_what_the_normaliser_says() {
        let own = Numbering::Own { more: Vec::new() };
        let of =
            |normalizer: &[Vec<u8>], text: &str| pieces(&model(1, &[], normalizer), &own, text);
        assert_eq!(of(&[], "  дом  до "), ["▁дом", "▁", "до"]);
        let bare = [varint_field(3, 0)];
        assert_eq!(of(&bare, " дом дом"), ["до", "м", "▁дом"]);
        let kept = [varint_field(4, 0)];
        assert_eq!(of(&kept, " дом  "), ["▁", "▁дом", "▁", "▁"]);
    }

    #[test]
    fn symbols_of_the_user_are_one_piece_wherever_they_stand() {
        let more = [piece("<до>", 0.0, 4)];
        let own = Numbering::Own { more: Vec::new() };
        for kind in [1, 2] {
            let found = pieces(&model(kind, &more, &[]), &own, "до<до>дом");
            assert_eq!(found, ["▁", "до", "<до>", "до", "м"], "{kind}");
        }
    }

    #[test]
    fn merges_go_by_score_and_characters_by_themselves() {
        let own = Numbering::Own { more: Vec::new() };
        assert_eq!(pieces(&model(2, &[], &[]), &own, "дом"), ["▁", "до", "м"]);
        assert_eq!(pieces(&model(4, &[], &[]), &own, "домa"), ["▁", "д", "о", "м", "<unk>"]);
        for kind in [3, 9] {
            assert!(convert(&model(kind, &[], &[]), &own).is_err());
        }
    }

    #[test]
    fn classes_have_their_numbering() {
        let of = |json: Value| Numbering::of(json.as_object().unwrap());
        assert_eq!(of(json!({})).unwrap(), Numbering::Own { more: Vec::new() });
        let t5 = of(json!({"tokenizer_class": "T5Tokenizer", "extra_ids": 2})).unwrap();
        let more = ["<extra_id_1>", "<extra_id_0>"].map(String::from).to_vec();
        assert_eq!(t5, Numbering::Own { more });
        let nllb = json!({"tokenizer_class": "NllbTokenizerFast",
                          "additional_special_tokens": ["ace_Arab", {"content": "swh_Latn"}]});
        let numbering = of(nllb).unwrap();
        let (json, config) = convert(&model(1, &[], &[]), &numbering).unwrap();
        let tokenizer = Tokenizer::parse(json, config).unwrap();
        // Four in front, six pieces, two languages, the mask.
        assert_eq!(tokenizer.lang_token("swh_Latn").unwrap(), 11);
        assert_eq!((tokenizer.vocab_size(), tokenizer.special().mask), (13, Some(12)));
        assert_eq!(tokenizer.encode("дом <s>").unwrap()[0], 5);
        let error = of(json!({"tokenizer_class": "MBartTokenizer"})).unwrap_err();
        assert!(error.hint().unwrap().contains("additional_special_tokens"), "{error}");
        let error = of(json!({"tokenizer_class": "PegasusTokenizer"})).unwrap_err();
        assert!(error.to_string().contains("unknown `tokenizer_class`"), "{error}");
    }

    #[test]
    fn a_damaged_table_composes_nothing() {
        assert!(!composes(b"") && !composes(&[9, 0, 0, 0, 1]));
    }
}
