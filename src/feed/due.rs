//! When groups are due: of those that may be drawn, the one whose deadline is first.
//!
//! Times are tokens drawn in all. A time holds until its group is drawn, so a draw changes the times
//! of one group: groups stand in eights that know their first deadline and when the next of them may
//! be drawn, and only eights in which something changed are looked at, mostly those of the groups
//! with the largest shares, which stand together. A seek does nothing else, millions of times.

/// Groups that stand together.
const EIGHT: usize = 8;
/// Later than any time.
const NEVER: i64 = i64::MAX;

/// The times of all groups.
#[derive(Debug, Clone)]
pub(super) struct Due {
    /// The places of groups, and their groups.
    place: Vec<usize>,
    group: Vec<usize>,
    eights: Vec<Eight>,
    /// Of each eight: the first deadline of those that may be drawn, and whose it is; before which
    /// time none of the others may be.
    first: Vec<(i64, usize)>,
    wake: Vec<i64>,
}

/// Times as integers of the same order, which are chosen without branches.
#[derive(Debug, Clone)]
struct Eight {
    release: [i64; EIGHT],
    deadline: [i64; EIGHT],
}

/// A number as an integer of the same order.
fn ordered(time: f64) -> i64 {
    let bits = time.to_bits() as i64;
    bits ^ ((bits >> 63) as u64 >> 1) as i64
}

impl Due {
    /// Groups that are never due, those of the largest shares first.
    pub fn new(shares: &[f64]) -> Self {
        let mut group: Vec<usize> = (0..shares.len()).collect();
        group.sort_by(|a, b| shares[*b].total_cmp(&shares[*a]).then(a.cmp(b)));
        let mut place = vec![0; group.len()];
        group.iter().enumerate().for_each(|(at, group)| place[*group] = at);
        let eights = group.len().div_ceil(EIGHT);
        let never = Eight { release: [NEVER; EIGHT], deadline: [NEVER; EIGHT] };
        let (first, wake) = (vec![(NEVER, 0); eights], vec![NEVER; eights]);
        Self { place, group, eights: vec![never; eights], first, wake }
    }

    /// Says between which times a group must be drawn.
    pub fn set(&mut self, group: usize, release: f64, deadline: f64) {
        self.put(self.place[group], ordered(release), ordered(deadline));
    }

    /// Says that a group is not to be drawn.
    pub fn never(&mut self, group: usize) {
        self.put(self.place[group], NEVER, NEVER);
    }

    fn put(&mut self, place: usize, release: i64, deadline: i64) {
        let eight = &mut self.eights[place / EIGHT];
        eight.release[place % EIGHT] = release;
        eight.deadline[place % EIGHT] = deadline;
        self.wake[place / EIGHT] = i64::MIN;
    }

    /// The group with the first deadline among those whose release is before `now`, of equal ones
    /// that of the largest share; where there is none, the one that is released first.
    pub fn first(&mut self, now: f64) -> usize {
        let now = ordered(now);
        let (mut first, mut chosen) = (NEVER, usize::MAX);
        for i in 0..self.eights.len() {
            if self.wake[i] < now {
                self.look(i, now);
            }
            let (deadline, place) = self.first[i];
            let sooner = deadline < first;
            first = if sooner { deadline } else { first };
            chosen = if sooner { place } else { chosen };
        }
        self.group[if chosen == usize::MAX { self.soonest() } else { chosen }]
    }

    fn look(&mut self, i: usize, now: i64) {
        let Eight { release, deadline } = &self.eights[i];
        let (mut first, mut chosen, mut wake) = (NEVER, 0, NEVER);
        for lane in 0..EIGHT {
            let may = release[lane] < now;
            let due = if may { deadline[lane] } else { NEVER };
            wake = wake.min(if may { NEVER } else { release[lane] });
            let sooner = due < first;
            first = if sooner { due } else { first };
            chosen = if sooner { lane } else { chosen };
        }
        self.first[i] = (first, i * EIGHT + chosen);
        self.wake[i] = wake;
    }

    fn soonest(&self) -> usize {
        let releases = self.eights.iter().flat_map(|eight| eight.release);
        releases.enumerate().min_by_key(|(_, release)| *release).map_or(0, |(place, _)| place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_first_deadline_of_those_that_may_is_found(
            times in prop::collection::vec((-5.0f64..5.0, -5.0f64..9.0), 1..40),
            changes in prop::collection::vec((0usize..40, -5.0f64..5.0, 0u8..9), 0..40),
        ) {
            let mut times = times;
            let shares: Vec<f64> = (0..times.len()).map(|i| (i * 7 % 5) as f64).collect();
            let mut due = Due::new(&shares);
            for (i, (release, deadline)) in times.iter().enumerate() {
                due.set(i, *release, *deadline);
            }
            let mut now = -6.0;
            for (i, release, deadline) in changes {
                let i = i % times.len();
                times[i] = (release, deadline.into());
                due.set(i, release, deadline.into());
                now += 0.25;
                let may = (0..times.len()).filter(|i| times[*i].0 < now);
                let larger = |a: &usize, b: &usize| shares[*b].total_cmp(&shares[*a]);
                let expected = may
                    .min_by(|a, b| times[*a].1.total_cmp(&times[*b].1).then(larger(a, b)));
                let first =
                    |a: &usize, b: &usize| times[*a].0.total_cmp(&times[*b].0).then(larger(a, b));
                let soonest = (0..times.len()).min_by(first).unwrap();
                prop_assert_eq!(due.first(now), expected.unwrap_or(soonest));
            }
        }
    }

    #[test]
    fn the_order_of_numbers_is_kept() {
        let times = [f64::NEG_INFINITY, -2.0, -1e-300, 0.0, 1e-300, 1.5, 7e300, f64::INFINITY];
        assert!(times.windows(2).all(|two| ordered(two[0]) < ordered(two[1])));
        assert!(ordered(f64::INFINITY) < NEVER);
    }
}
