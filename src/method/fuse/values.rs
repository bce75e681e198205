//! Numbers as safetensors hold them, and as they are calculated with.
//!
//! Whatever has at most 32 bits is calculated in 32 and rounded once, at the end.

use half::{bf16, f16};

/// What a tensor is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `F64`.
    F64,
    /// `F32`.
    F32,
    /// `F16`.
    F16,
    /// `BF16`.
    Bf16,
    /// Whole numbers and truth values, of so many bytes.
    Other(usize),
}

impl Kind {
    /// From the name in a header.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "F64" => Self::F64,
            "F32" => Self::F32,
            "F16" => Self::F16,
            "BF16" => Self::Bf16,
            "I64" | "U64" => Self::Other(8),
            "I32" | "U32" => Self::Other(4),
            "I16" | "U16" => Self::Other(2),
            "I8" | "U8" | "BOOL" => Self::Other(1),
            _ => return None,
        })
    }

    /// Bytes of one number.
    pub fn bytes(self) -> usize {
        match self {
            Self::F64 => 8,
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
            Self::Other(bytes) => bytes,
        }
    }
}

/// What is calculated with: 32 or 64 bits.
pub trait Number: Copy + Default + PartialOrd {
    /// The nearest one.
    fn of(value: f64) -> Self;
    /// Without a loss.
    fn wide(self) -> f64;
}

impl Number for f32 {
    fn of(value: f64) -> Self {
        value as f32
    }

    fn wide(self) -> f64 {
        f64::from(self)
    }
}

impl Number for f64 {
    fn of(value: f64) -> Self {
        value
    }

    fn wide(self) -> f64 {
        self
    }
}

/// Numbers from the bytes of a tensor.
pub fn from_bytes<N: Number>(bytes: &[u8], kind: Kind) -> Vec<N> {
    match kind {
        Kind::F64 => read(bytes, |b| N::of(f64::from_le_bytes(b))),
        Kind::F32 => read(bytes, |b| N::of(f64::from(f32::from_le_bytes(b)))),
        Kind::F16 => read(bytes, |b| N::of(f16::from_le_bytes(b).to_f64())),
        Kind::Bf16 => read(bytes, |b| N::of(bf16::from_le_bytes(b).to_f64())),
        Kind::Other(_) => Vec::new(),
    }
}

/// The bytes of a tensor from numbers.
pub fn to_bytes<N: Number>(values: &[N], kind: Kind) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(values.len() * kind.bytes());
    for value in values {
        // The round through 32 bits is what calculating in them means.
        match kind {
            Kind::F64 => bytes.extend(value.wide().to_le_bytes()),
            Kind::F32 => bytes.extend((value.wide() as f32).to_le_bytes()),
            Kind::F16 => bytes.extend(f16::from_f32(value.wide() as f32).to_le_bytes()),
            Kind::Bf16 => bytes.extend(bf16::from_f32(value.wide() as f32).to_le_bytes()),
            Kind::Other(_) => {}
        }
    }
    bytes
}

fn read<const W: usize, N>(bytes: &[u8], one: impl Fn([u8; W]) -> N) -> Vec<N> {
    bytes.as_chunks::<W>().0.iter().map(|chunk| one(*chunk)).collect()
}
