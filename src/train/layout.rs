//! Where the documents of a row lie: positions, and who may attend to whom.
//!
//! Positions begin at pad + 1 in each document and each side of a pair, as XLM-R counts them.
//! Attention stays inside a document; for pairs, inside the pair. Places of padding form a unit of
//! their own, so that no row of the attention matrix is empty.

use tch::{Device, Kind, Tensor};

use crate::error::{Error, Result};
use crate::train::ffi;

/// What attention may span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Each document for itself.
    Document,
    /// Two documents in a row: the sides of a pair.
    Pair,
}

/// The places of a block of rows, as plain numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// Number of rows.
    pub rows: usize,
    /// Places per row.
    pub length: usize,
    /// The position of each place.
    pub positions: Vec<i32>,
    /// The unit that each place attends within, counted in its row; −1 for padding.
    pub units: Vec<i32>,
    /// Which document of its row (or side, for pairs counted on) each place is in; −1 for padding.
    pub documents: Vec<i32>,
    /// Whether every row is one unit without padding, so that no mask is needed.
    pub full: bool,
}

impl Layout {
    /// The layout of rows from the lengths of their documents.
    ///
    /// Errors when lengths exceed the row or the model's `longest` document.
    pub fn new(
        document_lengths: &[Vec<i32>],
        length: usize,
        unit: Unit,
        pad: i32,
        longest: i64,
    ) -> Result<Self> {
        let rows = document_lengths.len();
        let places = rows * length;
        let mut layout = Self {
            rows,
            length,
            positions: Vec::with_capacity(places),
            units: Vec::with_capacity(places),
            documents: Vec::with_capacity(places),
            full: true,
        };
        for (row, lengths) in document_lengths.iter().enumerate() {
            if unit == Unit::Pair && lengths.len() % 2 != 0 {
                return Err(Error::internal(format!("row {row} of a pack has half a pair")));
            }
            for (document, &n) in lengths.iter().enumerate() {
                if i64::from(n) > longest {
                    return Err(Error::usage(format!(
                        "a document of {n} tokens; the model holds {longest}"
                    )));
                }
                let document = document as i32;
                let span = match unit {
                    Unit::Document => document,
                    Unit::Pair => document / 2,
                };
                let n = n.max(0);
                layout.positions.extend((0..n).map(|k| pad + 1 + k));
                layout.units.extend((0..n).map(|_| span));
                layout.documents.extend((0..n).map(|_| document));
            }
            let end = (row + 1) * length;
            if layout.units.len() > end {
                return Err(Error::internal(format!("documents of row {row} exceed {length}")));
            }
            let last = layout.units.last().copied();
            layout.full &= layout.units.len() == end && last.unwrap_or(0) == 0;
            layout.positions.resize(end, pad);
            layout.units.resize(end, -1);
            layout.documents.resize(end, -1);
        }
        Ok(layout)
    }

    /// The positions as a tensor [rows, length].
    pub fn positions(&self, device: Device) -> Result<Tensor> {
        Ok(ffi::tensor_of(self.positions.clone(), &self.shape())?.f_to_device(device)?)
    }

    /// The attention bias [rows, 1, length, length]: 0 inside a unit, −∞ across; none when full.
    pub fn bias(&self, kind: Kind, device: Device) -> Result<Option<Tensor>> {
        if self.full {
            return Ok(None);
        }
        let units = ffi::tensor_of(self.units.clone(), &self.shape())?.f_to_device(device)?;
        let (n, l) = (self.rows as i64, self.length as i64);
        let across = units.f_view([n, 1, l, 1])?.f_ne_tensor(&units.f_view([n, 1, 1, l])?)?;
        let bias = Tensor::f_zeros([n, 1, l, l], (kind, device))?;
        Ok(Some(bias.f_masked_fill(&across, f64::NEG_INFINITY)?))
    }

    /// Rows and places.
    pub fn shape(&self) -> [i64; 2] {
        [self.rows as i64, self.length as i64]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_restart_and_units_separate() {
        let layout = Layout::new(&[vec![3, 2], vec![6]], 6, Unit::Document, 1, 512).unwrap();
        assert_eq!(layout.positions, [2, 3, 4, 2, 3, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(layout.units, [0, 0, 0, 1, 1, -1, 0, 0, 0, 0, 0, 0]);
        assert!(!layout.full);
        let bias = layout.bias(Kind::Float, Device::Cpu).unwrap().unwrap();
        assert_eq!(bias.size(), [2, 1, 6, 6]);
        assert_eq!(bias.double_value(&[0, 0, 0, 2]), 0.0);
        assert_eq!(bias.double_value(&[0, 0, 0, 3]), f64::NEG_INFINITY);
        assert_eq!(bias.double_value(&[0, 0, 5, 5]), 0.0);
    }

    #[test]
    fn sides_of_a_pair_see_each_other_but_count_for_themselves() {
        let layout = Layout::new(&[vec![2, 2]], 4, Unit::Pair, 1, 512).unwrap();
        assert_eq!(layout.positions, [2, 3, 2, 3]);
        assert_eq!((layout.units.as_slice(), layout.full), ([0, 0, 0, 0].as_slice(), true));
        assert_eq!(layout.documents, [0, 0, 1, 1]);
        assert!(Layout::new(&[vec![2, 1, 1]], 4, Unit::Pair, 1, 512).is_err());
        assert!(Layout::new(&[vec![3]], 2, Unit::Document, 1, 512).is_err());
        let long = Layout::new(&[vec![3]], 4, Unit::Document, 1, 2).unwrap_err();
        assert_eq!(long.to_string(), "a document of 3 tokens; the model holds 2");
    }
}
