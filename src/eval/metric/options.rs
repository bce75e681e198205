//! Options of metrics: declared beside each, checked before any row is read.

use std::collections::BTreeMap;

use crate::error::{Error, Result};

/// An option that a metric has.
#[derive(Debug, Clone, Copy)]
pub struct Choice {
    /// Its name.
    pub name: &'static str,
    /// Its value when it is not given.
    pub default: &'static str,
    /// Its valid values; any number where there are none, and any text where the only one is `*`.
    pub valid: &'static [&'static str],
    /// What it does.
    pub doc: &'static str,
}

/// Values of an option that is on or off.
pub const FLAG: &[&str] = &["no", "yes"];

/// Values of an option that is a number.
pub const NUMBER: &[&str] = &[];

/// Values of an option that is any text.
pub const ANY: &[&str] = &["*"];

impl Choice {
    /// An option that is off unless it is named.
    pub const fn flag(name: &'static str, doc: &'static str) -> Self {
        Self { name, default: "no", valid: FLAG, doc }
    }

    /// An option that is a number.
    pub const fn number(name: &'static str, default: &'static str, doc: &'static str) -> Self {
        Self { name, default, valid: NUMBER, doc }
    }

    /// An option that is one of some names, the first unless another is given.
    pub const fn one_of(
        name: &'static str,
        default: &'static str,
        valid: &'static [&'static str],
        doc: &'static str,
    ) -> Self {
        Self { name, default, valid, doc }
    }
}

/// The options in force: every declared one has a value.
#[derive(Debug, Clone, PartialEq)]
pub struct Options(BTreeMap<&'static str, String>);

impl Options {
    /// The declared options with those that are given, as `name=value` or `flag`.
    pub fn new<'a>(
        declared: &'static [Choice],
        given: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self> {
        let mut values: BTreeMap<_, _> =
            declared.iter().map(|c| (c.name, c.default.to_string())).collect();
        for part in given {
            let (name, value) = part.split_once('=').unwrap_or((part, "yes"));
            let choice = declared
                .iter()
                .find(|c| c.name == name)
                .ok_or_else(|| Error::unknown("option", name, declared.iter().map(|c| c.name)))?;
            let fits = match choice.valid {
                NUMBER => value.parse::<f64>().is_ok_and(|v| v.is_finite() && v >= 0.0),
                ANY => true,
                valid => valid.contains(&value),
            };
            if !fits && choice.valid == NUMBER {
                return Err(Error::usage(format!("`{name}={value}` is no number from 0 up")));
            }
            if !fits {
                return Err(Error::unknown(name, value, choice.valid.iter().copied()));
            }
            values.insert(choice.name, value.to_string());
        }
        Ok(Self(values))
    }

    /// The value of an option.
    pub fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    /// Whether an option is on.
    pub fn flag(&self, name: &str) -> bool {
        self.get(name) == "yes"
    }

    /// The value of a number.
    pub fn number(&self, name: &str) -> Result<f64> {
        let value = self.get(name);
        value.parse().map_err(|_| Error::usage(format!("`{name}={value}` is no number")))
    }

    /// The value of a whole number within bounds.
    pub fn count(&self, name: &str, least: usize, most: usize) -> Result<usize> {
        let value = self.get(name);
        value.parse().ok().filter(|n| (least..=most).contains(n)).ok_or_else(|| {
            Error::usage(format!(
                "`{name}={value}`: a whole number from {least} to {most} is wanted"
            ))
        })
    }

    /// The options that differ from their defaults, as they were given.
    pub fn told(&self, declared: &[Choice]) -> String {
        let differs = |c: &&Choice| self.get(c.name) != c.default;
        let told = |c: &Choice| format!("{}={}", c.name, self.get(c.name));
        declared.iter().filter(differs).map(told).collect::<Vec<_>>().join(",")
    }
}
