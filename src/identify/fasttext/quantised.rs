//! A product-quantised matrix: one byte stands for a few columns of a row, and names one of 256
//! short vectors, the centroids, which all rows share (arXiv 1612.03651).
//!
//! The lengths of rows may be quantised apart from their directions. Nothing is trained here.

use arrow::buffer::Buffer;

use super::format::Reader;
use crate::error::Result;

/// Centroids of a byte.
const CENTROIDS: usize = 256;
/// Columns that are added at once; lid.176 has as many.
const BLOCK: usize = 16;

/// Rows of codes, and what the codes stand for.
pub struct QuantisedMatrix {
    rows: usize,
    columns: usize,
    codes: Buffer,
    quantiser: Quantiser,
    norms: Option<Norms>,
}

/// What the bytes of a row stand for.
struct Quantiser {
    /// Bytes of a row.
    bytes: usize,
    /// Columns that a byte stands for.
    width: usize,
    /// Columns that the last byte stands for.
    last_width: usize,
    /// For each byte of a row, its centroids.
    centroids: Vec<f32>,
}

/// The length of each row.
struct Norms {
    codes: Buffer,
    values: Vec<f32>,
}

impl QuantisedMatrix {
    /// Reads a matrix.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self> {
        let has_norms = reader.flag()?;
        let (rows, columns) = (reader.long_count("rows")?, reader.long_count("columns")?);
        let length = reader.count("codes")?;
        let codes = reader.slice(length)?;
        let quantiser = Quantiser::read(reader)?;
        if quantiser.columns() != columns || rows.checked_mul(quantiser.bytes) != Some(length) {
            return Err(reader.damaged(format!("{length} codes of {rows} × {columns} numbers")));
        }
        let mut norms = None;
        if has_norms {
            let codes = reader.slice(rows)?;
            let quantiser = Quantiser::read(reader)?;
            if quantiser.columns() != 1 {
                return Err(reader.damaged("lengths of rows that are no single numbers"));
            }
            norms = Some(Norms { codes, values: quantiser.centroids });
        }
        Ok(Self { rows, columns, codes, quantiser, norms })
    }

    /// The number of rows and columns.
    pub fn shape(&self) -> (usize, usize) {
        (self.rows, self.columns)
    }

    /// Adds rows to a sum, one after the other.
    pub fn add_rows(&self, rows: &[u32], sum: &mut [f32]) {
        let (blocks, rest) = match self.quantiser.width {
            2 => sum.as_chunks_mut(),
            _ => (Default::default(), sum),
        };
        for (block, sum) in blocks.iter_mut().enumerate() {
            self.add_block(block, rows, sum);
        }
        if !rest.is_empty() {
            let first = blocks.len() * BLOCK / 2;
            for row in rows {
                let (codes, norm) = self.row(*row as usize);
                self.quantiser.add(codes, norm, first, rest);
            }
        }
    }

    /// Adds a block of the columns of rows whose bytes stand for two columns each, as is usual; the
    /// sum stays in registers.
    fn add_block(&self, block: usize, rows: &[u32], sum: &mut [f32; BLOCK]) {
        let (centroids, _) = self.quantiser.centroids.as_chunks::<{ 2 * CENTROIDS }>();
        let from = block * BLOCK / 2;
        let Some(centroids) = centroids[from..].first_chunk::<{ BLOCK / 2 }>() else { return };
        let mut local = *sum;
        for row in rows {
            let (codes, norm) = self.row(*row as usize);
            let Some(codes) = codes[from..].first_chunk::<{ BLOCK / 2 }>() else { return };
            for pair in 0..BLOCK / 2 {
                let centroid = 2 * usize::from(codes[pair]);
                local[2 * pair] += norm * centroids[pair][centroid];
                local[2 * pair + 1] += norm * centroids[pair][centroid + 1];
            }
        }
        *sum = local;
    }

    /// The directions of all rows as plain numbers, row by row.
    ///
    /// `None` where that takes more than 64 times the memory of the codes; fastText writes no such
    /// output, and a damaged file may not fill the memory.
    pub fn directions(&self) -> Option<Vec<f32>> {
        if self.columns > 16 * self.quantiser.bytes {
            return None;
        }
        let mut numbers = vec![0.0; self.rows * self.columns];
        for (row, numbers) in numbers.chunks_exact_mut(self.columns).enumerate() {
            self.quantiser.add(self.row(row).0, 1.0, 0, numbers);
        }
        Some(numbers)
    }

    /// The lengths of all rows, if they are apart.
    pub fn norms(&self) -> Option<Vec<f32>> {
        self.norms.as_ref().map(|_| (0..self.rows).map(|row| self.row(row).1).collect())
    }

    /// The codes of a row and its length; 1 where that is part of the codes.
    #[inline]
    fn row(&self, row: usize) -> (&[u8], f32) {
        let bytes = self.quantiser.bytes;
        let norm =
            self.norms.as_ref().map_or(1.0, |norms| norms.values[usize::from(norms.codes[row])]);
        (&self.codes[row * bytes..(row + 1) * bytes], norm)
    }
}

impl Quantiser {
    fn read(reader: &mut Reader<'_>) -> Result<Self> {
        let (columns, bytes) = (reader.count("columns")?, reader.count("codes a row")?);
        let (width, last_width) =
            (reader.count("columns a code")?, reader.count("columns of the last code")?);
        let others = bytes.checked_sub(1).and_then(|others| others.checked_mul(width));
        let fits = others.and_then(|others| others.checked_add(last_width)) == Some(columns);
        if !fits || last_width == 0 || last_width > width {
            let codes = format!("{bytes} codes of {width} columns, the last of {last_width}");
            return Err(reader.damaged(format!("{columns} columns in {codes},")));
        }
        let centroids = reader.floats(CENTROIDS, columns)?;
        Ok(Self { bytes, width, last_width, centroids })
    }

    fn columns(&self) -> usize {
        (self.bytes - 1) * self.width + self.last_width
    }

    /// Adds `norm` times what the codes of a row stand for, from the `first` on.
    fn add(&self, codes: &[u8], norm: f32, first: usize, sum: &mut [f32]) {
        let centroids = self.centroids.chunks(CENTROIDS * self.width);
        let groups = codes.iter().zip(centroids).skip(first);
        for ((code, centroids), sum) in groups.zip(sum.chunks_mut(self.width)) {
            let start = usize::from(*code) * sum.len();
            for (sum, number) in sum.iter_mut().zip(&centroids[start..]) {
                *sum += norm * number;
            }
        }
    }
}
