//! A matrix of plain numbers, read where they lie in the file.
//!
//! Nothing is decoded or checked beforehand, so that a mapped model of a gigabyte opens at once.

use arrow::buffer::Buffer;

use super::format::{Reader, float};
use crate::error::Result;

/// Rows of 32-bit numbers.
pub struct DenseMatrix {
    numbers: Buffer,
    rows: usize,
    columns: usize,
}

impl DenseMatrix {
    /// Reads a matrix.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self> {
        let (rows, columns) = (reader.long_count("rows")?, reader.long_count("columns")?);
        Ok(Self { numbers: reader.table(rows, columns)?, rows, columns })
    }

    /// The number of rows and columns.
    pub fn shape(&self) -> (usize, usize) {
        (self.rows, self.columns)
    }

    /// Adds rows to a sum, one after the other.
    pub fn add_rows(&self, rows: &[u32], sum: &mut [f32]) {
        match sum.as_chunks_mut() {
            // The width of lid.176: the sum stays in registers.
            ([sum], []) => {
                let mut local: [f32; 16] = *sum;
                rows.iter().for_each(|row| add(&mut local, self.row(*row)));
                *sum = local;
            }
            _ => rows.iter().for_each(|row| add(sum, self.row(*row))),
        }
    }

    fn row(&self, row: u32) -> &[u8] {
        let width = 4 * self.columns;
        let start = row as usize * width;
        &self.numbers[start..start + width]
    }
}

fn add(sum: &mut [f32], row: &[u8]) {
    for (sum, number) in sum.iter_mut().zip(row.chunks_exact(4)) {
        *sum += float(number);
    }
}
