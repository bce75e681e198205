//! Stretches of a text that are repeated in a row, as OpusFilter's `RepetitionFilter` finds them.
//!
//! Its regular expression with a back-reference, `(\S.{2,100}?)(?: *\1){2,}`, as an algorithm:
//! the first place where a stretch of 3 to 101 characters is followed by itself twice or more, of
//! several such stretches the shortest. Spaces may stand between; a line feed ends a stretch.

/// Characters of the shortest stretch.
const MIN_CHARS: usize = 3;
/// Characters of the longest stretch: one more than OpusFilter's documentation says.
const MAX_CHARS: usize = 101;
/// Repetitions that count.
const LEAST: usize = 2;

/// Hashes of three characters, ten bits.
const HASHES: usize = 1 << 10;
/// No further place.
const NONE: u32 = u32::MAX;

/// How often the first repeated stretch of a text is repeated; 0 when none is repeated twice.
///
/// ```
/// use hexapla::pair::quality::repetition::repetitions;
/// let of = |text: &str| repetitions(&text.chars().collect::<Vec<_>>());
/// assert_eq!(of("ха-ха-ха-ха"), 3 - 1);
/// assert_eq!(of("哈哈哈 哈哈哈"), 0);
/// ```
pub fn repetitions(text: &[char]) -> usize {
    let next = next_places(text);
    let mut line_end = 0;
    for (start, first) in next.iter().enumerate() {
        if line_end <= start && *first != NONE {
            let rest = text[start..].iter();
            line_end = start + rest.clone().position(|c| *c == '\n').unwrap_or(rest.len());
        }
        let mut again = *first;
        // The stretch ends where its repetition begins, or at a space before it.
        while again != NONE && again as usize <= line_end {
            let place = again as usize;
            let spaces = text[start..place].iter().rev().take_while(|c| **c == ' ').count();
            let shortest = MIN_CHARS.max(place - start - spaces);
            if shortest > MAX_CHARS {
                break;
            }
            for len in shortest..=MAX_CHARS.min(place - start) {
                // Most stretches that begin alike do not end alike, or leave no room for two more.
                if place + LEAST * len > text.len()
                    || text[place + len - 1] != text[start + len - 1]
                {
                    continue;
                }
                let n = count(text, &text[start..start + len], place);
                if n >= LEAST {
                    return n;
                }
            }
            again = next[place];
        }
    }
    0
}

/// How often a stretch stands in a row from a place on, with spaces before each.
fn count(text: &[char], stretch: &[char], mut place: usize) -> usize {
    let mut n = 0;
    while text[place..].starts_with(stretch) {
        n += 1;
        place += stretch.len();
        place += text[place..].iter().take_while(|c| **c == ' ').count();
    }
    n
}

/// A number below [`HASHES`] for the first three characters.
fn hash(three: &[char]) -> usize {
    let [a, b, c] = [three[0], three[1], three[2]].map(u32::from);
    ((a ^ b << 8 ^ c << 16).wrapping_mul(0x9e37_79b1) >> 22) as usize
}

/// For each place, the next one where the same three characters stand, or others with the same
/// hash; only places where a stretch can begin.
fn next_places(text: &[char]) -> Vec<u32> {
    let mut next = vec![NONE; text.len().saturating_sub(MIN_CHARS - 1)];
    let mut last = [NONE; HASHES];
    for (place, three) in text.windows(MIN_CHARS).enumerate().rev() {
        if three[0].is_whitespace() {
            continue;
        }
        next[place] = std::mem::replace(&mut last[hash(three)], place as u32);
    }
    next
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(text: &str) -> usize {
        repetitions(&text.chars().collect::<Vec<_>>())
    }

    /// The regular expression, place by place and length by length.
    fn naive(text: &[char]) -> usize {
        for start in 0..text.len() {
            let line = text[start..].iter().take_while(|c| **c != '\n').count();
            for len in MIN_CHARS..=MAX_CHARS.min(line) {
                let place = start + len;
                let place = place + text[place..].iter().take_while(|c| **c == ' ').count();
                let n = count(text, &text[start..start + len], place);
                if n >= LEAST && !text[start].is_whitespace() {
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
            let text: Vec<char> = text.chars().collect();
            prop_assert_eq!(repetitions(&text), naive(&text));
        }
    }

    #[test]
    fn every_period_up_to_101_is_found() {
        for period in 1..=110 {
            let chars = ('\u{4e00}'..).take(period);
            let of = |n| repetitions(&chars.clone().cycle().take(n * period).collect::<Vec<_>>());
            let found = match period {
                // The shortest stretch has three characters or four.
                1 => [0, 0, 3],
                2 => [0, 0, 5],
                3..=101 => [0, 2, 11],
                _ => [0, 0, 0],
            };
            assert_eq!([of(2), of(3), of(12)], found, "{period}");
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
