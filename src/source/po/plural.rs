//! `Plural-Forms`: which form of a message a number takes.
//!
//! The expression is C's, over `n`, as the gettext manual §11.2.6 defines it. Only asked for the
//! form of 1: all other forms are plural to English.

/// What a catalogue's header says about its plural forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plural {
    /// How many forms a message has.
    pub forms: u64,
    /// The form that 1 takes.
    pub one: u64,
}

impl Plural {
    /// Reads the value of the header; `None` when it is no such value.
    ///
    /// ```
    /// use hexapla::source::po::plural::Plural;
    /// let arabic = "nplurals=6; plural=n==0 ? 0 : n==1 ? 1 : n==2 ? 2 : n%100>=3 \
    ///     && n%100<=10 ? 3 : n%100>=11 && n%100<=99 ? 4 : 5;";
    /// assert_eq!(Plural::parse(arabic), Some(Plural { forms: 6, one: 1 }));
    /// assert_eq!(Plural::parse("nplurals=1; plural=0;"), Some(Plural { forms: 1, one: 0 }));
    /// assert_eq!(Plural::parse("nplurals=INTEGER"), None);
    /// ```
    pub fn parse(value: &str) -> Option<Self> {
        let of = |name: &str| {
            let rest = value.split(';').find_map(|part| part.trim().strip_prefix(name))?;
            rest.trim_start().strip_prefix('=')
        };
        let forms = of("nplurals")?.trim().parse().ok()?;
        let mut parser = Parser { rest: of("plural")?.trim(), n: 1, depth: 0 };
        let one = parser.ternary()?;
        parser.rest.trim().is_empty().then_some(Self { forms, one })
    }
}

impl Default for Plural {
    /// English: two forms, the first for 1.
    fn default() -> Self {
        Self { forms: 2, one: 0 }
    }
}

struct Parser<'a> {
    rest: &'a str,
    n: u64,
    depth: u32,
}

/// Binary operators from the weakest to the strongest; longer ones of a level come first.
const LEVELS: &[&[&str]] =
    &[&["||"], &["&&"], &["==", "!="], &["<=", ">=", "<", ">"], &["+", "-"], &["*", "/", "%"]];

impl Parser<'_> {
    fn accept(&mut self, token: &str) -> bool {
        self.rest = self.rest.trim_start();
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn ternary(&mut self) -> Option<u64> {
        // A header is foreign text: it must not reach the end of the stack.
        self.depth += 1;
        if self.depth > 200 {
            return None;
        }
        let condition = self.binary(0)?;
        let value = if self.accept("?") {
            let yes = self.ternary()?;
            if !self.accept(":") {
                return None;
            }
            let no = self.ternary()?;
            if condition != 0 { yes } else { no }
        } else {
            condition
        };
        self.depth -= 1;
        Some(value)
    }

    fn binary(&mut self, level: usize) -> Option<u64> {
        let Some(operators) = LEVELS.get(level) else { return self.unary() };
        let mut left = self.binary(level + 1)?;
        while let Some(operator) = operators.iter().copied().find(|o| self.accept(o)) {
            let right = self.binary(level + 1)?;
            left = match operator {
                "||" => u64::from(left != 0 || right != 0),
                "&&" => u64::from(left != 0 && right != 0),
                "==" => u64::from(left == right),
                "!=" => u64::from(left != right),
                "<=" => u64::from(left <= right),
                ">=" => u64::from(left >= right),
                "<" => u64::from(left < right),
                ">" => u64::from(left > right),
                "+" => left.wrapping_add(right),
                "-" => left.wrapping_sub(right),
                "*" => left.wrapping_mul(right),
                "/" => left.checked_div(right)?,
                _ => left.checked_rem(right)?,
            };
        }
        Some(left)
    }

    fn unary(&mut self) -> Option<u64> {
        if self.accept("!") {
            self.depth += 1;
            return if self.depth > 200 { None } else { Some(u64::from(self.unary()? == 0)) };
        }
        if self.accept("(") {
            let value = self.ternary()?;
            return self.accept(")").then_some(value);
        }
        if self.accept("n") {
            return Some(self.n);
        }
        self.rest = self.rest.trim_start();
        let end = self.rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.rest.len());
        let (digits, rest) = self.rest.split_at(end);
        self.rest = rest;
        digits.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_of_one_in_many_languages() {
        let one = |value: &str| Plural::parse(value).map(|p| (p.forms, p.one));
        assert_eq!(one("nplurals=2; plural=(n != 1);"), Some((2, 0)));
        assert_eq!(one("nplurals=2; plural=n>1;"), Some((2, 0)));
        let russian = "nplurals=3; plural=(n%10==1 && n%100!=11 ? 0 : n%10>=2 && n%10<=4 && \
                       (n%100<12 || n%100>14) ? 1 : 2);";
        assert_eq!(one(russian), Some((3, 0)));
        let welsh = "nplurals=4; plural=(n==1) ? 0 : (n==2) ? 1 : (n != 8 && n != 11) ? 2 : 3;";
        assert_eq!(one(welsh), Some((4, 0)));
        let slovenian = "nplurals=4; plural=(n%100==1 ? 0 : n%100==2 ? 1 : 3)";
        assert_eq!(one(slovenian), Some((4, 0)));
        assert_eq!(one("nplurals=2; plural=n%0"), None);
        assert_eq!(one("nplurals=2; plural=n n"), None);
        assert_eq!(one(&format!("nplurals=2; plural={}n", "(".repeat(10_000))), None);
        assert_eq!(one(&format!("nplurals=2; plural={}n", "!".repeat(10_000))), None);
    }
}
