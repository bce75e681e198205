//! From the vector of a text to its best labels, as the model's loss has it: along a tree of
//! sigmoids (hierarchical softmax), by one distribution (softmax), or by a sigmoid for each label
//! (negative sampling, one-vs-all).
//!
//! Numbers are rounded where fastText rounds them, and added in its order: scores are equal to the
//! last bit where the C library has the same `exp` and `log`.

use super::format::LossName;
use super::ranking::{Ranking, log};

/// The output matrix of a model, a row for each label or inner node.
pub struct Output {
    /// Length of rows.
    pub dim: usize,
    /// The rows.
    pub numbers: Vec<f32>,
    /// What the product with each row is multiplied by, where that is apart.
    pub norms: Option<Vec<f32>>,
}

/// How labels are scored.
pub enum Loss {
    /// Hierarchical softmax.
    Tree(Tree),
    /// All others.
    Flat(Flat),
}

/// The model's numbers are so large that a score is none.
#[derive(Debug)]
pub struct NotANumber;

/// Room for scores, kept between calls.
#[derive(Default)]
pub struct Room {
    scores: Vec<f32>,
    /// Nodes that are still to be visited, with their scores.
    open: Vec<(u32, f32)>,
}

impl Loss {
    /// The loss of a model with labels of these counts; `None` if the counts make no tree.
    pub fn new(name: LossName, counts: &[i64], output: Output) -> Option<Self> {
        let labels = counts.len();
        Some(match name {
            LossName::HierarchicalSoftmax => Self::Tree(Tree::new(counts, output)?),
            LossName::Softmax => Self::Flat(Flat::new(labels, output, None)),
            LossName::NegativeSampling | LossName::OneVsAll => {
                Self::Flat(Flat::new(labels, output, Some(sigmoids())))
            }
        })
    }

    /// Ranks the labels of a text.
    pub fn rank(
        &self,
        hidden: &[f32],
        room: &mut Room,
        ranking: &mut Ranking,
    ) -> Result<(), NotANumber> {
        match self {
            Self::Tree(tree) => tree.rank(hidden, &mut room.open, ranking),
            Self::Flat(flat) => flat.rank(hidden, &mut room.scores, ranking),
        }
    }
}

/// A Huffman tree: labels are its leaves, and each inner node tells how likely the right one is.
pub struct Tree {
    labels: usize,
    /// Left and right child of each inner node, the root last; nodes are counted after labels.
    children: Vec<[u32; 2]>,
    output: Output,
}

impl Tree {
    fn new(counts: &[i64], output: Output) -> Option<Self> {
        let labels = counts.len();
        // Counts fall, so the two smallest nodes are at the ends of two rows: of the labels that
        // are left, and of the inner nodes.
        let mut weights = counts.to_vec();
        let mut children = Vec::with_capacity(labels.saturating_sub(1));
        let (mut leaf, mut inner) = (labels, labels);
        for _ in 1..labels {
            let mut smallest = || {
                // fastText takes a node to come for one of 10¹⁵.
                let bound = weights.get(inner).copied().unwrap_or(1_000_000_000_000_000);
                if leaf > 0 && weights[leaf - 1] < bound {
                    leaf -= 1;
                    Some(leaf)
                } else {
                    inner += 1;
                    (inner <= weights.len()).then_some(inner - 1)
                }
            };
            let (left, right) = (smallest()?, smallest()?);
            weights.push(weights[left].checked_add(weights[right])?);
            children.push([left as u32, right as u32]);
        }
        Some(Self { labels, children, output })
    }

    /// Visits the tree from left to right, without what is worse than the best k so far.
    fn rank(
        &self,
        hidden: &[f32],
        open: &mut Vec<(u32, f32)>,
        ranking: &mut Ranking,
    ) -> Result<(), NotANumber> {
        let root = self.labels + self.children.len() - 1;
        let least = log(0.0);
        open.clear();
        open.push((root as u32, 0.0));
        while let Some((node, score)) = open.pop() {
            if score < least || ranking.is_below(score) {
                continue;
            }
            let Some(inner) = (node as usize).checked_sub(self.labels) else {
                ranking.push(node, score);
                continue;
            };
            let product = self.output.product(inner, hidden);
            if product.is_nan() {
                return Err(NotANumber);
            }
            let right = sigmoid(product);
            let [left_child, right_child] = self.children[inner];
            open.push((right_child, score + log(right)));
            open.push((left_child, score + log((1.0 - f64::from(right)) as f32)));
        }
        Ok(())
    }
}

impl Output {
    /// The product of a row and a vector.
    fn product(&self, row: usize, hidden: &[f32]) -> f32 {
        let numbers = &self.numbers[row * self.dim..(row + 1) * self.dim];
        let product = numbers.iter().zip(hidden).fold(0.0, |sum, (a, b)| sum + a * b);
        self.norms.as_ref().map_or(product, |norms| product * norms[row])
    }
}

/// A score for each label.
pub struct Flat {
    labels: usize,
    /// The output matrix, column by column: the sum of a label runs over the columns in their
    /// order, and the sums of neighbours run together.
    columns: Vec<f32>,
    norms: Option<Vec<f32>>,
    /// fastText's table of sigmoids; without it, scores are a softmax.
    sigmoids: Option<Vec<f32>>,
}

impl Flat {
    fn new(labels: usize, output: Output, sigmoids: Option<Vec<f32>>) -> Self {
        let mut columns = Vec::with_capacity(output.numbers.len());
        for column in 0..output.dim {
            columns.extend(output.numbers.iter().skip(column).step_by(output.dim));
        }
        Self { labels, columns, norms: output.norms, sigmoids }
    }

    fn rank(
        &self,
        hidden: &[f32],
        scores: &mut Vec<f32>,
        ranking: &mut Ranking,
    ) -> Result<(), NotANumber> {
        scores.clear();
        scores.resize(self.labels, 0.0);
        let (fours, rest) = hidden.as_chunks::<4>();
        let mut columns = self.columns.chunks_exact(self.labels);
        let mut next = || columns.next().unwrap_or_default();
        for [p, q, r, s] in fours {
            // Four at a time, as the sums are read and written each time.
            let (a, b, c, d) = (next(), next(), next(), next());
            for ((((score, a), b), c), d) in scores.iter_mut().zip(a).zip(b).zip(c).zip(d) {
                *score = *score + a * p + b * q + c * r + d * s;
            }
        }
        for p in rest {
            for (score, a) in scores.iter_mut().zip(next()) {
                *score += a * p;
            }
        }
        for (score, norm) in scores.iter_mut().zip(self.norms.iter().flatten()) {
            *score *= norm;
        }
        if scores.iter().any(|score| score.is_nan()) {
            return Err(NotANumber);
        }
        match &self.sigmoids {
            Some(table) => scores.iter_mut().for_each(|score| *score = looked_up(table, *score)),
            None => softmax(scores)?,
        }
        for (label, probability) in scores.iter().enumerate() {
            ranking.offer(label as u32, *probability);
        }
        Ok(())
    }
}

/// Makes a distribution of scores.
fn softmax(scores: &mut [f32]) -> Result<(), NotANumber> {
    let max = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for score in scores.iter_mut() {
        let below = *score - max;
        // Less than this is no number above 0.
        *score = if below < -104.0 { 0.0 } else { f64::from(below).exp() as f32 };
        sum += *score;
    }
    if sum.is_nan() {
        return Err(NotANumber);
    }
    scores.iter_mut().for_each(|score| *score /= sum);
    Ok(())
}

fn sigmoid(x: f32) -> f32 {
    (1.0 / f64::from(1.0 + (-x).exp())) as f32
}

/// Sigmoids of -8 to 8 in steps of 1/32.
fn sigmoids() -> Vec<f32> {
    (0..=512_u16)
        .map(|step| f32::from(step) / 32.0 - 8.0)
        .map(|x| (1.0 / (1.0 + f64::from((-x).exp()))) as f32)
        .collect()
}

fn looked_up(sigmoids: &[f32], x: f32) -> f32 {
    if x < -8.0 {
        0.0
    } else if x > 8.0 {
        1.0
    } else {
        sigmoids[((x + 8.0) * 32.0) as usize]
    }
}
