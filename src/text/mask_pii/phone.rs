//! Telephone numbers: international ones, and those of chosen regions as written within them.
//!
//! A number is found by its digits: calling code, length and first digit have to fit a numbering
//! plan. Letters for digits, extensions and short numbers (emergency, services) are not found.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::{Mask, after, before, digit, stands_alone};
use crate::error::{Error, Result};

/// A number that the North American plan sets aside for fiction.
const TOKEN: &str = "+1 202 555 0100";

/// Numbering plans by region.
const PLANS: &str = include_str!("numbering_plans.tsv");

/// The longest number of E.164 with the prefix `00`; what is longer is none.
const LONGEST: usize = 17;

/// How numbers of a region are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Calling code of E.164.
    code: &'static str,
    /// Prefix of calls within the region, or "".
    trunk: &'static str,
    /// Whether numbers are written without it too.
    optional: bool,
    /// Lengths of numbers without both, as bits.
    lengths: u32,
    /// First digits of such numbers, as bits.
    leads: u32,
}

static BY_REGION: LazyLock<HashMap<&'static str, Plan>> = LazyLock::new(|| plans().collect());

/// The plans of regions with one calling code.
static BY_CODE: LazyLock<HashMap<&'static str, Vec<Plan>>> = LazyLock::new(|| {
    let mut by_code: HashMap<_, Vec<Plan>> = HashMap::new();
    for (_, plan) in plans() {
        by_code.entry(plan.code).or_default().push(plan);
    }
    by_code
});

/// The plan of a region by its ISO 3166-1 code, such as `de`; errors for an unknown one.
pub fn plan(region: &str) -> Result<Plan> {
    BY_REGION.get(region.to_ascii_lowercase().as_str()).copied().ok_or_else(|| {
        Error::usage(format!(
            "no numbering plan of a region `{region}`; expected an ISO 3166-1 code such as `de`"
        ))
    })
}

fn plans() -> impl Iterator<Item = (&'static str, Plan)> {
    PLANS.lines().filter(|row| !row.starts_with('#')).filter_map(|row| {
        let mut columns = row.split('\t');
        let (region, code, trunk) = (columns.next()?, columns.next()?, columns.next()?);
        let (lengths, leads) = (bits(columns.next()?), bits(columns.next()?));
        let optional = trunk.ends_with('?');
        let trunk = trunk.trim_matches(['-', '?']);
        Some((region, Plan { code, trunk, optional, lengths, leads }))
    })
}

/// The bits of a list such as `7,9-11`.
fn bits(list: &str) -> u32 {
    let numbers = list.split(',').flat_map(|part| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        first.parse().unwrap_or(1)..=last.parse::<u32>().unwrap_or(0)
    });
    numbers.fold(0, |bits, number| bits | 1 << number)
}

/// All telephone numbers of a text.
pub fn find(text: &str, regions: &[Plan]) -> Vec<Mask> {
    let mut masks = Vec::new();
    let mut from = 0;
    while let Some(skip) = text[from..].find(|c| c == '(' || is_plus(c) || digit(c).is_some()) {
        let start = from + skip;
        let run = Run::read(text, start);
        let found = run
            .international(text)
            .or_else(|| regions.iter().find_map(|plan| run.national(text, plan)));
        match found {
            Some(end) => {
                // A parenthesis that closes behind the number is none of it.
                let found = &text[start..end];
                let open = found.starts_with('(')
                    && found.matches('(').count() > found.matches(')').count();
                masks.push((start + usize::from(open)..end, TOKEN));
                from = end;
            }
            // The rest of the first group cannot begin a number.
            None => from = run.first_end,
        }
    }
    masks
}

/// Digits with what separates them.
struct Run {
    start: usize,
    /// Whether a plus stands in front.
    plus: bool,
    digits: [u8; LONGEST + 1],
    /// Where each digit ends in the text.
    ends: [usize; LONGEST + 1],
    /// Whether something else than a digit follows it.
    breaks: [bool; LONGEST + 1],
    /// Whether it stands alone in parentheses, as the `0` of `+49 (0) 30`.
    enclosed: [bool; LONGEST + 1],
    /// How many digits there are; no more than one too many are read.
    count: usize,
    /// The end of the first character, plus or group of digits.
    first_end: usize,
}

impl Run {
    fn read(text: &str, start: usize) -> Self {
        let mut run = Run {
            start,
            plus: false,
            digits: [0; LONGEST + 1],
            ends: [0; LONGEST + 1],
            breaks: [false; LONGEST + 1],
            enclosed: [false; LONGEST + 1],
            count: 0,
            first_end: start,
        };
        let mut separators = 0;
        let (mut last, mut opened) = (' ', None);
        for (at, c) in text[start..].char_indices() {
            let end = start + at + c.len_utf8();
            if let Some(value) = digit(c) {
                if run.count > LONGEST {
                    break;
                }
                run.digits[run.count] = value;
                run.ends[run.count] = end;
                run.count += 1;
                separators = 0;
            } else {
                let sign = is_plus(c) && at == 0;
                if !sign && (!is_separator(c) || separators == 3) {
                    break;
                }
                run.plus |= sign;
                if run.count > 0 {
                    run.breaks[run.count - 1] = true;
                    let alone = opened == Some(run.count - 1);
                    run.enclosed[run.count - 1] |= c == ')' && alone && digit(last).is_some();
                }
                if c == '(' {
                    opened = Some(run.count);
                }
                separators += usize::from(!sign);
            }
            if at == 0 || digit(last).is_some() && digit(c).is_some() && run.first_end == start + at
            {
                run.first_end = end;
            }
            last = c;
        }
        if let Some(last) = run.count.checked_sub(1) {
            run.breaks[last] |= after(text, run.ends[last]).is_none_or(|c| digit(c).is_none());
        }
        run
    }

    /// The end of the international number that the run begins with.
    fn international(&self, text: &str) -> Option<usize> {
        // A `(` in front is no part of it.
        let opened = text[self.start..].starts_with('(');
        let before = before(text, self.start);
        if opened || before.is_some_and(is_plus) {
            return None;
        }
        // `00` needs a separator after the calling code: there are many long numbers with zeros.
        let skip = match self.plus {
            true => 0,
            false if self.digits.starts_with(&[0, 0]) && !self.breaks[0] => 2,
            false => return None,
        };
        let digits = self.digits[..self.count].get(skip..)?;
        let (code, plans) = (1..=3.min(digits.len())).find_map(|length| {
            let code: String = digits[..length].iter().map(|d| char::from(b'0' + d)).collect();
            Some((length, BY_CODE.get(code.as_str())?))
        })?;
        if !self.plus && !self.breaks[skip + code - 1] {
            return None;
        }
        let trunk = self.enclosed[skip + code] && digits.get(code) == Some(&0);
        let from = skip + code + usize::from(trunk);
        // The longest that fits: what follows may be another number.
        (from..self.count).rev().find_map(|last| {
            let fits = plans.iter().any(|plan| plan.fits(&self.digits[from..=last]));
            (fits && self.ends_at(text, last)).then_some(self.ends[last])
        })
    }

    /// The end of the run if it is a number as written within a region: with its trunk prefix, if
    /// there is one, and in groups, as plain digits may be anything.
    fn national(&self, text: &str, plan: &Plan) -> Option<usize> {
        const NOT_BEFORE: &str = "+-./\\#_=@$€£¥%&,:";
        let before = before(text, self.start);
        let last = self.count.checked_sub(1)?;
        let grouped = self.breaks[..last].contains(&true);
        if self.plus || !grouped || before.is_some_and(|c| NOT_BEFORE.contains(c)) {
            return None;
        }
        let digits = &self.digits[..self.count];
        let trunk = plan.trunk.len();
        let mut pairs = digits.iter().zip(plan.trunk.bytes());
        let has_trunk = digits.len() > trunk && pairs.all(|(d, t)| *d == t - b'0');
        let number = match has_trunk {
            // `0 30` is no way to write one.
            true if plan.trunk == "0" && self.breaks[0] => return None,
            true => &digits[trunk..],
            false if plan.optional => digits,
            false => return None,
        };
        let fits = plan.fits(number) && !self.is_date() && self.ends_at(text, last);
        fits.then_some(self.ends[last])
    }

    /// Whether the run begins as a date does, or is one with a short year.
    fn is_date(&self) -> bool {
        let mut groups = [0; 4];
        let mut group = 0;
        for broken in &self.breaks[..self.count] {
            groups[group] += 1;
            group = (group + usize::from(*broken)).min(3);
        }
        let year_first = matches!(groups, [4, 1..=2, 1..=2, _]) && self.digits[0] != 0;
        year_first || matches!(groups, [1..=2, 1..=2, 4, _] | [1..=2, 1..=2, 2, 0])
    }

    /// Whether a number may end with a digit of the run.
    fn ends_at(&self, text: &str, last: usize) -> bool {
        self.breaks[last] && stands_alone(text, self.start, self.ends[last])
    }
}

impl Plan {
    /// Whether a number without prefixes is one of the plan.
    fn fits(&self, number: &[u8]) -> bool {
        let has = |bits: u32, bit: usize| bits.checked_shr(bit as u32).unwrap_or(0) & 1 == 1;
        has(self.lengths, number.len()) && has(self.leads, usize::from(number[0]))
    }
}

fn is_plus(c: char) -> bool {
    matches!(c, '+' | '＋')
}

/// What stands between the groups of a number.
fn is_separator(c: char) -> bool {
    matches!(
        c,
        ' ' | '\u{a0}' | '\u{202f}' | '\u{3000}' | '-' | '\u{2010}'
            ..='\u{2013}' | '－' | 'ー' | '.' | '/' | '(' | ')' | '（' | '）'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(text: &str, regions: &[&str]) -> String {
        let regions: Vec<Plan> = regions.iter().map(|region| plan(region).unwrap()).collect();
        super::super::masked(text, &find(text, &regions)).replace(TOKEN, "PHONE")
    }

    #[test]
    fn international_numbers_are_found_in_any_script() {
        for number in [
            "+49 30 1234567",
            "+49 (0)30/123 45 67",
            "+49 (0) 171 - 1234567",
            "0049 30 1234567",
            "+33.1.23.45.67.89",
            "+1 (202) 555-0123",
            "+12025550123",
            "+44 20 7946 0958",
            "+７ ４９５ １２３-４５-６７",
            "+91-98765 43210",
            "+٩٦٦ ٥٠ ١٢٣ ٤٥٦٧",
            "+९१ ९८७६५ ४३२१०",
            "+81 3-1234-5678",
            "+86 139 1234 5678",
        ] {
            assert_eq!(masked(&format!("電話{number}。"), &[]), "電話PHONE。", "{number}");
            assert_eq!(masked(&format!("({number})"), &[]), "(PHONE)", "{number}");
        }
        assert_eq!(masked("+49 30 1234567, +33 1 23 45 67 89", &[]), "PHONE, PHONE");
    }

    #[test]
    fn national_numbers_need_their_region() {
        for (region, number) in [
            ("de", "030 1234567"),
            ("de", "(0171) 123 45 67"),
            ("de", "0171/1234567"),
            ("fr", "01 23 45 67 89"),
            ("fr", "06.12.34.56.78"),
            ("gb", "020 7946 0958"),
            ("us", "(202) 555-0123"),
            ("us", "1-202-555-0123"),
            ("us", "202.555.0123"),
            ("ru", "8 (495) 123-45-67"),
            ("jp", "03-1234-5678"),
            ("be", "0450 00 12 34"),
            ("br", "(11) 96123-4567"),
            ("cn", "131 2345 6789"),
            ("es", "612 34 56 78"),
            ("it", "06 1234 5678"),
            ("in", "098765 43210"),
            ("th", "๐๘๑ ๒๓๔ ๕๖๗๘"),
        ] {
            assert_eq!(masked(&format!("№ {number}; да"), &[region]), "№ PHONE; да", "{number}");
            assert_eq!(masked(&format!("({number})"), &[region]), "(PHONE)", "{number}");
            assert_eq!(masked(number, &[]), number);
        }
    }

    #[test]
    fn other_numbers_stay() {
        for text in [
            "01.02.2024 1/12/24 2024-01-02 08/16/2000 03:14",
            "30 0 0 49 30 1234567 +49 30 1234567,50",
            "1 234 567,89 € 3.14159 10:30",
            "4111 1111 1111 1111 and 00441234567890",
            "+1 +12 a+49301234567 +49301234567x +999 123 4567",
            "1+49 30 1234567",
            "0 30 1234567 $030 1234567",
            "٠١٢٣",
        ] {
            assert_eq!(masked(text, &["de", "us"]), text);
        }
    }

    #[test]
    fn every_row_is_a_plan() {
        let rows = PLANS.lines().filter(|row| !row.starts_with('#')).count();
        assert_eq!(plans().count(), rows);
        assert!(
            plans().all(|(_, plan)| plan.lengths > 1 && plan.leads > 0 && !plan.code.is_empty())
        );
        assert_eq!(plan("FR").unwrap().lengths, 1 << 9);
        assert!(plan("xx").is_err());
    }
}
