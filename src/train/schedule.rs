//! Learning rates: one small function for each schedule, as shares of the peak.

use crate::train::config::{OptimizerConfig, Schedule};

/// The learning rate of step `step` (from 0) of `steps`.
pub fn rate(config: &OptimizerConfig, step: u64, steps: u64) -> f64 {
    let warmup = match config.warmup {
        share if share < 1.0 => (share * steps as f64).round(),
        count => count.min(steps as f64),
    };
    let (step, steps) = (step as f64, steps as f64);
    if step < warmup {
        return config.lr * (step + 1.0) / warmup;
    }
    // From 0 at the end of warming up to 1 after the last step.
    let along = |from: f64| ((step + 1.0 - from) / (steps - from).max(1.0)).clamp(0.0, 1.0);
    let share = match config.schedule {
        Schedule::Constant => 1.0,
        Schedule::Linear => linear(along(warmup), config.floor),
        Schedule::Cosine => cosine(along(warmup), config.floor),
        Schedule::Wsd => {
            let decay = (steps * (1.0 - config.decay)).max(warmup);
            linear(along(decay), config.floor)
        }
        Schedule::InverseSqrt => {
            let from = warmup.max(1.0);
            (from / (step + 1.0).max(from)).sqrt().max(config.floor)
        }
    };
    config.lr * share
}

/// In a line from 1 to the floor.
fn linear(along: f64, floor: f64) -> f64 {
    1.0 - (1.0 - floor) * along
}

/// Along half a cosine from 1 to the floor.
fn cosine(along: f64, floor: f64) -> f64 {
    floor + (1.0 - floor) * 0.5 * (1.0 + (std::f64::consts::PI * along).cos())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(schedule: Schedule) -> Vec<f64> {
        let config = OptimizerConfig {
            lr: 1.0,
            schedule,
            warmup: 2.0,
            decay: 0.4,
            floor: 0.1,
            ..OptimizerConfig::default()
        };
        (0..10).map(|step| (rate(&config, step, 10) * 1000.0).round() / 1000.0).collect()
    }

    #[test]
    fn every_schedule_warms_up_and_ends_where_it_says() {
        assert_eq!(rates(Schedule::Constant), [0.5, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]);
        assert_eq!(
            rates(Schedule::Linear),
            [0.5, 1.0, 0.888, 0.775, 0.663, 0.55, 0.438, 0.325, 0.213, 0.1]
        );
        assert_eq!(
            rates(Schedule::Cosine),
            [0.5, 1.0, 0.966, 0.868, 0.722, 0.55, 0.378, 0.232, 0.134, 0.1]
        );
        assert_eq!(rates(Schedule::Wsd), [0.5, 1.0, 1.0, 1.0, 1.0, 1.0, 0.775, 0.55, 0.325, 0.1]);
        assert_eq!(
            rates(Schedule::InverseSqrt),
            [0.5, 1.0, 0.816, 0.707, 0.632, 0.577, 0.535, 0.5, 0.471, 0.447]
        );
    }

    #[test]
    fn a_warmup_below_one_is_a_share() {
        let config = OptimizerConfig { lr: 1.0, warmup: 0.5, ..OptimizerConfig::default() };
        assert_eq!(rate(&config, 0, 8), 0.25);
        assert_eq!(rate(&config, 3, 8), 1.0);
    }
}
