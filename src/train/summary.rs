//! What a person is told before the first step: one screen.

use crate::train::batch::Plan;
use crate::train::begin::{Begun, Run};

/// Groups that are named one by one; the others are summed up.
const NAMED: usize = 12;

/// The model, what a step and the run read, and how often each language is gone through.
pub(crate) fn summary(run: &Run<'_>, begun: &Begun, steps: u64, plan: &Plan) -> Vec<String> {
    let config = run.config;
    let parameters = begun.model.parameters();
    let (all, learned) = (parameters.count(), begun.optimizer.learned(parameters));
    let frozen =
        if learned < all { format!(", {} learned", short(learned)) } else { String::new() };
    let device = match begun.model.device() {
        tch::Device::Cpu => "CPU".to_string(),
        device => format!("{device:?}"),
    };
    let ranks = match run.group.size() {
        1 => String::new(),
        n => format!(", {n} ranks"),
    };
    let mut lines = vec![
        format!(
            "  {} parameters{frozen}, {} on {device}{ranks}, {} threads",
            short(all),
            config.dtype.name(),
            tch::get_num_threads()
        ),
        format!(
            "  {steps} steps of {} rows ({} x {}), from step {}",
            config.batch * config.accumulate,
            config.accumulate,
            config.batch,
            begun.state.step
        ),
    ];
    let mut groups: Vec<&(String, u64, f64)> = plan.groups.iter().collect();
    groups.sort_by(|a, b| b.2.total_cmp(&a.2).then_with(|| a.0.cmp(&b.0)));
    let tokens: f64 = groups.iter().map(|(_, tokens, epochs)| *tokens as f64 * epochs).sum();
    if !groups.is_empty() {
        let per_step = tokens / steps.max(1) as f64;
        lines.push(format!(
            "  about {} tokens a step, {} in all",
            short(per_step as u64),
            short(tokens as u64)
        ));
        let shown: Vec<String> =
            groups.iter().take(NAMED).map(|(name, _, n)| format!("{name} {n:.1}")).collect();
        let more = match groups.len().saturating_sub(NAMED) {
            0 => String::new(),
            n => format!(" and {n} more, each fewer"),
        };
        lines.push(format!("  epochs: {}{more}", shown.join(", ")));
    }
    lines.extend(plan.warnings.iter().map(|words| format!("  warning: {words}")));
    lines
}

/// Seconds as a person says them.
pub(crate) fn duration(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match (whole / 3600, whole / 60 % 60, whole % 60) {
        (0, 0, s) => format!("{s} s"),
        (0, m, s) => format!("{m} min {s} s"),
        (h, m, _) if h < 48 => format!("{h} h {m} min"),
        (h, ..) => format!("{} days {} h", h / 24, h % 24),
    }
}

/// A count with three digits: `86.5 M`.
fn short(n: u64) -> String {
    let (value, unit) = match n {
        0..10_000 => return n.to_string(),
        10_000..1_000_000 => (n as f64 / 1e3, "k"),
        1_000_000..1_000_000_000 => (n as f64 / 1e6, "M"),
        _ => (n as f64 / 1e9, "G"),
    };
    let digits = if value < 10.0 { 2 } else { usize::from(value < 100.0) };
    format!("{value:.digits$} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        assert_eq!([short(9_999), short(86_500_000)], ["9999", "86.5 M"]);
        assert_eq!([short(123_456), short(2_340_000_000)], ["123 k", "2.34 G"]);
        assert_eq!([duration(59.6), duration(3_725.0)], ["1 min 0 s", "1 h 2 min"]);
        assert_eq!(duration(900_000.0), "10 days 10 h");
    }
}
