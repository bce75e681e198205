//! Stretches of a text that are repeated in a row, as OpusFilter's `RepetitionFilter` finds them.
//!
//! Its regular expression with a back-reference, `(\S.{2,100}?)(?: *\1){2,}`, as an algorithm:
//! the first place where a stretch of 3 to 101 characters is followed by itself twice or more, of
//! several such stretches the shortest. Spaces may stand between; a line feed ends a stretch.

use super::coded::{Codes, Kind};

/// Characters of the shortest stretch.
const MIN_CHARS: usize = 3;
/// Characters of the longest stretch: one more than OpusFilter's documentation says.
const MAX_CHARS: usize = 101;
/// Repetitions that count.
const LEAST: usize = 2;

/// Hashes of three characters, ten bits.
const HASHES: usize = 1 << 10;
/// The numbers of the characters that are told apart.
const SPACE: u16 = ' ' as u16;
const LINE_FEED: u16 = '\n' as u16;

/// How often the first repeated stretch of a text is repeated, given as numbers of `codes`, fewer
/// than 65,535 of them; 0 when none is repeated twice.
///
/// ```
/// use hexapla::pair::quality::{coded::Codes, repetition::repetitions};
/// let of = |text: &str| {
///     let mut codes = Codes::new([text, ""], [[None; 3]; 2]);
///     repetitions(&codes.of(text), &codes)
/// };
/// assert_eq!(of("ха-ха-ха-ха"), 3 - 1);
/// assert_eq!(of("哈哈哈 哈哈哈"), 0);
/// ```
pub fn repetitions(text: &[u16], codes: &Codes) -> usize {
    let Some(places) = places(text) else { return 0 };
    let mut line_end = 0;
    for (start, first) in places[1..].iter().enumerate() {
        if usize::from(first.n) <= LEAST || codes.kind(text[start]).is(Kind::SPACE) {
            continue;
        }
        if line_end <= start {
            let rest = text[start..].iter();
            let line = rest.clone().position(|c| *c == LINE_FEED);
            line_end = start + line.unwrap_or(rest.len());
        }
        let mut again = usize::from(first.next);
        // The stretch ends where its repetition begins, or at a space before it.
        while again > 0 && again - 1 <= line_end {
            let place = again - 1;
            let before = text[start..place].iter().rev();
            let spaces = before.take_while(|c| **c == SPACE).count();
            let shortest = MIN_CHARS.max(place - start - spaces);
            if shortest > MAX_CHARS {
                break;
            }
            for len in shortest..=MAX_CHARS.min(place - start) {
                // Most stretches that begin alike do not end alike, or something else than a
                // third one follows.
                let end = place + len;
                if text.get(end - 1) != Some(&text[start + len - 1])
                    || text.get(end + spaces_at(text, end)) != Some(&text[start])
                {
                    continue;
                }
                let n = count(text, &text[start..start + len], place);
                if n >= LEAST {
                    return n;
                }
            }
            again = usize::from(places[again].next);
        }
    }
    0
}

/// How often a stretch stands in a row from a place on, with spaces before each.
fn count(text: &[u16], stretch: &[u16], mut place: usize) -> usize {
    let mut n = 0;
    while text[place..].starts_with(stretch) {
        n += 1;
        place += stretch.len();
        place += spaces_at(text, place);
    }
    n
}

/// How many spaces stand at a place.
fn spaces_at(text: &[u16], place: usize) -> usize {
    let rest = text.get(place..).unwrap_or_default();
    rest.iter().take_while(|c| **c == SPACE).count()
}

/// A place where a stretch may begin; the first of all is none, so that others begin at 1.
#[derive(Clone, Copy)]
struct Place {
    /// The next one where the same three characters stand, or others with the same hash; or 0.
    next: u16,
    /// How many such places there are from here on; as many as matter.
    n: u16,
}

/// A number below [`HASHES`] for the first three characters.
fn hash(three: &[u16]) -> usize {
    let [a, b, c] = [three[0], three[1], three[2]].map(u32::from);
    ((a ^ b << 8 ^ c << 16).wrapping_mul(0x9e37_79b1) >> 22) as usize
}

/// All places of a text; `None` when at none of them a stretch can be repeated often enough.
fn places(text: &[u16]) -> Option<Vec<Place>> {
    let nowhere = Place { next: 0, n: 0 };
    let mut places = vec![nowhere; text.len().saturating_sub(MIN_CHARS - 1) + 1];
    let mut last = [0; HASHES];
    let mut most = 0;
    // Without branches: which place has a next one is hard to foretell.
    for (place, three) in text.windows(MIN_CHARS).enumerate().rev() {
        let next = std::mem::replace(&mut last[hash(three)], place as u16 + 1);
        let n = (places[usize::from(next)].n + 1).min(LEAST as u16 + 1);
        places[place + 1] = Place { next, n };
        most = most.max(n);
    }
    (usize::from(most) > LEAST).then_some(places)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn coded(text: &str) -> (Vec<u16>, Codes) {
        let mut codes = Codes::new([text, ""], [[None; 3]; 2]);
        (codes.of(text), codes)
    }

    fn of(text: &str) -> usize {
        let (text, codes) = coded(text);
        repetitions(&text, &codes)
    }

    /// The regular expression, place by place and length by length.
    fn naive(text: &[u16], codes: &Codes) -> usize {
        for start in 0..text.len() {
            let line = text[start..].iter().take_while(|c| **c != LINE_FEED).count();
            for len in MIN_CHARS..=MAX_CHARS.min(line) {
                let place = start + len;
                let place = place + text[place..].iter().take_while(|c| **c == SPACE).count();
                let n = count(text, &text[start..start + len], place);
                if n >= LEAST && !codes.kind(text[start]).is(Kind::SPACE) {
                    return n;
                }
            }
        }
        0
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn the_algorithm_is_the_regular_expression(text in "[ab 語\n]{0,40}") {
            let (text, codes) = coded(&text);
            prop_assert_eq!(repetitions(&text, &codes), naive(&text, &codes));
        }
    }

    #[test]
    fn every_period_up_to_101_is_found() {
        for period in 1..=110 {
            let chars = ('\u{4e00}'..).take(period);
            let repeated = |n| of(&chars.clone().cycle().take(n * period).collect::<String>());
            let found = match period {
                // The shortest stretch has three characters or four.
                1 => [0, 0, 3],
                2 => [0, 0, 5],
                3..=101 => [0, 2, 11],
                _ => [0, 0, 0],
            };
            assert_eq!([repeated(2), repeated(3), repeated(12)], found, "{period}");
        }
    }

    #[test]
    fn spaces_may_stand_between_and_lines_end_a_stretch() {
        assert_eq!(of("да нет  да нетда нет"), 2);
        assert_eq!(of("a  a  a  "), 2);
        assert_eq!(of("a\u{a0}\u{a0}b a\u{a0}\u{a0}b a\u{a0}\u{a0}b"), 2);
        assert_eq!(of("abc\nabc\nabc\n"), 0);
        assert_eq!(of("abcabc\nabc"), 0);
        assert_eq!(of(&format!("abc{0}abc{0}abc", " ".repeat(500))), 2);
        assert_eq!(of(""), 0);
        assert_eq!(of(".........."), 2);
    }
}
