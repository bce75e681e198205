//! How much of a device's peak a run uses (MFU), where the peak is known.
//!
//! Peaks are those of dense products of bfloat16 with fp32 accumulation, as NVIDIA's data sheets
//! give them; the larger figures "with sparsity" beside them do not count. For an unknown device,
//! a CPU among them, nothing is said.

use tch::Device;

use crate::train::ffi::cuda;

/// Dense bfloat16 peaks in TFLOP/s by a part of the device's name, the more special first.
const PEAKS: &[(&str, f64)] = &[
    ("B200", 2250.0),
    ("H200", 989.0),
    ("H100 PCIe", 756.0),
    ("H100 NVL", 835.0),
    ("H100", 989.0),
    ("H800", 989.0),
    ("A100", 312.0),
    ("A800", 312.0),
    ("A40", 149.7),
    ("A30", 165.0),
    ("A10G", 70.0),
    ("A10", 125.0),
    ("L40S", 362.0),
    ("L40", 181.0),
    ("L4", 121.0),
    ("RTX 6000 Ada", 364.0),
    ("RTX 4090", 165.2),
    ("RTX 3090", 71.0),
];

/// The dense bfloat16 peak of a device in FLOP/s; none where it is not known.
pub fn peak(device: Device) -> Option<f64> {
    let Device::Cuda(index) = device else { return None };
    of_name(&cuda::name(index).ok()?)
}

fn of_name(name: &str) -> Option<f64> {
    PEAKS.iter().find(|(part, _)| name.contains(part)).map(|(_, tera)| tera * 1e12)
}

/// The share of the peak that a speed uses: 6 floating-point operations for each parameter and
/// token, forward and backward (Kaplan et al. 2020); attention is not counted.
pub fn mfu(parameters: u64, tokens_per_second: f64, peak: f64) -> f64 {
    6.0 * parameters as f64 * tokens_per_second / peak
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_more_special_name_counts_and_unknown_devices_have_no_peak() {
        assert_eq!(of_name("NVIDIA H100 PCIe"), Some(756e12));
        assert_eq!(of_name("NVIDIA H100 80GB HBM3"), Some(989e12));
        assert_eq!(of_name("NVIDIA L40S"), Some(362e12));
        assert_eq!(of_name("NVIDIA L4"), Some(121e12));
        assert_eq!(of_name("Tesla T4"), None);
        assert_eq!(peak(Device::Cpu), None);
        assert!((mfu(124_000_000, 100_000.0, 312e12) - 0.2385).abs() < 1e-3);
    }
}
