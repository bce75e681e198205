//! Minimum shares: weights raised to a floor, the others scaled down in proportion.

/// Weights that sum to 1 as they were, but none below its floor; the floors sum to at most 1.
///
/// Who is above the floor pays in proportion to the weight; who would fall below by paying is held
/// at the floor too, until nobody falls.
pub(super) fn raise(weights: &[f64], floors: &[f64]) -> Vec<f64> {
    let mut held = vec![false; weights.len()];
    loop {
        let sum = |of: &[f64], which: bool| -> f64 {
            of.iter().zip(&held).filter(|(_, h)| **h == which).map(|(x, _)| *x).sum()
        };
        let (given, paying) = (sum(floors, true), sum(weights, false));
        let scale = if paying > 0.0 { (1.0 - given).max(0.0) / paying } else { 0.0 };
        let falls = |i: &usize| !held[*i] && weights[*i] * scale < floors[*i];
        let falling: Vec<usize> = (0..weights.len()).filter(falls).collect();
        if falling.is_empty() {
            let value = |i: usize| if held[i] { floors[i] } else { weights[i] * scale };
            return (0..weights.len()).map(value).collect();
        }
        for i in falling {
            held[i] = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mix::plan::tests::close;
    use proptest::prelude::*;

    #[test]
    fn the_large_pay_for_the_small() {
        assert!(close(&raise(&[0.9, 0.09, 0.01], &[0.05; 3]), &[0.8636, 0.0864, 0.05], 1e-4));
        // Paying would take the second below its floor.
        assert!(close(&raise(&[0.9, 0.06, 0.04], &[0.06; 3]), &[0.88, 0.06, 0.06], 1e-12));
        assert_eq!(raise(&[0.5, 0.5], &[0.0, 0.0]), [0.5, 0.5]);
    }

    proptest! {
        #[test]
        fn nobody_is_below_and_the_sum_stays(
            raw in prop::collection::vec((0.001f64..1.0, 0.0f64..1.0), 1..20), all in 0.0f64..0.99,
        ) {
            let (sum, floor_sum) = raw.iter().fold((0.0, 0.0), |(a, b), (w, f)| (a + w, b + f));
            let weights: Vec<f64> = raw.iter().map(|(w, _)| w / sum).collect();
            let scale = if floor_sum > 0.0 { all / floor_sum } else { 0.0 };
            let floors: Vec<f64> = raw.iter().map(|(_, f)| f * scale).collect();
            let raised = raise(&weights, &floors);
            prop_assert!((raised.iter().sum::<f64>() - 1.0).abs() < 1e-9);
            for (raised, floor) in raised.iter().zip(&floors) {
                prop_assert!(raised >= floor, "{raised} {floor}");
            }
            // Those above keep their proportions.
            let free: Vec<usize> = (0..weights.len()).filter(|i| raised[*i] > floors[*i] + 1e-9).collect();
            for two in free.windows(2) {
                let ratio = |i: usize| raised[i] / weights[i];
                prop_assert!((ratio(two[0]) - ratio(two[1])).abs() < 1e-6);
            }
        }
    }
}
