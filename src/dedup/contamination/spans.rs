//! Matches of n-grams as spans of the text: overlapping ones are one span.

/// A span of a text, from its first code point (from 0) to after its last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// Its first code point, from 0.
    pub start: u64,
    /// The code point after its last.
    pub end: u64,
}

impl Span {
    /// Its code points.
    pub fn len(self) -> u64 {
        self.end - self.start
    }

    /// Whether it has none.
    pub fn is_empty(self) -> bool {
        self.start == self.end
    }
}

/// Takes spans by ascending start and makes one of those that touch or overlap.
///
/// ```
/// use hexapla::dedup::contamination::spans::{Span, merged};
/// let span = |start, end| Span { start, end };
/// assert_eq!(merged([span(0, 5), span(3, 9), span(4, 6), span(11, 12)]), [span(0, 9), span(11, 12)]);
/// ```
pub fn merged(spans: impl IntoIterator<Item = Span>) -> Vec<Span> {
    let mut all: Vec<Span> = Vec::new();
    for span in spans {
        match all.last_mut() {
            Some(last) if span.start <= last.end => last.end = last.end.max(span.end),
            _ => all.push(span),
        }
    }
    all
}

/// The longest of some spans, of equal ones the first.
pub fn longest(spans: &[Span]) -> Option<Span> {
    spans.iter().copied().max_by_key(|span| (span.len(), std::cmp::Reverse(span.start)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn merged_spans_cover_the_same_and_do_not_touch(
            mut spans in prop::collection::vec((0u64..60, 1u64..9), 0..20),
        ) {
            spans.sort_unstable();
            let spans: Vec<Span> =
                spans.into_iter().map(|(start, n)| Span { start, end: start + n }).collect();
            let merged = merged(spans.iter().copied());
            prop_assert!(merged.windows(2).all(|pair| pair[0].end < pair[1].start));
            for at in 0..70 {
                let covers = |spans: &[Span]| spans.iter().any(|s| s.start <= at && at < s.end);
                prop_assert_eq!(covers(&spans), covers(&merged));
            }
        }
    }

    #[test]
    fn the_first_of_the_longest_is_taken() {
        let spans = [(0, 3), (5, 9), (12, 16)].map(|(start, end)| Span { start, end });
        assert_eq!(longest(&spans), Some(spans[1]));
        assert_eq!(longest(&[]), None);
    }
}
