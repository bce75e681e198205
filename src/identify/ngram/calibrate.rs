//! From scores to probabilities: how sure a label is, and whether the language is known at all.
//!
//! Two factors. The first is a softmax over the labels whose temperature grows with the length of
//! the text, as the n-grams of a text repeat each other. The second is the probability that the
//! language is one of the model's at all, a logistic function of how well the text fits the best
//! label: by score for each feature, and by the length of the n-grams that are known, both against
//! what is usual for the script. Both are fitted on rows that the scoring model was not made of.

/// Parameters of the two factors, as in the model file.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Calibration {
    /// Logarithm of the temperature at one feature.
    pub temperature: f32,
    /// Growth of the logarithm of the temperature with that of the number of features.
    pub growth: f32,
    /// Weights of the logistic function: bias, score, depth, logarithm of the number of features,
    /// and the products of the first two with the last.
    pub known: [f32; 6],
}

impl Default for Calibration {
    fn default() -> Self {
        Self { temperature: 1.0, growth: 0.4, known: [3.0, 0.0, 0.0, 0.0, 0.0, 0.0] }
    }
}

/// How well a text fits the label with the best score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fit {
    /// Score for each feature, above what is usual.
    pub score: f32,
    /// Mean order of the longest n-gram known at a character, above what is usual.
    pub depth: f32,
    /// Features that are known.
    pub features: f32,
}

impl Fit {
    fn terms(self) -> [f32; 6] {
        let n = (1.0 + self.features).ln();
        [1.0, self.score, self.depth, n, self.score * n, self.depth * n]
    }
}

impl Calibration {
    /// What scores are divided by before the softmax.
    pub fn temperature(&self, features: f32) -> f32 {
        (self.temperature + self.growth * features.max(1.0).ln()).exp()
    }

    /// The probability that the language of a text is one of the model's.
    pub fn known(&self, fit: Fit) -> f32 {
        logistic(self.known.iter().zip(fit.terms()).map(|(w, t)| w * t).sum())
    }

    /// The parameters that fit held-out texts best.
    ///
    /// Of each text of a known language its features, the score of its language, and the other
    /// scores that matter; of each text the fit of its best label, whether that is known, and a
    /// weight.
    pub(super) fn fit(scored: &[Scored], fits: &[(Fit, bool, f32)]) -> Self {
        let mut best = Self::default();
        let mut loss = f64::MAX;
        let mut width = 1.6;
        // A grid that closes in on its best point.
        for _ in 0..6 {
            let (t, g) = (best.temperature, best.growth);
            for i in -2..=2 {
                for j in -2..=2 {
                    let (i, j) = (i as f32 * width * 0.5, j as f32 * width * 0.2);
                    let tried = Self { temperature: t + i, growth: g + j, ..best };
                    let of_tried: f64 = scored.iter().map(|s| s.loss(&tried)).sum();
                    if of_tried < loss {
                        (best, loss) = (tried, of_tried);
                    }
                }
            }
            width *= 0.5;
        }
        best.known = fit_logistic(fits);
        best
    }
}

/// The scores of a held-out text.
pub(super) struct Scored {
    pub(super) features: f32,
    /// The score of the right label.
    pub(super) truth: f32,
    /// The best other scores.
    pub(super) others: Vec<f32>,
}

impl Scored {
    fn loss(&self, calibration: &Calibration) -> f64 {
        let t = calibration.temperature(self.features);
        let others: f32 = self.others.iter().map(|o| ((o - self.truth) / t).min(80.0).exp()).sum();
        f64::from((1.0 + others).ln())
    }
}

fn logistic(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

/// Logistic regression by Newton's method, with a little ridge.
fn fit_logistic(rows: &[(Fit, bool, f32)]) -> [f32; 6] {
    let mut w = [0.0_f64; 6];
    for _ in 0..12 {
        let mut gradient = [0.0_f64; 6];
        let mut hessian = [[0.0_f64; 6]; 6];
        for i in 0..6 {
            gradient[i] = -1e-3 * w[i];
            hessian[i][i] = 1e-3;
        }
        for (fit, known, weight) in rows {
            let x = fit.terms().map(f64::from);
            let z: f64 = w.iter().zip(x).map(|(w, x)| w * x).sum();
            let p = 1.0 / (1.0 + (-z).exp());
            let weight = f64::from(*weight);
            for i in 0..6 {
                gradient[i] += weight * (f64::from(u8::from(*known)) - p) * x[i];
                for j in 0..6 {
                    hessian[i][j] += weight * p * (1.0 - p) * x[i] * x[j];
                }
            }
        }
        let Some(step) = solve(hessian, gradient) else { break };
        for (w, step) in w.iter_mut().zip(step) {
            *w += step;
        }
    }
    w.map(|w| if w.is_finite() { w as f32 } else { 0.0 })
}

/// The solution of six linear equations by Gaussian elimination; `None` if there is no one.
fn solve(mut a: [[f64; 6]; 6], mut b: [f64; 6]) -> Option<[f64; 6]> {
    for i in 0..6 {
        let pivot = (i..6).max_by(|x, y| a[*x][i].abs().total_cmp(&a[*y][i].abs()))?;
        a.swap(i, pivot);
        b.swap(i, pivot);
        if a[i][i].abs() < 1e-12 {
            return None;
        }
        for row in i + 1..6 {
            let factor = a[row][i] / a[i][i];
            let pivot = a[i];
            a[row].iter_mut().zip(pivot).for_each(|(value, of_pivot)| *value -= factor * of_pivot);
            b[row] -= factor * b[i];
        }
    }
    for i in (0..6).rev() {
        let known: f64 = (i + 1..6).map(|j| a[i][j] * b[j]).sum();
        b[i] = (b[i] - known) / a[i][i];
    }
    Some(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equations_are_solved() {
        let mut a = [[0.0; 6]; 6];
        for (i, row) in a.iter_mut().enumerate() {
            row[(i + 1) % 6] = 2.0;
        }
        assert_eq!(
            solve(a, [2.0, 4.0, 6.0, 8.0, 10.0, 12.0]),
            Some([6.0, 1.0, 2.0, 3.0, 4.0, 5.0])
        );
        assert_eq!(solve([[1.0; 6]; 6], [1.0; 6]), None);
    }

    #[test]
    fn texts_that_fit_are_known() {
        let fit = |score| Fit { score, depth: 0.0, features: 50.0 };
        let rows: Vec<_> =
            (0..100).map(|i| (fit((i - 50) as f32 / 25.0), i > 45 && i != 60, 1.0)).collect();
        let calibration = Calibration::fit(&[], &rows);
        assert!(calibration.known(fit(2.0)) > 0.9, "{calibration:?}");
        assert!(calibration.known(fit(-2.0)) < 0.1, "{calibration:?}");
    }

    #[test]
    fn overconfident_scores_are_tempered() {
        // Wrong in three of ten, by a wide margin.
        let scored: Vec<_> = (0..1000)
            .map(|i| Scored {
                features: 100.0,
                truth: if i % 10 < 3 { -50.0 } else { 50.0 },
                others: vec![0.0],
            })
            .collect();
        let calibration = Calibration::fit(&scored, &[]);
        let p = 1.0 / (1.0 + (-50.0 / calibration.temperature(100.0)).exp());
        assert!((p - 0.7).abs() < 0.05, "{p}");
    }
}
