//! Options of table functions: one struct literal, `{threshold: 0.8, hashes: 112}`.
//!
//! Unknown keys and wrong types are errors; a key that is not given leaves its default in force.

use std::collections::BTreeMap;

use arrow::datatypes::Field;
use datafusion::common::ScalarValue;
use datafusion::common::scalar::ScalarStructBuilder;
use datafusion::logical_expr::Expr;

use super::shown;
use crate::error::{Error, Result};

/// What an option gives that may be one number or many.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Given {
    /// One number.
    Number(f64),
    /// Numbers by name, in the order given.
    ByName(Vec<(String, f64)>),
    /// A text.
    Text(String),
}

/// The options that a call gives, by key.
#[derive(Debug, Default, Clone)]
pub(crate) struct Options(BTreeMap<String, ScalarValue>);

impl Options {
    /// Reads a struct literal whose keys must be among `known`.
    pub fn parse(expr: &Expr, known: &[&str]) -> Result<Self> {
        let Some(entries) = entries(expr) else {
            return Err(Error::usage(format!(
                "options must be one struct of constants, as in {{{}: …}}; found `{expr}`",
                known.first().unwrap_or(&"key")
            )));
        };
        let mut options = BTreeMap::new();
        for (key, value) in entries {
            if !known.contains(&key.as_str()) {
                return Err(Error::unknown("option", &key, known.iter().copied()));
            }
            if options.insert(key.clone(), value).is_some() {
                return Err(Error::usage(format!("option `{key}` is given twice")));
            }
        }
        Ok(Self(options))
    }

    /// A number.
    pub fn float(&self, key: &str, default: f64) -> Result<f64> {
        let Some(value) = self.given(key) else { return Ok(default) };
        let number = match value {
            ScalarValue::Float64(v) => *v,
            ScalarValue::Float32(v) => v.map(f64::from),
            other => integer(other).map(|v| v as f64),
        };
        number.ok_or_else(|| wrong(key, "a number", value))
    }

    /// A whole number from 0.
    pub fn uint(&self, key: &str, default: u64) -> Result<u64> {
        Ok(self.optional_uint(key)?.unwrap_or(default))
    }

    /// A whole number from 0, without a default.
    pub fn optional_uint(&self, key: &str) -> Result<Option<u64>> {
        let Some(value) = self.given(key) else { return Ok(None) };
        let number = match value {
            // 15e9 is how people write budgets.
            ScalarValue::Float64(Some(v)) if v.fract() == 0.0 && 0.0 <= *v && *v < 1.8e19 => {
                Some(*v as i128)
            }
            other => integer(other),
        };
        let number = number.and_then(|v| u64::try_from(v).ok());
        number.map(Some).ok_or_else(|| wrong(key, "a whole number from 0", value))
    }

    /// A text, without a default.
    pub fn optional_text(&self, key: &str) -> Result<Option<String>> {
        let Some(value) = self.given(key) else { return Ok(None) };
        match value.try_as_str() {
            Some(Some(text)) => Ok(Some(text.into())),
            _ => Err(wrong(key, "text", value)),
        }
    }

    /// A number, a struct of numbers, or a text, without a default.
    pub fn numbers(&self, key: &str) -> Result<Option<Given>> {
        let Some(value) = self.given(key) else { return Ok(None) };
        if let Some(Some(text)) = value.try_as_str() {
            return Ok(Some(Given::Text(text.into())));
        }
        let ScalarValue::Struct(row) = value else {
            return Ok(Some(Given::Number(self.float(key, 0.0)?)));
        };
        let mut numbers = Vec::with_capacity(row.fields().len());
        for (field, column) in row.fields().iter().zip(row.columns()) {
            let name = field.name();
            let value = ScalarValue::try_from_array(column, 0);
            let value = value.map_err(|e| Error::internal(e.to_string()))?;
            let number = Self([(name.clone(), value)].into()).float(name, f64::NAN);
            let number = number.map_err(|e| e.within(format!("option `{key}`")))?;
            numbers.push((field.name().clone(), number));
        }
        Ok(Some(Given::ByName(numbers)))
    }

    /// A truth value.
    pub fn bool(&self, key: &str, default: bool) -> Result<bool> {
        match self.given(key) {
            None => Ok(default),
            Some(ScalarValue::Boolean(Some(v))) => Ok(*v),
            Some(value) => Err(wrong(key, "true or false", value)),
        }
    }

    /// A null counts as not given, so that a parameter can switch an option off.
    fn given(&self, key: &str) -> Option<&ScalarValue> {
        self.0.get(key).filter(|v| !v.is_null())
    }
}

fn wrong(key: &str, wanted: &str, found: &ScalarValue) -> Error {
    Error::usage(format!("option `{key}` must be {wanted}; it is `{}`", shown(found)))
}

fn integer(value: &ScalarValue) -> Option<i128> {
    match value {
        ScalarValue::Int8(v) => v.map(i128::from),
        ScalarValue::Int16(v) => v.map(i128::from),
        ScalarValue::Int32(v) => v.map(i128::from),
        ScalarValue::Int64(v) => v.map(i128::from),
        ScalarValue::UInt8(v) => v.map(i128::from),
        ScalarValue::UInt16(v) => v.map(i128::from),
        ScalarValue::UInt32(v) => v.map(i128::from),
        ScalarValue::UInt64(v) => v.map(i128::from),
        _ => None,
    }
}

/// The value of an expression that the planner has folded.
pub(super) fn constant(expr: &Expr) -> Option<ScalarValue> {
    match expr {
        Expr::Literal(value, _) => Some(value.clone()),
        Expr::Alias(alias) => constant(&alias.expr),
        _ => None,
    }
}

/// A constant, or a struct of constants.
fn folded(expr: &Expr) -> Option<ScalarValue> {
    let Some(value) = constant(expr) else {
        let mut row = ScalarStructBuilder::new();
        for (key, value) in entries(expr)? {
            row = row.with_scalar(Field::new(key, value.data_type(), true), value);
        }
        return row.build().ok();
    };
    Some(value)
}

/// The keys and values of a struct literal, folded or still a call.
fn entries(expr: &Expr) -> Option<Vec<(String, ScalarValue)>> {
    match expr {
        Expr::Alias(alias) => entries(&alias.expr),
        Expr::Literal(ScalarValue::Struct(row), _) => {
            let pairs = row.fields().iter().zip(row.columns());
            pairs
                .map(|(f, c)| Some((f.name().clone(), ScalarValue::try_from_array(c, 0).ok()?)))
                .collect()
        }
        Expr::ScalarFunction(call) if call.name() == "named_struct" => call
            .args
            .chunks(2)
            .map(|pair| {
                let key = constant(pair.first()?)?.try_as_str().flatten()?.to_string();
                Some((key, folded(pair.get(1)?)?))
            })
            .collect(),
        _ => None,
    }
}
