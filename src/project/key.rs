//! Keys: what a node's content is a function of, by name, so that a change can be told in words.

use std::collections::BTreeMap;

use crate::id;
use crate::store::manifest::Manifest;

/// The ingredients of a node's key.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ingredients(BTreeMap<String, String>);

impl Ingredients {
    /// Adds one ingredient: short values as they are, long ones as their hash.
    pub fn add(&mut self, name: impl Into<String>, value: impl Into<String>) {
        let value = value.into();
        let value =
            if value.len() > 64 { id::hex128(id::hash128(value.as_bytes())) } else { value };
        self.0.insert(name.into(), value);
    }

    /// The key.
    pub fn digest(&self) -> String {
        let mut bytes = Vec::new();
        for (name, value) in &self.0 {
            for field in [name, value] {
                bytes.extend_from_slice(&(field.len() as u64).to_le_bytes());
                bytes.extend_from_slice(field.as_bytes());
            }
        }
        id::hex128(id::hash128(&bytes))
    }

    /// The ingredients for a manifest.
    pub fn into_inputs(self) -> BTreeMap<String, String> {
        self.0
    }

    /// What differs from what a folder was built from, in words; empty: nothing.
    pub fn changes(&self, old: Option<&Manifest>) -> Vec<String> {
        let Some(old) = old else { return vec!["new".into()] };
        if old.key == self.digest() {
            return Vec::new();
        }
        let mut changes = Vec::new();
        for (name, value) in &self.0 {
            match old.inputs.get(name) {
                None => changes.push(format!("{name} is new")),
                Some(before) if before != value => {
                    let readable = before.len() < 32 && value.len() < 32;
                    changes.push(if readable {
                        format!("{name}: {before} → {value}")
                    } else {
                        format!("{name} changed")
                    });
                }
                Some(_) => {}
            }
        }
        let gone = old.inputs.keys().filter(|n| !self.0.contains_key(*n));
        changes.extend(gone.map(|name| format!("{name} is gone")));
        if changes.is_empty() {
            // The ingredients agree but the key does not: written by hand, or damaged.
            changes.push("its manifest was changed".into());
        }
        changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_told_in_words() {
        let mut old = Ingredients::default();
        old.add("parameter min_confidence", "0.6");
        old.add("query", "a".repeat(100));
        let manifest = Manifest {
            key: old.digest(),
            inputs: old.clone().into_inputs(),
            ..Manifest::default()
        };
        assert!(old.changes(Some(&manifest)).is_empty());
        let mut new = old.clone();
        new.add("parameter min_confidence", "0.7");
        new.add("query", "b".repeat(100));
        assert_eq!(
            new.changes(Some(&manifest)),
            ["parameter min_confidence: 0.6 → 0.7", "query changed"]
        );
    }
}
