//! What the trainer reads packs through: micro-batches of token ids, one after another.
//!
//! The feed decides order, mixture and blocks; here is only the boundary. No tensors.

use arrow::buffer::Buffer;
use serde_json::Value;

use crate::error::Result;

/// Whether rows hold documents or translation pairs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Documents of one language.
    Documents,
    /// Pairs: the two sides of each stand side by side.
    Pairs,
}

/// A block of rows of one language or language pair.
#[derive(Debug, Clone)]
pub struct MicroBatch {
    /// What the rows hold.
    pub kind: Kind,
    /// The language of documents, or source and target language of pairs.
    pub langs: Vec<String>,
    /// Number of rows.
    pub rows: usize,
    /// Tokens per row, padding included.
    pub length: usize,
    /// `rows × length` token ids (i32), row after row; padding stands at the end of a row.
    pub tokens: Buffer,
    /// Lengths of the documents of each row in tokens; for pairs source and target alternate.
    pub document_lengths: Vec<Vec<i32>>,
    /// Whether `tokens` is the mapped file itself (otherwise it was gathered).
    pub aliased: bool,
    /// Which group of the mixture it was drawn from.
    pub group: usize,
}

impl MicroBatch {
    /// Tokens without padding.
    pub fn real_tokens(&self) -> u64 {
        self.document_lengths.iter().flatten().map(|&n| n.max(0) as u64).sum()
    }
}

/// An endless sequence of micro-batches that can say where it is and go there.
pub trait Source: Send {
    /// The next micro-batch.
    fn next(&mut self) -> Result<MicroBatch>;

    /// The place in the sequence, as data for a checkpoint.
    fn state(&self) -> Value;

    /// Goes to a place that `state` told; what follows is what would have followed then.
    fn seek(&mut self, state: &Value) -> Result<()>;

    /// Rows in one pass over everything; the unit of `epochs`.
    fn rows(&self) -> u64;

    /// Tokens per row, padding included.
    fn length(&self) -> usize;

    /// The languages that may come.
    fn langs(&self) -> Vec<String>;

    /// What the next so many micro-batches would go through, where that is known.
    fn plan(&self, _batches: u64) -> Plan {
        Plan::default()
    }
}

/// What a number of micro-batches goes through.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    /// By group its name, tokens in it, and how often it is gone through.
    pub groups: Vec<(String, u64, f64)>,
    /// What a person should know before it begins.
    pub warnings: Vec<String>,
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::id;

    /// Rows made up from the number of the micro-batch: two languages in turn, or one pair.
    pub(crate) struct Made {
        pub(crate) step: u64,
        pub(crate) rows: usize,
        pub(crate) length: usize,
        pub(crate) vocabulary: i64,
        pub(crate) pairs: bool,
    }

    impl Source for Made {
        fn next(&mut self) -> Result<MicroBatch> {
            let pairs = self.pairs && self.step % 3 == 2;
            let (mut tokens, mut document_lengths) = (Vec::new(), Vec::new());
            for row in 0..self.rows as u64 {
                let key = id::keyed(row, self.step);
                let first = self.length / 2 - (key % 3) as usize;
                let second = self.length - first - (key % 2) as usize;
                let mut previous = 0u64;
                for length in [first, second] {
                    tokens.push(0);
                    for k in 0..length as u64 - 2 {
                        // A successor rule that a model can learn.
                        previous = (previous * 3 + k % 2 + 1) % (self.vocabulary as u64 - 5);
                        tokens.push(4 + previous as i32);
                    }
                    tokens.push(2);
                }
                tokens.resize((row as usize + 1) * self.length, 1);
                document_lengths.push(vec![first as i32, second as i32]);
            }
            let lang = ["isl_Latn", "yor_Latn"][(self.step % 2) as usize];
            let langs = if pairs { vec!["isl_Latn", "eng_Latn"] } else { vec![lang] };
            let batch = MicroBatch {
                kind: if pairs { Kind::Pairs } else { Kind::Documents },
                langs: langs.into_iter().map(Into::into).collect(),
                rows: self.rows,
                length: self.length,
                tokens: Buffer::from_vec(tokens),
                document_lengths,
                aliased: self.step.is_multiple_of(2),
                group: (self.step % 2) as usize,
            };
            self.step += 1;
            Ok(batch)
        }

        fn state(&self) -> Value {
            self.step.into()
        }

        fn seek(&mut self, state: &Value) -> Result<()> {
            self.step = state.as_u64().unwrap();
            Ok(())
        }

        fn rows(&self) -> u64 {
            100
        }

        fn length(&self) -> usize {
            self.length
        }

        fn langs(&self) -> Vec<String> {
            ["isl_Latn", "yor_Latn", "eng_Latn"].map(Into::into).into()
        }
    }
}
