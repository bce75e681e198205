//! The chart forms of the page; each takes plain numbers and gives an SVG element.
//!
//! Colours are classes `c0`, `c1`, … of the style sheet; nothing here knows what is drawn.

use super::html::{count, short};
use super::svg::{Anchor, Scale, Svg, tick};

/// The width of a chart that takes the whole column.
const WIDTH: f64 = 940.0;
/// Curves are thinned to this many points.
const POINTS: usize = 160;

/// A row of a bar chart: its label, then per series the class, value, words at the bar.
pub(super) struct Bars {
    /// The label.
    pub label: String,
    /// Class, value, and what is read aloud.
    pub bars: Vec<(&'static str, f64, String)>,
    /// Words to the right.
    pub note: String,
}

/// Horizontal bars from zero, several a row.
pub(super) fn bars(title: &str, rows: &[Bars]) -> String {
    let (left, right) = (170.0, 190.0);
    let top = 6.0;
    let each = |row: &Bars| row.bars.len() as f64 * 7.0 + 9.0;
    let height = top * 2.0 + rows.iter().map(each).sum::<f64>();
    let max = rows.iter().flat_map(|r| &r.bars).map(|b| b.1).fold(0.0, f64::max);
    let scale = Scale::new((0.0, max), (left, WIDTH - right));
    let mut svg = Svg::new(WIDTH, height);
    let mut y = top;
    for row in rows {
        let middle = y + row.bars.len() as f64 * 3.5 + 4.0;
        svg.text("label", left - 10.0, middle, Anchor::End, &row.label);
        let mut end = left;
        for (i, (class, value, words)) in row.bars.iter().enumerate() {
            let x = scale.at(*value);
            let place = [left, y + i as f64 * 7.0, (x - left).max(1.0), 6.0];
            svg.rect(class, place, &format!("{}: {words}", row.label));
            end = f64::max(end, x);
        }
        svg.text("soft", end + 8.0, middle, Anchor::Start, &row.note);
        y += each(row);
    }
    svg.line("axis", [left, 0.0, left, height]);
    svg.finish(title)
}

/// A step of a waterfall.
pub(super) struct Fall {
    /// The label.
    pub label: String,
    /// Rows before and after; of a total both are the rows.
    pub from: u64,
    /// See `from`.
    pub to: u64,
    /// Words at the bar.
    pub note: String,
}

/// What is left after each loss, from top to bottom.
pub(super) fn waterfall(title: &str, falls: &[Fall]) -> String {
    let (left, right, line) = (230.0, 150.0, 25.0);
    let height = falls.len() as f64 * line + 8.0;
    let max = falls.iter().map(|f| f.from).max().unwrap_or(0) as f64;
    let scale = Scale::new((0.0, max), (left, WIDTH - right));
    let mut svg = Svg::new(WIDTH, height);
    for (i, fall) in falls.iter().enumerate() {
        let y = i as f64 * line + 4.0;
        let (low, high) = (scale.at(fall.to as f64), scale.at(fall.from as f64));
        let total = fall.from == fall.to;
        let words = format!("{}: {}", fall.label, fall.note);
        if total {
            svg.text("label strong", left - 10.0, y + 13.0, Anchor::End, &fall.label);
            svg.rect("s2", [left, y, high - left, 17.0], &words);
            svg.text("strong", high + 8.0, y + 13.0, Anchor::Start, &fall.note);
        } else {
            svg.text("label", left - 10.0, y + 13.0, Anchor::End, &fall.label);
            svg.rect("lost", [low, y + 2.0, (high - low).max(1.5), 13.0], &words);
            svg.text("soft", high + 8.0, y + 13.0, Anchor::Start, &fall.note);
        }
        if i + 1 < falls.len() {
            svg.line("guide", [low, y + 17.0, low, y + line]);
        }
    }
    svg.line("axis", [left, 0.0, left, height]);
    svg.finish(title)
}

/// Vertical bars: label, count.
pub(super) fn histogram(title: &str, unit: &str, bins: &[(String, u64)]) -> String {
    let (width, height, base) = (460.0, 210.0, 170.0);
    let max = bins.iter().map(|b| b.1).max().unwrap_or(0) as f64;
    let scale = Scale::new((0.0, max), (base, 22.0));
    let mut svg = Svg::new(width, height);
    let step = (width / bins.len().max(1) as f64).min(90.0);
    for (i, (label, n)) in bins.iter().enumerate() {
        let x = i as f64 * step;
        let y = scale.at(*n as f64).min(base - 1.5);
        let words = format!("{label}: {} {unit}", count(*n));
        svg.rect("s2", [x + step * 0.14, y, step * 0.72, base - y], &words);
        svg.text("soft", x + step / 2.0, y - 6.0, Anchor::Middle, &short(*n as f64));
        svg.text("label", x + step / 2.0, base + 17.0, Anchor::Middle, label);
    }
    svg.line("axis", [0.0, base, step * bins.len() as f64, base]);
    svg.text("soft", 0.0, base + 36.0, Anchor::Start, "rows in the cluster");
    svg.finish(title)
}

/// A line of a panel: class, name, points by ascending x.
pub(super) struct Line<'a> {
    /// The class that colours it.
    pub class: &'a str,
    /// Its name on hover.
    pub name: &'a str,
    /// The points.
    pub points: &'a [(f64, f64)],
}

/// A small chart of curves over optimizer steps, each with a smoothed line over its own points.
/// Panels that are compared share `x` and `y`.
pub(super) fn panel(title: &str, lines: &[Line<'_>], x: (f64, f64), y: (f64, f64)) -> String {
    let (width, height) = (220.0, 118.0);
    let (left, right, top, bottom) = (30.0, 6.0, 8.0, 18.0);
    let across = Scale::new(x, (left, width - right));
    let up = Scale::new(y, (height - bottom, top));
    let mut svg = Svg::new(width, height);
    for value in up.ticks(3) {
        svg.line("grid", [left, up.at(value), width - right, up.at(value)]);
        svg.text("tick", left - 5.0, up.at(value) + 3.5, Anchor::End, &tick(value));
    }
    let ends = [(x.0, Anchor::Start), (x.1, Anchor::End)];
    for (value, anchor) in ends {
        svg.text("tick", across.at(value), height - 4.0, anchor, &short(value));
    }
    let place = |(px, py): &(f64, f64)| (across.at(*px), up.at(py.clamp(y.0, y.1)));
    for line in lines {
        let thin = thin(line.points);
        let raw: Vec<_> = thin.iter().map(place).collect();
        let smooth: Vec<_> = smooth(&thin).iter().map(place).collect();
        svg.path(&format!("raw {}", line.class), &raw, "");
        let words = match (line.points.first(), line.points.last()) {
            (Some(first), Some(last)) => {
                format!("{}: from {:.3} to {:.3}", line.name, first.1, last.1)
            }
            _ => String::new(),
        };
        svg.path(&format!("curve {}", line.class), &smooth, &words);
        // A few measurements are shown as what they are.
        if raw.len() <= 12 {
            raw.iter().for_each(|(x, y)| svg.circle(line.class, [*x, *y, 2.6], ""));
        }
    }
    svg.finish(title)
}

/// At most [`POINTS`] points, each the mean of its neighbourhood.
fn thin(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let size = points.len().div_ceil(POINTS).max(1);
    let mean = |chunk: &[(f64, f64)]| {
        let n = chunk.len() as f64;
        let (x, y) = chunk.iter().fold((0.0, 0.0), |(x, y), p| (x + p.0, y + p.1));
        (x / n, y / n)
    };
    points.chunks(size).map(mean).collect()
}

/// A centred moving mean over a twelfth of the points.
fn smooth(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let reach = points.len() / 24;
    (0..points.len())
        .map(|i| {
            // The window shrinks towards both ends, so that these stay where they are.
            let reach = reach.min(i).min(points.len() - 1 - i);
            let window = &points[i - reach..=i + reach];
            let mean = window.iter().map(|p| p.1).sum::<f64>() / window.len() as f64;
            (points[i].0, mean)
        })
        .collect()
}

/// The range of all curves, less the highest hundredth so that a first step does not flatten all.
pub(super) fn range<'a>(curves: impl Iterator<Item = &'a [(f64, f64)]>) -> (f64, f64) {
    let mut values: Vec<f64> = curves.flatten().map(|p| p.1).collect();
    values.sort_by(f64::total_cmp);
    let (Some(low), Some(last)) = (values.first(), values.len().checked_sub(1)) else {
        return (0.0, 1.0);
    };
    let high = values[last - last / 100];
    let margin = (high - low).abs() * 0.04;
    (low - margin, high + margin)
}

/// A row of a dot plot.
pub(super) struct Dots {
    /// The label.
    pub label: String,
    /// Class, value, and what is read aloud.
    pub dots: Vec<(String, f64, String)>,
    /// A value to compare with, drawn as a tick.
    pub mark: Option<f64>,
}

/// Values of several runs side by side, a row each.
pub(super) fn dots(title: &str, rows: &[Dots]) -> String {
    let (left, right, line, top) = (170.0, 24.0, 22.0, 22.0);
    let height = rows.len() as f64 * line + top + 8.0;
    let values = || rows.iter().flat_map(|r| r.dots.iter().map(|d| d.1).chain(r.mark));
    let (low, high) = (values().fold(0.0, f64::min), values().fold(0.0, f64::max));
    // Shares are shown on the whole range that they can have.
    let high = if 0.5 < high && high <= 1.0 { 1.0 } else { high };
    let scale = Scale::new((low, high), (left + 8.0, WIDTH - right));
    let mut svg = Svg::new(WIDTH, height);
    for value in scale.ticks(6) {
        svg.line("grid", [scale.at(value), top - 4.0, scale.at(value), height - 6.0]);
        svg.text("tick", scale.at(value), 11.0, Anchor::Middle, &tick(value));
    }
    for (i, row) in rows.iter().enumerate() {
        let y = top + (i as f64 + 0.5) * line;
        svg.text("label", left - 10.0, y + 4.0, Anchor::End, &row.label);
        let ends = |f: fn(f64, f64) -> f64| row.dots.iter().map(|d| d.1).reduce(f);
        if let (Some(low), Some(high)) = (ends(f64::min), ends(f64::max)) {
            svg.line("span", [scale.at(low), y, scale.at(high), y]);
        }
        if let Some(mark) = row.mark {
            let x = scale.at(mark);
            svg.line("mark", [x, y - 7.0, x, y + 7.0]);
        }
        for (class, value, words) in &row.dots {
            let words = format!("{}: {words}", row.label);
            svg.circle(class, [scale.at(*value), y, 5.0], &words);
        }
    }
    svg.finish(title)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thinning_and_smoothing_keep_a_straight_line() {
        let line: Vec<(f64, f64)> =
            (0..POINTS as i32 * 6).map(|i| (f64::from(i), f64::from(i))).collect();
        let thin = thin(&line);
        assert!(thin.len() <= POINTS);
        for (a, b) in thin.iter().zip(smooth(&thin)) {
            assert!((a.1 - b.1).abs() < 1e-9);
        }
    }

    #[test]
    fn empty_charts_are_drawn() {
        assert!(bars("none", &[]).starts_with("<svg"));
        assert!(histogram("none", "rows", &[]).ends_with("</svg>"));
        assert_eq!(range(std::iter::empty()), (0.0, 1.0));
    }
}
