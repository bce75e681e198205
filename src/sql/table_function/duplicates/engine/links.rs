//! Groups of candidates to components: which rows are near enough.
//!
//! What a comparison could not change is not compared: rows of one component, and components that
//! one near pair has joined. Groups are worked on by all threads against the components as they
//! stood before their batch; what is skipped for that reason or not, the closure is the same.

use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use super::candidates::{Groups, Member};
use super::sets::Sets;
use super::{Joined, Space};
use crate::dedup::jaccard::at_least;
use crate::error::Result;

/// Rows in the groups of a batch.
const BATCH: usize = 1 << 15;

/// Joins the components of the rows of each group that are near enough, directly or by way of others.
pub(super) fn join(
    groups: &Groups,
    threshold: f64,
    sets: &Sets,
    joined: &mut Joined,
    space: &Space,
) -> Result<()> {
    let (mut at, mut group) = (0, Vec::new());
    let mut batch: Vec<Vec<Member>> = Vec::new();
    let mut held = 0;
    loop {
        let more = groups.next(&mut at, &mut group);
        if more && !is_joined(&group, joined) {
            held += group.len();
            batch.push(std::mem::take(&mut group));
        }
        if held >= BATCH || !more {
            let before: &Joined = joined;
            let found: Vec<Vec<(u32, u32)>> = space.threads.install(|| {
                batch.par_iter().map(|group| near(group, threshold, sets, before)).collect()
            });
            for (a, b) in found.into_iter().flatten() {
                joined.join(a, b);
            }
            batch.clear();
            held = 0;
        }
        if !more {
            return Ok(());
        }
    }
}

/// Whether all rows of a group are in one component.
fn is_joined(group: &[Member], joined: &Joined) -> bool {
    let Some((first, rest)) = group.split_first() else { return true };
    let root = joined.root(first.number);
    rest.iter().all(|member| joined.root(member.number) == root)
}

/// The members of a group that are in one component.
struct Part {
    root: u32,
    members: Vec<(Member, usize)>,
}

/// Pairs that join what is near in a group.
fn near(group: &[Member], threshold: f64, sets: &Sets, joined: &Joined) -> Vec<(u32, u32)> {
    let mut parts: Vec<Part> = Vec::new();
    let mut members: Vec<(u32, usize, Member)> =
        group.iter().map(|m| (joined.root(m.number), sets.get(m.number).len(), *m)).collect();
    members.sort_unstable_by_key(|(root, size, m)| (*root, *size, m.number));
    for some in members.chunk_by(|a, b| a.0 == b.0) {
        let members = some.iter().map(|(_, size, member)| (*member, *size)).collect();
        parts.push(Part { root: some[0].0, members });
    }
    let mut found = Vec::new();
    let mut done: Vec<Part> = Vec::new();
    for mut part in parts {
        let mut i = 0;
        while i < done.len() {
            if is_near(&part, &done[i], threshold, sets) {
                let other = done.swap_remove(i);
                found.push((part.root, other.root));
                part.members.extend(other.members);
                part.members.sort_unstable_by_key(|(member, size)| (*size, member.number));
            } else {
                i += 1;
            }
        }
        done.push(part);
    }
    found
}

/// Whether any two members, of which one has not been compared before, are near enough.
fn is_near(one: &Part, other: &Part, threshold: f64, sets: &Sets) -> bool {
    let mut from = 0;
    for (a, size) in &one.members {
        // Sets of sizes further apart than the threshold cannot be near; both are in order of size.
        let least = *size as f64 * threshold;
        while other.members.get(from).is_some_and(|(_, s)| (*s as f64) < least.floor()) {
            from += 1;
        }
        for (b, s) in &other.members[from..] {
            if *s as f64 * threshold > *size as f64 + 1.0 {
                break;
            }
            if !(a.settled && b.settled)
                && at_least(sets.get(a.number), sets.get(b.number), threshold)
            {
                return true;
            }
        }
    }
    false
}
