//! Where the documents of a row lie: positions, and who may attend to whom.
//!
//! Positions begin at 0 in each document and each side of a pair; a model adds where its own begin.
//! Attention stays inside a document; for pairs, inside the pair. Places of padding attend to
//! everything, so that no row of the attention matrix is empty, and nothing attends to them.

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
    /// What attention may span.
    pub unit: Unit,
    /// The position of each place in its document; −1 for padding.
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
        longest: i64,
    ) -> Result<Self> {
        let rows = document_lengths.len();
        let places = rows * length;
        let mut layout = Self {
            rows,
            length,
            unit,
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
                layout.positions.extend(0..n);
                layout.units.extend((0..n).map(|_| span));
                layout.documents.extend((0..n).map(|_| document));
            }
            let end = (row + 1) * length;
            if layout.units.len() > end {
                return Err(Error::internal(format!("documents of row {row} exceed {length}")));
            }
            let last = layout.units.last().copied();
            layout.full &= layout.units.len() == end && last.unwrap_or(0) == 0;
            layout.positions.resize(end, -1);
            layout.units.resize(end, -1);
            layout.documents.resize(end, -1);
        }
        Ok(layout)
    }

    /// The positions as a tensor [rows, length], counted from `first`; padding has the one before,
    /// or 0.
    pub fn positions(&self, first: i32, device: Device) -> Result<Tensor> {
        let counted = self.positions.iter().map(|&p| (p + first).max(0)).collect();
        Ok(ffi::tensor_of(counted, &self.shape())?.f_to_device(device)?)
    }

    /// The attention bias [rows, 1, length, keys]: 0 from a place to those of the same unit in
    /// `keys`, which may be the layout itself, and with `causal` to none after it; −∞ elsewhere.
    pub fn bias(&self, keys: &Layout, causal: bool, kind: Kind, device: Device) -> Result<Tensor> {
        let (n, q, k) = (self.rows as i64, self.length as i64, keys.length as i64);
        let units = |layout: &Self, shape: [i64; 4]| -> Result<Tensor> {
            let units = ffi::tensor_of(layout.units.clone(), &layout.shape())?;
            Ok(units.f_to_device(device)?.f_view(shape)?)
        };
        let (from, to) = (units(self, [n, 1, q, 1])?, units(keys, [n, 1, 1, k])?);
        let mut across = from.f_ne_tensor(&to)?;
        if causal {
            let later = Tensor::f_ones([q, k], (Kind::Bool, device))?.f_triu(1)?;
            across = across.f_logical_or(&later)?;
        }
        let across = across.f_logical_and(&from.f_ge(0)?)?;
        let bias = Tensor::f_zeros([n, 1, q, k], (kind, device))?;
        Ok(bias.f_masked_fill(&across, f64::NEG_INFINITY)?)
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
        let layout = Layout::new(&[vec![3, 2], vec![6]], 6, Unit::Document, 512).unwrap();
        assert_eq!(layout.positions, [0, 1, 2, 0, 1, -1, 0, 1, 2, 3, 4, 5]);
        let counted = Vec::<Vec<i32>>::try_from(layout.positions(2, Device::Cpu).unwrap()).unwrap();
        assert_eq!(counted[0], [2, 3, 4, 2, 3, 1]);
        assert_eq!(layout.units, [0, 0, 0, 1, 1, -1, 0, 0, 0, 0, 0, 0]);
        assert!(!layout.full);
        for causal in [false, true] {
            let bias = layout.bias(&layout, causal, Kind::Float, Device::Cpu).unwrap();
            assert_eq!(bias.size(), [2, 1, 6, 6]);
            let open = |q: i64, k: i64| bias.double_value(&[0, 0, q, k]) == 0.0;
            assert_eq!((open(0, 2), open(0, 3), open(3, 2)), (!causal, false, false));
            assert!(open(2, 0) && open(5, 5) && !open(2, 5));
        }
    }

    #[test]
    fn a_target_sees_the_source_of_its_own_pair() {
        let source = Layout::new(&[vec![2, 1]], 4, Unit::Document, 512).unwrap();
        let target = Layout::new(&[vec![1, 3]], 5, Unit::Document, 512).unwrap();
        let bias = target.bias(&source, false, Kind::Float, Device::Cpu).unwrap();
        assert_eq!(bias.size(), [1, 1, 5, 4]);
        let seen = |q: i64| {
            (0..4).filter(|&k| bias.double_value(&[0, 0, q, k]) == 0.0).collect::<Vec<i64>>()
        };
        assert_eq!((seen(0), seen(1), seen(4)), (vec![0, 1], vec![2], vec![0, 1, 2, 3]));
    }

    #[test]
    fn sides_of_a_pair_see_each_other_but_count_for_themselves() {
        let layout = Layout::new(&[vec![2, 2]], 4, Unit::Pair, 512).unwrap();
        assert_eq!(layout.positions, [0, 1, 0, 1]);
        assert_eq!((layout.units.as_slice(), layout.full), ([0, 0, 0, 0].as_slice(), true));
        assert_eq!(layout.documents, [0, 0, 1, 1]);
        assert!(Layout::new(&[vec![2, 1, 1]], 4, Unit::Pair, 512).is_err());
        assert!(Layout::new(&[vec![3]], 2, Unit::Document, 512).is_err());
        let long = Layout::new(&[vec![3]], 4, Unit::Document, 2).unwrap_err();
        assert_eq!(long.to_string(), "a document of 3 tokens; the model holds 2");
    }
}
