//! Pairs to clusters: which rows belong together, which of them is kept, how near the others are.

use std::cmp::Reverse;

use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
use rayon::slice::ParallelSlice;

use super::link::{self, Pairs};
use super::sets::Sets;
use super::survey::Rows;
use super::{Near, Space};
use crate::dedup::components::Components;
use crate::dedup::jaccard::of_sets;
use crate::error::{Error, Result};

/// Pairs that are compared at once.
const CHUNK: usize = 8192;

/// One row of the result.
pub(super) struct Row {
    pub doc_id: u64,
    pub cluster_id: u64,
    pub cluster_size: u64,
    pub kept_id: u64,
    pub similarity: f64,
}

/// The clusters of the rows that have a pair.
pub(super) struct Clusters {
    /// The ids of these rows, ascending; all other vectors over rows follow them.
    ids: Vec<u64>,
    /// The place of each row's cluster in `clusters`.
    cluster: Vec<u32>,
    similarity: Vec<f64>,
    clusters: Vec<Cluster>,
}

#[derive(Clone, Copy)]
struct Cluster {
    id: u64,
    size: u64,
    kept: Kept,
}

/// The explicit order of what is kept: the greatest of these.
type Kept = (u64, u64, Reverse<[u64; 2]>, Reverse<u64>);

impl Clusters {
    /// Joins the pairs of equal content, and the candidates that are near enough.
    pub fn new(
        equal: &Pairs,
        near: Option<(&Near, &Pairs, &Sets)>,
        rows: &Rows,
        space: &Space,
    ) -> Result<Self> {
        let pairs: Vec<&Pairs> = [Some(equal), near.map(|n| n.1)].into_iter().flatten().collect();
        let ids = link::ids(&pairs, space)?;
        let place = |doc: u64| match ids.binary_search(&doc) {
            Ok(i) => Ok(i as u32),
            Err(_) => Err(Error::internal(format!("doc_id {doc} of a pair has no place"))),
        };
        let mut components = Components::new(ids.len())?;
        let mut representative: Vec<u32> = (0..ids.len() as u32).collect();
        for pair in equal.iter()? {
            let [doc, other] = pair?;
            let (doc, other) = (place(doc)?, place(other)?);
            representative[doc as usize] = other;
            components.join(doc, other);
        }
        if let Some((near, candidates, sets)) = near {
            let mut chunk: Vec<(u32, u32)> = Vec::new();
            for pair in link::distinct(candidates)? {
                let [a, b] = pair?;
                chunk.push((place(a)?, place(b)?));
                if chunk.len() == CHUNK {
                    join_near(&mut chunk, &mut components, &ids, near, sets, space)?;
                }
            }
            join_near(&mut chunk, &mut components, &ids, near, sets, space)?;
        }
        let (cluster, clusters) = keep(&ids, &components.finish(), rows)?;
        let mut made = Self { similarity: vec![1.0; ids.len()], ids, cluster, clusters };
        if let Some((_, _, sets)) = near {
            made.measure(&representative, sets, space)?;
        }
        Ok(made)
    }

    /// All rows of the table in ascending order of id; those without a pair are by themselves.
    pub fn all(&self, rows: &Rows) -> Result<impl Iterator<Item = Result<Row>>> {
        let mut next = 0;
        Ok(rows.iter()?.map(move |row| {
            let [doc_id, ..] = row?;
            if self.ids.get(next) != Some(&doc_id) {
                let alone = Row {
                    doc_id,
                    cluster_id: doc_id,
                    cluster_size: 1,
                    kept_id: doc_id,
                    similarity: 1.0,
                };
                return Ok(alone);
            }
            let cluster = self.clusters[self.cluster[next] as usize];
            let similarity = self.similarity[next];
            next += 1;
            Ok(Row {
                doc_id,
                cluster_id: cluster.id,
                cluster_size: cluster.size,
                kept_id: cluster.kept.3.0,
                similarity,
            })
        }))
    }

    /// Measures each row against the kept one of its cluster; rows of equal content alike.
    fn measure(&mut self, representative: &[u32], sets: &Sets, space: &Space) -> Result<()> {
        let own = |row: &u32| representative[*row as usize] == *row;
        let mut rows: Vec<u32> = (0..self.ids.len() as u32).filter(own).collect();
        rows.sort_unstable_by_key(|row| (self.cluster[*row as usize], *row));
        let ids = &self.ids;
        let cluster = &self.cluster;
        let of_cluster = |rows: &[u32]| -> Result<Vec<(u32, f64)>> {
            let Some(first) = rows.first().filter(|_| rows.len() > 1) else {
                return Ok(Vec::new());
            };
            let kept = self.clusters[cluster[*first as usize] as usize].kept.3.0;
            let kept = ids.binary_search(&kept).map_or(*first, |i| representative[i]);
            let set = sets.get(ids[kept as usize])?;
            let others = rows.iter().filter(|row| **row != kept);
            others.map(|row| Ok((*row, of_sets(&sets.get(ids[*row as usize])?, &set)))).collect()
        };
        let measured: Vec<(u32, f64)> = space.threads.install(|| {
            rows.par_chunk_by(|a, b| cluster[*a as usize] == cluster[*b as usize])
                .map(of_cluster)
                .try_reduce(Vec::new, |mut all, some| {
                    all.extend(some);
                    Ok(all)
                })
        })?;
        for (row, similarity) in measured {
            self.similarity[row as usize] = similarity;
        }
        self.similarity =
            representative.iter().map(|first| self.similarity[*first as usize]).collect();
        Ok(())
    }
}

/// Joins the pairs of a chunk whose sets are near enough, and empties it. Pairs that are in one
/// component already need no comparison: it could not change the components.
fn join_near(
    chunk: &mut Vec<(u32, u32)>,
    components: &mut Components,
    ids: &[u64],
    near: &Near,
    sets: &Sets,
    space: &Space,
) -> Result<()> {
    if near.verify {
        chunk.retain(|(a, b)| components.find(*a) != components.find(*b));
        let is_near = |(a, b): &(u32, u32)| -> Result<bool> {
            let (a, b) = (sets.get(ids[*a as usize])?, sets.get(ids[*b as usize])?);
            Ok(of_sets(&a, &b) >= near.threshold)
        };
        let verdicts: Vec<bool> =
            space.threads.install(|| chunk.par_iter().map(is_near).collect::<Result<_>>())?;
        let mut verdicts = verdicts.into_iter();
        chunk.retain(|_| verdicts.next().unwrap_or(false));
    }
    for (a, b) in chunk.drain(..) {
        components.join(a, b);
    }
    Ok(())
}

/// The place of each row's cluster, and the clusters with the row that each keeps.
fn keep(ids: &[u64], labels: &[u32], rows: &Rows) -> Result<(Vec<u32>, Vec<Cluster>)> {
    const WORST: Kept = (0, 0, Reverse([u64::MAX; 2]), Reverse(u64::MAX));
    let mut cluster = vec![0u32; ids.len()];
    let mut clusters: Vec<Cluster> = Vec::new();
    for (i, label) in labels.iter().enumerate() {
        // The label is the smallest place of its component, so it comes before the others.
        cluster[i] = match *label as usize {
            label if label == i => {
                clusters.push(Cluster { id: ids[i], size: 0, kept: WORST });
                (clusters.len() - 1) as u32
            }
            label => cluster[label],
        };
        clusters[cluster[i] as usize].size += 1;
    }
    let mut next = 0;
    for row in rows.iter()? {
        let [doc, rank, chars, high, low] = row?;
        if ids.get(next) == Some(&doc) {
            let kept = &mut clusters[cluster[next] as usize].kept;
            *kept = (*kept).max((rank, chars, Reverse([high, low]), Reverse(doc)));
            next += 1;
        }
    }
    Ok((cluster, clusters))
}
