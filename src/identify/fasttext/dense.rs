//! A matrix of plain numbers, read where they lie in the file.
//!
//! Nothing is decoded or checked beforehand, so that a mapped model of a gigabyte opens at once.

use arrow::buffer::Buffer;

use super::format::Reader;
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
        let numbers = reader.table(rows, columns)?;
        // A short row that lies across a line of the cache more than it must costs as much as two.
        // Copied, it does not.
        let numbers = if columns <= 64 { Buffer::from(numbers.as_slice()) } else { numbers };
        Ok(Self { numbers, rows, columns })
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
                for row in rows {
                    let (numbers, _) = self.row(*row).as_chunks::<4>();
                    let Some(numbers) = numbers.first_chunk::<16>() else { return };
                    for (sum, number) in local.iter_mut().zip(numbers) {
                        *sum += f32::from_le_bytes(*number);
                    }
                }
                *sum = local;
            }
            _ => {
                let (fours, rest) = rows.as_chunks::<4>();
                for four in fours {
                    // Four at a time, as the sum is read and written each time.
                    let [a, b, c, d] = four.map(|row| self.row(row).as_chunks().0);
                    for ((((sum, a), b), c), d) in sum.iter_mut().zip(a).zip(b).zip(c).zip(d) {
                        let [a, b, c, d] = [a, b, c, d].map(|number| f32::from_le_bytes(*number));
                        *sum = *sum + a + b + c + d;
                    }
                }
                for row in rest {
                    for (sum, number) in sum.iter_mut().zip(self.row(*row).as_chunks().0) {
                        *sum += f32::from_le_bytes(*number);
                    }
                }
            }
        }
    }

    fn row(&self, row: u32) -> &[u8] {
        let width = 4 * self.columns;
        let start = row as usize * width;
        &self.numbers[start..start + width]
    }
}
