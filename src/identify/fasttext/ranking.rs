//! The best k labels, in fastText's order, also among labels of equal scores.
//!
//! There that order is the one of `push_heap`, `pop_heap` and `sort_heap` of libstdc++, the C++
//! library that fastText's packages are built with, so the heap is moved here as it is there.

/// fastText's logarithm of a probability; 0 has one, and that of 1 is a little above 0.
pub fn log(probability: f32) -> f32 {
    (f64::from(probability) + 1e-5).ln() as f32
}

/// A label by its number, and the logarithm of its probability.
pub type Ranked = (u32, f32);

/// The best k so far: a heap, the worst of them on top.
#[derive(Default)]
pub struct Ranking {
    k: usize,
    heap: Vec<Ranked>,
    /// Probabilities below this are certainly below the worst of k.
    bound: f64,
}

impl Ranking {
    /// Empties the ranking; from now on it keeps the best `k`, at least 1.
    pub fn clear(&mut self, k: usize) {
        self.k = k.max(1);
        self.heap.clear();
        self.bound = f64::NEG_INFINITY;
    }

    /// Whether there are k, all of them better than this score.
    pub fn is_below(&self, score: f32) -> bool {
        self.heap.len() == self.k && score < self.heap[0].1
    }

    /// Adds a label by its probability if it is not below the best k.
    pub fn offer(&mut self, label: u32, probability: f32) {
        // Most labels are told to be below without their logarithm.
        if f64::from(probability) < self.bound {
            return;
        }
        let score = log(probability);
        if !self.is_below(score) {
            self.push(label, score);
        }
    }

    /// Adds a label, and removes the worst if there are more than k.
    pub fn push(&mut self, label: u32, score: f32) {
        let hole = self.heap.len();
        self.heap.push((label, score));
        rise(&mut self.heap, hole, (label, score));
        if self.heap.len() > self.k {
            worst_to_end(&mut self.heap);
            self.heap.pop();
        }
        if self.heap.len() == self.k {
            // A thousandth is more than logarithms of 32 bits are wrong by.
            self.bound = 0.999 * f64::from(self.heap[0].1).exp() - 1e-5;
        }
    }

    /// The labels, the best first; empties the ranking.
    pub fn sorted(&mut self) -> impl Iterator<Item = Ranked> {
        for end in (2..=self.heap.len()).rev() {
            worst_to_end(&mut self.heap[..end]);
        }
        self.heap.drain(..)
    }
}

/// Moves a hole up to where a value belongs, and fills it.
fn rise(heap: &mut [Ranked], mut hole: usize, value: Ranked) {
    while hole > 0 {
        let parent = (hole - 1) / 2;
        if heap[parent].1 <= value.1 {
            break;
        }
        heap[hole] = heap[parent];
        hole = parent;
    }
    heap[hole] = value;
}

/// Swaps the worst with the last, and makes a heap of all but the new last one.
///
/// The hole goes down to a leaf first, always to the worse child, and the value rises from there.
fn worst_to_end(heap: &mut [Ranked]) {
    let Some((last, heap)) = heap.split_last_mut() else { return };
    let Some(worst) = heap.first() else { return };
    let value = std::mem::replace(last, *worst);
    let mut hole = 0;
    while 2 * hole + 2 < heap.len() {
        let (left, right) = (2 * hole + 1, 2 * hole + 2);
        let child = if heap[right].1 > heap[left].1 { left } else { right };
        heap[hole] = heap[child];
        hole = child;
    }
    if 2 * hole + 2 == heap.len() {
        heap[hole] = heap[2 * hole + 1];
        hole = 2 * hole + 1;
    }
    rise(heap, hole, value);
}
