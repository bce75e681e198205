//! Statistics of rows: what each adds to the sums of a metric, and the formula of their total.
//!
//! Rows hold only the sums that they add to, so that metrics with a sum a class stay small.

/// The score of a total.
pub type Formula = Box<dyn Fn(&[f64]) -> f64 + Send + Sync>;

/// What rows add, and what their total means.
pub struct Statistics {
    kind: Kind,
    rows: usize,
}

enum Kind {
    Sums {
        width: usize,
        /// Where the cells of each row begin, and where the last ends.
        starts: Vec<usize>,
        cells: Vec<(u32, f64)>,
        formula: Formula,
    },
    /// A rank depends on all rows that are drawn: nothing can be summed ahead.
    Pairs { x: Vec<f64>, y: Vec<f64>, by_x: Vec<u32>, by_y: Vec<u32> },
}

impl Statistics {
    /// Rows of dense sums, each of the same width.
    pub fn dense(width: usize, rows: impl IntoIterator<Item = Vec<f64>>, formula: Formula) -> Self {
        let some = |row: Vec<f64>| {
            let cells = row.into_iter().enumerate().filter(|(_, v)| *v != 0.0);
            cells.map(|(i, v)| (i as u32, v)).collect()
        };
        Self::sparse(width, rows.into_iter().map(some), formula)
    }

    /// Rows that each add to some of the sums.
    pub fn sparse(
        width: usize,
        rows: impl IntoIterator<Item = Vec<(u32, f64)>>,
        formula: Formula,
    ) -> Self {
        let (mut starts, mut cells) = (vec![0], Vec::new());
        for row in rows {
            cells.extend(row);
            starts.push(cells.len());
        }
        Self { rows: starts.len() - 1, kind: Kind::Sums { width, starts, cells, formula } }
    }

    /// The mean of one number a row, times a factor; 0 for none.
    pub fn mean(values: impl IntoIterator<Item = f64>, factor: f64) -> Self {
        let formula =
            move |sums: &[f64]| if sums[1] > 0.0 { factor * sums[0] / sums[1] } else { 0.0 };
        Self::dense(2, values.into_iter().map(|v| vec![v, 1.0]), Box::new(formula))
    }

    /// Pairs of numbers whose ranks are correlated.
    pub fn ranked(x: Vec<f64>, y: Vec<f64>) -> Self {
        let sorted = |values: &[f64]| {
            let mut order: Vec<u32> = (0..values.len() as u32).collect();
            order.sort_by(|a, b| values[*a as usize].total_cmp(&values[*b as usize]));
            order
        };
        let (by_x, by_y) = (sorted(&x), sorted(&y));
        Self { rows: x.len(), kind: Kind::Pairs { x, y, by_x, by_y } }
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// The score of all rows.
    pub fn value(&self) -> f64 {
        self.value_of(&vec![1; self.rows])
    }

    /// The score of one row alone.
    pub fn row(&self, row: usize) -> f64 {
        match &self.kind {
            Kind::Sums { width, formula, .. } => {
                let mut sums = vec![0.0; *width];
                self.add(&mut sums, row, 1.0);
                formula(&sums)
            }
            Kind::Pairs { .. } => 0.0,
        }
    }

    /// The score of a sample in which each row stands `times` over.
    pub fn value_of(&self, times: &[u32]) -> f64 {
        match &self.kind {
            Kind::Sums { width, formula, .. } => {
                let mut sums = vec![0.0; *width];
                for (row, n) in times.iter().enumerate().filter(|(_, n)| **n > 0) {
                    self.add(&mut sums, row, f64::from(*n));
                }
                formula(&sums)
            }
            Kind::Pairs { x, y, by_x, by_y } => {
                let (a, b) = (mid_ranks(x, by_x, times), mid_ranks(y, by_y, times));
                weighted_correlation(&a, &b, times)
            }
        }
    }

    /// Whether rows of two systems can be mixed: sums can, ranks cannot.
    pub fn can_mix(&self) -> bool {
        matches!(self.kind, Kind::Sums { .. })
    }

    /// The score of the corpus with the rows of `other` where `swapped` says so.
    pub fn mixed(&self, other: &Self, swapped: impl Fn(usize) -> bool) -> f64 {
        let (Kind::Sums { width, formula, .. }, Kind::Sums { width: theirs, .. }) =
            (&self.kind, &other.kind)
        else {
            return f64::NAN;
        };
        let mut sums = vec![0.0; *width.max(theirs)];
        for row in 0..self.rows {
            let from = if swapped(row) { other } else { self };
            from.add(&mut sums, row, 1.0);
        }
        formula(&sums)
    }

    fn add(&self, sums: &mut [f64], row: usize, times: f64) {
        if let Kind::Sums { starts, cells, .. } = &self.kind {
            for (place, value) in &cells[starts[row]..starts[row + 1]] {
                sums[*place as usize] += value * times;
            }
        }
    }
}

/// Ranks in a sample, equal values sharing the mean of theirs.
fn mid_ranks(values: &[f64], order: &[u32], times: &[u32]) -> Vec<f64> {
    let mut ranks = vec![0.0; values.len()];
    let (mut before, mut at) = (0.0, 0);
    while at < order.len() {
        let value = values[order[at] as usize];
        let same = order[at..].iter().take_while(|i| values[**i as usize] == value).count().max(1);
        let group = &order[at..at + same];
        let n: f64 = group.iter().map(|i| f64::from(times[*i as usize])).sum();
        group.iter().for_each(|i| ranks[*i as usize] = before + (n + 1.0) / 2.0);
        before += n;
        at += same;
    }
    ranks
}

/// Pearson's correlation of a sample; 0 where either side is constant.
fn weighted_correlation(a: &[f64], b: &[f64], times: &[u32]) -> f64 {
    let n: f64 = times.iter().map(|t| f64::from(*t)).sum();
    let mean = |v: &[f64]| v.iter().zip(times).map(|(v, t)| v * f64::from(*t)).sum::<f64>() / n;
    let (ma, mb) = (mean(a), mean(b));
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for ((a, b), t) in a.iter().zip(b).zip(times) {
        let (a, b, t) = (a - ma, b - mb, f64::from(*t));
        ab += t * a * b;
        aa += t * a * a;
        bb += t * b * b;
    }
    if aa > 0.0 && bb > 0.0 { ab / (aa.sqrt() * bb.sqrt()) } else { 0.0 }
}
