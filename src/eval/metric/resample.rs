//! Confidence and significance by resampling: bootstrap intervals, two paired tests.
//!
//! What sacreBLEU computes (Koehn 2004; Riezler and Maxwell 2005), with draws that are functions of
//! (seed, sample, place) over rows in the order of their content: neither the order of the input
//! nor another language's rows change a number. numpy's generator is another one, so intervals and
//! p-values agree with sacreBLEU's as two seeds of it do, not digit by digit.

use super::Statistics;
use crate::id;

/// How often to resample, and from which seed.
#[derive(Debug, Clone, Copy)]
pub struct Resampling {
    /// Samples.
    pub samples: usize,
    /// The seed.
    pub seed: u64,
}

/// Where a score would lie in 95 of 100 such test sets.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// The places of rows in the order of their content.
pub fn arrange(keys: &[u64]) -> Vec<u32> {
    let mut order: Vec<u32> = (0..keys.len() as u32).collect();
    // Rows of equal content are equal in all they add, so their order is nothing.
    order.sort_by_key(|row| keys[*row as usize]);
    order
}

/// How often each row stands in one bootstrap sample.
pub fn draw(order: &[u32], sample: usize, seed: u64) -> Vec<u32> {
    let n = order.len() as u64;
    let mut times = vec![0; order.len()];
    for place in 0..n {
        let drawn = id::keyed(sample as u64 * n + place, seed);
        let at = ((u128::from(drawn) * u128::from(n)) >> 64) as usize;
        times[order[at] as usize] += 1;
    }
    times
}

/// The scores of bootstrap samples, in the order of the samples.
pub fn bootstrap(statistics: &Statistics, order: &[u32], how: Resampling) -> Vec<f64> {
    (0..how.samples).map(|s| statistics.value_of(&draw(order, s, how.seed))).collect()
}

/// The percentile interval: of 1,000 samples the 26th and the 975th. `None` for no sample.
pub fn interval(scores: &[f64]) -> Option<Interval> {
    let mut sorted = scores.to_vec();
    sorted.sort_by(f64::total_cmp);
    let low = sorted.len() / 40;
    let high = sorted.len().checked_sub(low + 1)?;
    Some(Interval { low: sorted[low], high: sorted[high] })
}

/// What a paired test found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Paired {
    /// The second system's score less the first's.
    pub difference: f64,
    /// How often chance alone makes a difference above this one.
    pub p: f64,
    /// The interval of the difference under the bootstrap.
    pub interval: Option<Interval>,
}

/// The paired bootstrap test: both systems on the same samples, the differences of which are
/// centred on zero.
pub fn paired_bootstrap(
    first: &Statistics,
    second: &Statistics,
    order: &[u32],
    how: Resampling,
) -> Paired {
    let difference = second.value() - first.value();
    let (a, b) = (bootstrap(first, order, how), bootstrap(second, order, how));
    let differences: Vec<f64> = a.iter().zip(&b).map(|(a, b)| b - a).collect();
    let sizes: Vec<f64> = differences.iter().map(|d| d.abs()).collect();
    let mean = sizes.iter().sum::<f64>() / sizes.len().max(1) as f64;
    let above = sizes.iter().filter(|d| *d - mean > difference.abs()).count();
    Paired { difference, p: p_value(above, sizes.len()), interval: interval(&differences) }
}

/// The approximate randomization test: every row changes sides or not, by a coin.
pub fn paired_randomization(
    first: &Statistics,
    second: &Statistics,
    order: &[u32],
    how: Resampling,
) -> Paired {
    let difference = second.value() - first.value();
    let n = order.len() as u64;
    let mut place = vec![0; order.len()];
    order.iter().enumerate().for_each(|(at, row)| place[*row as usize] = at as u64);
    let mut above = 0;
    for sample in 0..how.samples as u64 {
        let coin = |row: usize| id::keyed(sample * n + place[row], how.seed) >> 63 == 1;
        let a = first.mixed(second, coin);
        let b = second.mixed(first, coin);
        above += usize::from((a - b).abs() > difference.abs());
    }
    Paired { difference, p: p_value(above, how.samples), interval: None }
}

fn p_value(above: usize, samples: usize) -> f64 {
    (above + 1) as f64 / (samples + 1) as f64
}
