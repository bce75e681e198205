//! The formulas, on the numbers of one tensor.
//!
//! Each operation is rounded to the width of the numbers, in the order that mergekit has them:
//! whether two changes cancel, and so which sign wins a vote, hangs on the last bit.

use super::Tasks;
use super::values::Number;

/// The weighted mean, or the weighted sum.
pub fn combine_linear<N: Number>(models: &[Vec<N>], weights: &[f64], normalize: bool) -> Vec<N> {
    let total: f64 = if normalize { weights.iter().sum() } else { 1.0 };
    let length = models.first().map_or(0, Vec::len);
    let mut out = Vec::with_capacity(length);
    for i in 0..length {
        let sum: f64 = models.iter().zip(weights).map(|(m, w)| m[i].wide() * w).sum();
        out.push(N::of(sum / total));
    }
    out
}

/// Along the great circle between the directions of two tensors; along the straight line where
/// they are all but parallel.
pub fn combine_slerp<N: Number>(a: &[N], b: &[N], t: f64) -> Vec<N> {
    const PARALLEL: f64 = 0.9995;
    const NOTHING: f64 = 1e-8;
    let norm = |v: &[N]| v.iter().map(|x| x.wide() * x.wide()).sum::<f64>().sqrt();
    let unit = |norm: f64| if norm > NOTHING { norm } else { 1.0 };
    let below = unit(norm(a)) * unit(norm(b));
    let dot: f64 = a.iter().zip(b).map(|(a, b)| a.wide() * b.wide()).sum::<f64>() / below;
    let dot = dot.clamp(-1.0, 1.0);
    let (of_a, of_b) = if dot.abs() > PARALLEL {
        (1.0 - t, t)
    } else {
        let angle = dot.acos();
        (((1.0 - t) * angle).sin() / angle.sin(), (t * angle).sin() / angle.sin())
    };
    a.iter().zip(b).map(|(a, b)| N::of(of_a * a.wide() + of_b * b.wide())).collect()
}

/// The base and the weighted changes from it; with a density, by the vote of TIES.
pub fn combine_tasks<N: Number>(base: Vec<N>, models: Vec<Vec<N>>, tasks: &Tasks) -> Vec<N> {
    let mut changes = models;
    for (model, weight) in changes.iter_mut().zip(&tasks.weights) {
        let change = |(new, old): (&mut N, &N)| *new = N::of(new.wide() - old.wide());
        model.iter_mut().zip(&base).for_each(change);
        if let Some(density) = tasks.density {
            trim(model, density, tasks.rescale);
        }
        model.iter_mut().for_each(|value| *value = N::of(value.wide() * N::of(*weight).wide()));
    }
    let weights: Vec<f64> = tasks.weights.iter().map(|w| N::of(*w).wide()).collect();
    let all: f64 = weights.iter().sum();
    let mut out = base;
    for (i, value) in out.iter_mut().enumerate() {
        let sum = |kept: &dyn Fn(f64) -> bool| {
            let (mut sum, mut divisor) = (0.0, 0.0);
            for (change, weight) in changes.iter().map(|c| c[i].wide()).zip(&weights) {
                if kept(change) {
                    sum = N::of(sum + change).wide();
                    divisor += weight;
                }
            }
            (sum, divisor)
        };
        let (mut mixed, divisor) = match tasks.density {
            None => (sum(&|_| true).0, if all.abs() < 1e-8 { 1.0 } else { all }),
            Some(_) => {
                let positive = sum(&|_| true).0 >= 0.0;
                // No change is on neither side.
                let (mixed, divisor) = sum(&|v| if positive { v > 0.0 } else { v < 0.0 });
                (mixed, if divisor == 0.0 { 1.0 } else { divisor })
            }
        };
        if tasks.normalize {
            mixed /= divisor;
        }
        *value = N::of(value.wide() + mixed * tasks.lambda);
    }
    out
}

/// Keeps a share of changes, the largest; of equally large ones the first.
fn trim<N: Number>(values: &mut [N], density: f64, rescale: bool) {
    if density >= 1.0 || values.is_empty() {
        return;
    }
    if density <= 0.0 {
        values.fill(N::default());
        return;
    }
    let size = |v: &N| v.wide().abs();
    let keep = ((density * values.len() as f64) as usize).clamp(1, values.len());
    let mut sizes: Vec<f64> = values.iter().map(size).collect();
    let before: f64 = sizes.iter().sum();
    let (_, least, _) = sizes.select_nth_unstable_by(keep - 1, |a, b| b.total_cmp(a));
    let least = *least;
    let above = values.iter().filter(|v| size(v) > least).count();
    let mut ties = keep - above;
    for value in values.iter_mut() {
        let kept = size(value) > least || (size(value) == least && ties > 0);
        if !kept {
            *value = N::default();
        } else if size(value) == least {
            ties -= 1;
        }
    }
    let after: f64 = values.iter().map(size).sum();
    if rescale && before >= 1e-7 && after >= 1e-7 {
        values.iter_mut().for_each(|v| *v = N::of(v.wide() * (before / after)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slerp_keeps_the_length_between_equal_lengths() {
        let half = combine_slerp(&[1.0f64, 0.0], &[0.0, 1.0], 0.5);
        assert!((half[0] - 0.5f64.sqrt()).abs() < 1e-15 && (half[0] - half[1]).abs() < 1e-15);
        assert_eq!(combine_slerp(&[1.0f64, 2.0], &[1.0, 2.0], 0.3), [1.0, 2.0]);
        assert_eq!(combine_slerp(&[0.0f32, 0.0], &[2.0, 0.0], 0.5).len(), 2);
        // Opposite ones have no way between them but the straight line.
        assert_eq!(combine_slerp(&[1.0f64, 0.0], &[-1.0, 0.0], 0.5), [0.0, 0.0]);
    }

    #[test]
    fn ties_trims_votes_and_averages_the_winners() {
        let tasks = |density| Tasks {
            weights: vec![1.0, 1.0],
            normalize: true,
            lambda: 1.0,
            density,
            rescale: false,
        };
        let (a, b) = (vec![3.0f32, -1.0, 0.5, 0.0], vec![1.0, 2.0, -0.1, 0.2]);
        let base = vec![0.0; 4];
        // Of each the larger half: 3, -1 and 1, 2; the vote on the second place is 2's.
        let found = combine_tasks(base.clone(), vec![a.clone(), b.clone()], &tasks(Some(0.5)));
        assert_eq!(found, [2.0, 2.0, 0.0, 0.0]);
        let found = combine_tasks(base, vec![a, b], &tasks(None));
        assert_eq!(found, [2.0, 0.5, 0.2, 0.1]);
    }

    #[test]
    fn trimming_breaks_ties_by_place() {
        let mut values = vec![1.0f64, -1.0, 1.0, 0.5];
        trim(&mut values, 0.5, false);
        assert_eq!(values, [1.0, -1.0, 0.0, 0.0]);
        let mut values = vec![3.0f64, 1.0];
        trim(&mut values, 0.01, true);
        assert_eq!(values, [4.0, 0.0]);
    }
}
