//! Reads the `.model` file of SentencePiece: protocol buffers in their wire format, as far as that
//! file uses them (`sentencepiece_model.proto`).

use crate::error::{Error, Result};

/// A trained model.
pub struct Model {
    pub pieces: Vec<Piece>,
    pub trainer: Trainer,
    pub normalizer: Normalizer,
}

/// A piece of the vocabulary; its place is its id.
pub struct Piece {
    pub text: String,
    pub score: f32,
    pub kind: PieceKind,
}

/// What a piece is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PieceKind {
    Normal,
    Unknown,
    Control,
    UserDefined,
    Unused,
    Byte,
}

/// How the model was trained.
pub struct Trainer {
    /// 1 unigram, 2 BPE, 3 words, 4 characters.
    pub kind: u64,
    pub byte_fallback: bool,
    pub whitespace_as_suffix: bool,
    pub unk_id: i64,
    pub bos_id: i64,
    pub eos_id: i64,
    pub pad_id: i64,
}

/// What happens to a text before it is cut.
pub struct Normalizer {
    pub charsmap: Vec<u8>,
    pub dummy_prefix: bool,
    pub remove_extra_whitespaces: bool,
    pub escape_whitespaces: bool,
}

impl Model {
    /// Parses a file's bytes.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let mut model = Self {
            pieces: Vec::new(),
            trainer: Trainer {
                kind: 1,
                byte_fallback: false,
                whitespace_as_suffix: false,
                unk_id: 0,
                bos_id: 1,
                eos_id: 2,
                pad_id: -1,
            },
            normalizer: Normalizer {
                charsmap: Vec::new(),
                dummy_prefix: true,
                remove_extra_whitespaces: true,
                escape_whitespaces: true,
            },
        };
        each(bytes, |number, field| {
            match (number, field) {
                (1, Field::Bytes(piece)) => model.pieces.push(parse_piece(piece)?),
                (2, Field::Bytes(spec)) => parse_trainer(spec, &mut model.trainer)?,
                (3, Field::Bytes(spec)) => parse_normalizer(spec, &mut model.normalizer)?,
                _ => {}
            }
            Ok(())
        })?;
        if model.pieces.is_empty() {
            return Err(Error::usage("no SentencePiece model: it has no pieces"));
        }
        Ok(model)
    }
}

fn parse_piece(bytes: &[u8]) -> Result<Piece> {
    let mut piece = Piece { text: String::new(), score: 0.0, kind: PieceKind::Normal };
    each(bytes, |number, field| {
        match (number, field) {
            (1, Field::Bytes(text)) => {
                piece.text = String::from_utf8(text.to_vec()).map_err(|_| broken())?;
            }
            (2, Field::Fixed32(bits)) => piece.score = f32::from_bits(bits),
            (3, Field::Varint(kind)) => {
                piece.kind = match kind {
                    1 => PieceKind::Normal,
                    2 => PieceKind::Unknown,
                    3 => PieceKind::Control,
                    4 => PieceKind::UserDefined,
                    5 => PieceKind::Unused,
                    6 => PieceKind::Byte,
                    _ => return Err(broken()),
                }
            }
            _ => {}
        }
        Ok(())
    })?;
    Ok(piece)
}

fn parse_trainer(bytes: &[u8], spec: &mut Trainer) -> Result<()> {
    each(bytes, |number, field| {
        match (number, field) {
            (3, Field::Varint(kind)) => spec.kind = kind,
            (24, Field::Varint(yes)) => spec.whitespace_as_suffix = yes != 0,
            (35, Field::Varint(yes)) => spec.byte_fallback = yes != 0,
            // Negative numbers are written as those of 64 bits.
            (40, Field::Varint(id)) => spec.unk_id = id as i64,
            (41, Field::Varint(id)) => spec.bos_id = id as i64,
            (42, Field::Varint(id)) => spec.eos_id = id as i64,
            (43, Field::Varint(id)) => spec.pad_id = id as i64,
            _ => {}
        }
        Ok(())
    })
}

fn parse_normalizer(bytes: &[u8], spec: &mut Normalizer) -> Result<()> {
    each(bytes, |number, field| {
        match (number, field) {
            (2, Field::Bytes(map)) => spec.charsmap = map.to_vec(),
            (3, Field::Varint(yes)) => spec.dummy_prefix = yes != 0,
            (4, Field::Varint(yes)) => spec.remove_extra_whitespaces = yes != 0,
            (5, Field::Varint(yes)) => spec.escape_whitespaces = yes != 0,
            _ => {}
        }
        Ok(())
    })
}

/// The value of a field.
enum Field<'a> {
    Varint(u64),
    Fixed32(u32),
    Bytes(&'a [u8]),
    /// Eight bytes that nothing here needs.
    Fixed64,
}

/// Calls `each` with the number and the value of every field of a message, in order.
fn each<'a>(mut bytes: &'a [u8], mut each: impl FnMut(u64, Field<'a>) -> Result<()>) -> Result<()> {
    while !bytes.is_empty() {
        let key = varint(&mut bytes)?;
        let field = match key & 7 {
            0 => Field::Varint(varint(&mut bytes)?),
            1 => {
                take(&mut bytes, 8)?;
                Field::Fixed64
            }
            2 => {
                let length = varint(&mut bytes)?;
                Field::Bytes(take(&mut bytes, usize::try_from(length).map_err(|_| broken())?)?)
            }
            5 => {
                let four = take(&mut bytes, 4)?;
                Field::Fixed32(four.iter().rev().fold(0, |n, byte| n << 8 | u32::from(*byte)))
            }
            _ => return Err(broken()),
        };
        each(key >> 3, field)?;
    }
    Ok(())
}

fn varint(bytes: &mut &[u8]) -> Result<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = take(bytes, 1)?[0];
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(broken())
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Result<&'a [u8]> {
    let (front, rest) = bytes.split_at_checked(length).ok_or_else(broken)?;
    *bytes = rest;
    Ok(front)
}

fn broken() -> Error {
    Error::usage("no SentencePiece model, or a damaged one")
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// Writes what [`each`] reads.
    pub fn varint_field(number: u64, value: u64) -> Vec<u8> {
        let mut out = Vec::new();
        for mut value in [number << 3, value] {
            while value >= 0x80 {
                out.push(value as u8 | 0x80);
                value >>= 7;
            }
            out.push(value as u8);
        }
        out
    }

    pub fn bytes_field(number: u64, bytes: &[u8]) -> Vec<u8> {
        let mut out = varint_field(number, bytes.len() as u64);
        // The wire type of a length.
        out[0] |= 2;
        out.extend_from_slice(bytes);
        out
    }

    pub fn piece(text: &str, score: f32, kind: u64) -> Vec<u8> {
        let mut out = bytes_field(1, text.as_bytes());
        out.push(2 << 3 | 5);
        out.extend_from_slice(&score.to_le_bytes());
        out.extend(varint_field(3, kind));
        bytes_field(1, &out)
    }

    #[test]
    fn fields_are_read_by_number_and_others_are_skipped() {
        let trainer =
            [varint_field(3, 2), varint_field(35, 1), varint_field(41, u64::MAX)].concat();
        let unknown = [vec![15 << 3 | 1], vec![0; 8], bytes_field(14, b"x")].concat();
        let bytes = [
            piece("<unk>", 0.0, 2),
            piece("▁дом", -1.5, 1),
            unknown,
            bytes_field(2, &trainer),
            bytes_field(3, &varint_field(3, 0)),
        ]
        .concat();
        let model = Model::parse(&bytes).unwrap();
        assert_eq!((model.pieces[1].text.as_str(), model.pieces[1].score), ("▁дом", -1.5));
        assert_eq!(model.pieces[0].kind, PieceKind::Unknown);
        let Trainer { kind, byte_fallback, bos_id, eos_id, .. } = model.trainer;
        assert_eq!((kind, byte_fallback, bos_id, eos_id), (2, true, -1, 2));
        assert!(!model.normalizer.dummy_prefix && model.normalizer.remove_extra_whitespaces);
        for end in 1..bytes.len() {
            // Cut short it is damaged, or a shorter model, and never a panic.
            let _ = Model::parse(&bytes[..end]);
        }
        assert!(Model::parse(b"{\"version\": 1}").is_err());
        assert!(Model::parse(b"").is_err());
    }
}
