//! Writing SVG: shapes with a class each, so that the page's style sheet decides the colours.
//!
//! No layout and no scale of data; those are the charts'.

use std::fmt::Write;

use super::html::escape;

/// A drawing under construction, in units of CSS pixels.
pub(super) struct Svg {
    width: f64,
    height: f64,
    body: String,
}

/// Where a text's position lies within it.
#[derive(Clone, Copy)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

impl Svg {
    /// An empty drawing.
    pub fn new(width: f64, height: f64) -> Self {
        Self { width, height, body: String::new() }
    }

    /// A rectangle; the title is shown on hover and read aloud, `""` for none.
    pub fn rect(&mut self, class: &str, [x, y, w, h]: [f64; 4], title: &str) {
        let w = w.max(0.0);
        let r = (h / 2.0).min(w / 2.0).min(2.0);
        let _ = write!(
            self.body,
            "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{w:.1}\" height=\"{h:.1}\" \
             rx=\"{r:.1}\">{}</rect>",
            titled(title)
        );
    }

    /// A line.
    pub fn line(&mut self, class: &str, [x1, y1, x2, y2]: [f64; 4]) {
        let _ = write!(
            self.body,
            "<line class=\"{class}\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>"
        );
    }

    /// A circle.
    pub fn circle(&mut self, class: &str, [x, y, r]: [f64; 3], title: &str) {
        let _ = write!(
            self.body,
            "<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{r:.1}\">{}</circle>",
            titled(title)
        );
    }

    /// A line through points.
    pub fn path(&mut self, class: &str, points: &[(f64, f64)], title: &str) {
        if points.is_empty() {
            return;
        }
        let mut d = String::new();
        for (i, (x, y)) in points.iter().enumerate() {
            let _ = write!(d, "{}{x:.1} {y:.1}", if i == 0 { "M" } else { "L" });
        }
        let _ = write!(self.body, "<path class=\"{class}\" d=\"{d}\">{}</path>", titled(title));
    }

    /// A line of text; `words` is plain text.
    pub fn text(&mut self, class: &str, x: f64, y: f64, anchor: Anchor, words: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let _ = write!(
            self.body,
            "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{}</text>",
            escape(words)
        );
    }

    /// The element; the title names the drawing for those who do not see it.
    pub fn finish(self, title: &str) -> String {
        let (w, h) = (self.width, self.height);
        let title = escape(title);
        format!(
            "<svg viewBox=\"0 0 {w:.0} {h:.0}\" style=\"max-width:{w:.0}px\" role=\"img\" \
             aria-label=\"{title}\"><title>{title}</title>{}</svg>",
            self.body
        )
    }
}

fn titled(title: &str) -> String {
    if title.is_empty() { String::new() } else { format!("<title>{}</title>", escape(title)) }
}

/// A linear map from data to pixels.
#[derive(Clone, Copy)]
pub(super) struct Scale {
    from: (f64, f64),
    to: (f64, f64),
}

impl Scale {
    /// Maps `from` onto `to`; an empty range of data is widened.
    pub fn new(from: (f64, f64), to: (f64, f64)) -> Self {
        let from = if from.1 > from.0 { from } else { (from.0, from.0 + 1.0) };
        Self { from, to }
    }

    /// The pixel of a value.
    pub fn at(&self, value: f64) -> f64 {
        let share = (value - self.from.0) / (self.from.1 - self.from.0);
        self.to.0 + share * (self.to.1 - self.to.0)
    }

    /// About `n` round values within the range.
    pub fn ticks(&self, n: usize) -> Vec<f64> {
        let span = self.from.1 - self.from.0;
        let raw = span / n.max(1) as f64;
        let power = 10f64.powf(raw.log10().floor());
        let step = [10.0, 5.0, 2.0, 1.0]
            .into_iter()
            .map(|m| m * power)
            .find(|step| *step <= raw * 1.34)
            .unwrap_or(raw);
        let first = (self.from.0 / step).ceil() as i64;
        let last = (self.from.1 / step * (1.0 + 1e-12)).floor() as i64;
        (first..=last).map(|i| i as f64 * step).collect()
    }
}

/// A tick's value in the fewest digits.
pub(super) fn tick(value: f64) -> String {
    let text = format!("{value:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        let ticks = |from, n| {
            let scale = Scale::new(from, (100.0, 0.0));
            scale.ticks(n).iter().map(|t| tick(*t)).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(ticks((0.0, 1.0), 6), "0 0.2 0.4 0.6 0.8 1");
        assert_eq!(ticks((2.3, 9.1), 3), "4 6 8");
        assert_eq!(ticks((-0.45, 0.0), 3), "-0.4 -0.2 0");
        assert_eq!(Scale::new((3.0, 3.0), (0.0, 1.0)).at(3.0), 0.0);
    }
}
