//! Groups of candidates to components: which rows are near enough.
//!
//! What a comparison could not change is not compared: rows of one component, and components that
//! one near pair has joined. Groups are worked on by all threads against the components as they
//! stood before their batch; what is skipped for that reason or not, the closure is the same.

use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use super::candidates::{Groups, Member};
use super::rare::Rarity;
use super::sets::Sets;
use super::{Joined, Space};
use crate::dedup::components::Components;
use crate::dedup::jaccard::at_least;
use crate::error::Result;
use crate::store::group::Sorter;

/// Rows in the groups of a batch.
const BATCH: usize = 1 << 15;
/// Rows in a group from which on they are not compared each with each.
#[cfg(not(test))]
const LARGE: usize = 128;
/// Small enough for tests to reach.
#[cfg(test)]
const LARGE: usize = 8;

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
                let near = |group: &Vec<Member>| near(group, threshold, sets, before, space);
                batch.par_iter().map(near).collect::<Result<_>>()
            })?;
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

impl Part {
    /// Takes in the members of another part; the longer list stays where it is.
    fn take(&mut self, mut other: Part) {
        if other.members.len() > self.members.len() {
            std::mem::swap(&mut self.members, &mut other.members);
        }
        self.members.append(&mut other.members);
    }
}

/// Pairs that join what is near in a group.
fn near(
    group: &[Member],
    threshold: f64,
    sets: &Sets,
    joined: &Joined,
    space: &Space,
) -> Result<Vec<(u32, u32)>> {
    let roots: Vec<u32> = group.iter().map(|member| joined.root(member.number)).collect();
    if group.len() > LARGE {
        return near_of_many(group, &roots, threshold, sets, space);
    }
    let members = group.iter().zip(roots).map(|(member, root)| (root, *member)).collect();
    Ok(meet(members, threshold, sets))
}

/// The same of a large group, without comparing each with each: only rows that share one of their
/// rarest numbers are compared.
fn near_of_many(
    group: &[Member],
    roots: &[u32],
    threshold: f64,
    sets: &Sets,
    space: &Space,
) -> Result<Vec<(u32, u32)>> {
    let rarity = Rarity::of(group.iter().map(|member| sets.get(member.number)));
    let mut postings = Sorter::<2>::new(&space.dir, space.memory / 16);
    for (member, place) in group.iter().zip(0u64..) {
        for number in rarity.rarest(sets.get(member.number), threshold) {
            postings.push([number, place])?;
        }
    }
    drop(rarity);
    // What is in one component already is one here too.
    let mut local = Components::new(group.len())?;
    let mut places: Vec<u32> = (0..group.len() as u32).collect();
    places.sort_unstable_by_key(|place| (roots[*place as usize], *place));
    for same in places.chunk_by(|a, b| roots[*a as usize] == roots[*b as usize]) {
        same.iter().for_each(|place| {
            local.join(same[0], *place);
        });
    }
    let mut found = Vec::new();
    for posting in postings.finish()?.groups(1)? {
        let posting = posting?;
        let member = |[_, place]: &[u64; 2]| (local.root(*place as u32), group[*place as usize]);
        for (a, b) in meet(posting.iter().map(member).collect(), threshold, sets) {
            local.join(a, b);
            found.push((group[a as usize].number, group[b as usize].number));
        }
    }
    Ok(found)
}

/// Pairs of components that join what is near among rows, each given with its component.
fn meet(rows: Vec<(u32, Member)>, threshold: f64, sets: &Sets) -> Vec<(u32, u32)> {
    let mut found = Vec::new();
    if rows.iter().all(|(root, _)| *root == rows[0].0) {
        return found;
    }
    let mut rows = rows;
    rows.sort_unstable_by_key(|(root, member)| (*root, member.number));
    let mut done: Vec<Part> = Vec::new();
    for some in rows.chunk_by(|a, b| a.0 == b.0) {
        let with_size = |(_, m): &(u32, Member)| (*m, sets.get(m.number).len());
        let part = Part { root: some[0].0, members: some.iter().map(with_size).collect() };
        // The first part that it is near to takes it in, and all others that it is near to.
        let (mut into, mut i) = (None, 0);
        while i < done.len() {
            if !is_near(&part, &done[i], threshold, sets) {
                i += 1;
                continue;
            }
            found.push((part.root, done[i].root));
            match into {
                None => {
                    into = Some(i);
                    i += 1;
                }
                Some(into) => {
                    let other = done.swap_remove(i);
                    done[into].take(other);
                }
            }
        }
        match into {
            Some(into) => done[into].take(part),
            None => done.push(part),
        }
    }
    found
}

/// Whether any two members, of which one has not been compared before, are near enough.
fn is_near(one: &Part, other: &Part, threshold: f64, sets: &Sets) -> bool {
    one.members.iter().any(|(a, m)| {
        other.members.iter().any(|(b, n)| {
            // Sets of sizes further apart than the threshold cannot be near.
            let possible = *m.min(n) as f64 >= threshold * *m.max(n) as f64 - 1.0;
            possible
                && !(a.settled && b.settled)
                && at_least(sets.get(a.number), sets.get(b.number), threshold)
        })
    })
}
