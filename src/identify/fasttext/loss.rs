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

/// Rows of the output matrix of which the products are computed at once.
const LANES: usize = 16;

/// Room for scores, kept between calls.
#[derive(Default)]
pub struct Room {
    scores: Vec<f32>,
    /// Nodes that are still to be visited, with their scores.
    open: Vec<(u32, f32)>,
    /// The products of the blocks of a tree, where they are known.
    products: Vec<Option<[f32; LANES]>>,
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
            Self::Tree(tree) => tree.rank(hidden, room, ranking),
            Self::Flat(flat) => flat.rank(hidden, &mut room.scores, ranking),
        }
    }
}

/// A Huffman tree: labels are its leaves, and each inner node tells how likely the right one is.
pub struct Tree {
    labels: usize,
    /// Left and right child of each inner node, the root last; nodes are counted after labels.
    children: Vec<[u32; 2]>,
    /// The place of each inner node's row in `blocks`.
    places: Vec<u32>,
    /// The rows of the output matrix, [`LANES`] in a block, there column by column: their products
    /// take no longer than one, whose sum waits for each addition. The rows of a block are those
    /// of a node and of the heaviest ones below it, which are visited together.
    blocks: Vec<[f32; LANES]>,
    dim: usize,
    norms: Option<Vec<f32>>,
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
        let places = places(labels, &children);
        let Output { dim, numbers, norms } = output;
        let mut blocks = vec![[0.0; LANES]; places.len().div_ceil(LANES) * dim];
        for (place, row) in places.iter().zip(numbers.chunks_exact(dim.max(1))) {
            let (block, lane) = (*place as usize / LANES, *place as usize % LANES);
            for (column, number) in blocks[block * dim..].iter_mut().zip(row) {
                column[lane] = *number;
            }
        }
        Some(Self { labels, children, places, blocks, dim, norms })
    }

    /// The products of the rows of a block and a vector.
    fn products(&self, block: usize, hidden: &[f32]) -> [f32; LANES] {
        let mut sums = [0.0; LANES];
        for (column, p) in self.blocks[block * self.dim..][..self.dim].iter().zip(hidden) {
            for (sum, number) in sums.iter_mut().zip(column) {
                *sum += number * p;
            }
        }
        sums
    }

    /// Visits the tree from left to right, without what is worse than the best k so far.
    fn rank(
        &self,
        hidden: &[f32],
        room: &mut Room,
        ranking: &mut Ranking,
    ) -> Result<(), NotANumber> {
        let Room { open, products, .. } = room;
        products.clear();
        products.resize(self.places.len().div_ceil(LANES), None);
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
            let (block, lane) =
                (self.places[inner] as usize / LANES, self.places[inner] as usize % LANES);
            let known = products[block].get_or_insert_with(|| self.products(block, hidden));
            let norm = self.norms.as_ref().map_or(1.0, |norms| norms[inner]);
            let product = known[lane] * norm;
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

/// Where each inner node stands among the others, so that a node and the heaviest below it are
/// neighbours.
fn places(labels: usize, children: &[[u32; 2]]) -> Vec<u32> {
    let mut places = vec![0; children.len()];
    // Later nodes are heavier, and the last is the root.
    let mut roots: Vec<usize> = children.len().checked_sub(1).into_iter().collect();
    let mut below = Vec::new();
    for place in 0..children.len() {
        if place % LANES == 0 {
            roots.append(&mut below);
        }
        if below.is_empty() {
            below.extend(roots.pop());
        }
        let Some(heaviest) = (0..below.len()).max_by_key(|i| below[*i]) else { break };
        let node = below.swap_remove(heaviest);
        places[node] = place as u32;
        below.extend(children[node].iter().filter_map(|c| (*c as usize).checked_sub(labels)));
    }
    places
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
