//! Correlation of numbers: Pearson's of the values, Spearman's of their ranks.

use super::{Cell, Metric, Needs, Rows, Scale, Scored, Statistics};
use crate::error::{Error, Result};

/// `pearson`.
pub const PEARSON: Metric = Metric {
    name: "pearson",
    doc: "Pearson's correlation of numbers",
    needs: Needs::Numbers,
    scale: Scale::Signed,
    lower_is_better: false,
    options: &[],
    score: |rows| {
        let (x, y) = numbers(rows)?;
        // Sums of squares keep their digits when they are taken around the mean.
        let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len().max(1) as f64;
        let (mx, my) = (mean(&x), mean(&y));
        let row = |(x, y): (&f64, &f64)| {
            let (x, y) = (x - mx, y - my);
            vec![1.0, x, y, x * x, y * y, x * y]
        };
        let sums = x.iter().zip(&y).map(row).collect::<Vec<_>>();
        Ok(scored(Statistics::dense(6, sums, Box::new(formula)), "pearson"))
    },
};

/// `spearman`.
pub const SPEARMAN: Metric = Metric {
    name: "spearman",
    doc: "Spearman's rank correlation of numbers, equal ones sharing a rank",
    score: |rows| {
        let (x, y) = numbers(rows)?;
        Ok(scored(Statistics::ranked(x, y), "spearman"))
    },
    ..PEARSON
};

fn formula(sums: &[f64]) -> f64 {
    let n = sums[0];
    let covariance = sums[5] - sums[1] * sums[2] / n;
    let (a, b) = (sums[3] - sums[1] * sums[1] / n, sums[4] - sums[2] * sums[2] / n);
    if a > 0.0 && b > 0.0 { covariance / (a.sqrt() * b.sqrt()) } else { 0.0 }
}

fn scored(statistics: Statistics, signature: &str) -> Scored {
    Scored { statistics, signature: signature.into(), warnings: Vec::new() }
}

fn numbers(rows: &Rows<'_>) -> Result<(Vec<f64>, Vec<f64>)> {
    let number = |cell: &Cell, what: &str| -> Result<f64> {
        let text = super::text(cell, what)?;
        text.trim().parse::<f64>().ok().filter(|v| v.is_finite()).ok_or_else(|| {
            Error::usage(format!("`{text}` in `{what}` is no number that can be correlated"))
        })
    };
    let (mut x, mut y) = (Vec::new(), Vec::new());
    for item in rows.items {
        x.push(number(&item.hypothesis, "hypothesis")?);
        y.push(number(item.reference()?, "reference")?);
    }
    Ok((x, y))
}
