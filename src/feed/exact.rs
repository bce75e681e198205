//! Numbers as text in checkpoints.
//!
//! `serde_json` may read a number back one bit off, and then a resumed run would one day draw
//! differently.

use serde::{Deserialize, Deserializer, Serializer, de::Error};

/// Writes a number so that it is read back to the bit.
pub fn serialize<S: Serializer>(value: &f64, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(value)
}

/// Reads a number as it was written.
pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    String::deserialize(from)?.parse().map_err(D::Error::custom)
}

/// The same for numbers by name.
pub mod map {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    /// Writes numbers so that they are read back to the bit.
    pub fn serialize<S: Serializer>(
        values: &BTreeMap<String, f64>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_map(values.iter().map(|(name, value)| (name, value.to_string())))
    }

    /// Reads numbers as they were written.
    pub fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<BTreeMap<String, f64>, D::Error> {
        let texts = BTreeMap::<String, String>::deserialize(from)?;
        let parsed = texts.into_iter().map(|(name, text)| Ok((name, text.parse()?)));
        parsed.collect::<Result<_, std::num::ParseFloatError>>().map_err(D::Error::custom)
    }
}
