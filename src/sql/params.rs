//! Parameters of queries: their declarations, their types, and values that may differ by key.
//!
//! How they get into a query is `recipe`'s business.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::error::{Error, Result};

/// A parameter of a query.
#[derive(Debug, Clone, PartialEq)]
pub struct Param {
    /// Its name, without the `$`.
    pub name: String,
    /// The type of its values.
    pub ty: ParamType,
    /// Its value unless another is given.
    pub default: ParamValue,
    /// What it means.
    pub doc: String,
}

/// The type of a parameter's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParamType {
    /// `double`.
    Double,
    /// `bigint` or `int`.
    Int,
    /// `boolean`.
    Bool,
    /// `text`.
    Text,
}

impl ParamType {
    /// Its name in headers.
    pub fn name(self) -> &'static str {
        TYPES.iter().find(|(_, ty)| *ty == self).map_or("", |(name, _)| name)
    }
}

/// The names of the types in headers.
const TYPES: &[(&str, ParamType)] = &[
    ("double", ParamType::Double),
    ("bigint", ParamType::Int),
    ("int", ParamType::Int),
    ("boolean", ParamType::Bool),
    ("text", ParamType::Text),
];

/// A parameter's value: one, or one for each key of a source or language.
#[derive(Debug, Clone, PartialEq)]
pub enum ParamValue {
    /// One value.
    Scalar(Scalar),
    /// A value for some keys and one for all others; `pick($name, key, …)` takes the first key
    /// that is there.
    Keyed {
        /// The value where no key is there.
        default: Scalar,
        /// The values by key.
        keys: BTreeMap<String, Scalar>,
    },
}

/// A single value.
#[derive(Debug, Clone, PartialEq)]
pub enum Scalar {
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number.
    Double(f64),
    /// A text.
    Text(String),
}

impl Scalar {
    fn from_json(json: &Json) -> Option<Self> {
        Some(match json {
            Json::Bool(v) => Scalar::Bool(*v),
            Json::Number(n) => match n.as_i64() {
                Some(v) => Scalar::Int(v),
                None => Scalar::Double(n.as_f64().filter(|v| v.is_finite())?),
            },
            Json::String(v) => Scalar::Text(v.clone()),
            _ => return None,
        })
    }

    fn to_json(&self) -> Json {
        match self {
            Scalar::Bool(v) => (*v).into(),
            Scalar::Int(v) => (*v).into(),
            Scalar::Double(v) => (*v).into(),
            Scalar::Text(v) => v.as_str().into(),
        }
    }

    /// The value under a type; a whole number is a number too.
    fn typed(&self, ty: ParamType) -> Option<Scalar> {
        match (self, ty) {
            (Scalar::Int(v), ParamType::Double) => Some(Scalar::Double(*v as f64)),
            (Scalar::Bool(_), ParamType::Bool)
            | (Scalar::Int(_), ParamType::Int)
            | (Scalar::Double(_), ParamType::Double)
            | (Scalar::Text(_), ParamType::Text) => Some(self.clone()),
            _ => None,
        }
    }

    /// As SQL text.
    pub(super) fn literal(&self) -> String {
        match self {
            Scalar::Bool(v) => v.to_string(),
            Scalar::Int(v) => v.to_string(),
            // Debug keeps the point, so that 1.0 stays a DOUBLE.
            Scalar::Double(v) => format!("{v:?}"),
            Scalar::Text(v) => quoted(v),
        }
    }
}

impl ParamValue {
    /// From a JSON scalar, or an object with `default` and other keys.
    pub fn from_json(json: &Json) -> Result<Self> {
        let scalar = |json: &Json| {
            Scalar::from_json(json)
                .ok_or_else(|| Error::usage(format!("`{json}` is no number, text or truth value")))
        };
        let Json::Object(map) = json else { return Ok(ParamValue::Scalar(scalar(json)?)) };
        let Some(default) = map.get("default") else {
            return Err(Error::usage("a keyed parameter needs a `default`")
                .hint_with("write `{ default = 0.6, isl_Latn = 0.4 }`"));
        };
        let keys = map
            .iter()
            .filter(|(key, _)| *key != "default")
            .map(|(key, value)| Ok((key.clone(), scalar(value)?)))
            .collect::<Result<_>>()?;
        Ok(ParamValue::Keyed { default: scalar(default)?, keys })
    }

    /// As JSON, for manifests.
    pub fn to_json(&self) -> Json {
        match self {
            ParamValue::Scalar(value) => value.to_json(),
            ParamValue::Keyed { default, keys } => {
                let mut map = serde_json::Map::new();
                map.insert("default".into(), default.to_json());
                map.extend(keys.iter().map(|(k, v)| (k.clone(), v.to_json())));
                Json::Object(map)
            }
        }
    }

    /// The text, if it is one.
    pub fn as_text(&self) -> Option<String> {
        match self {
            ParamValue::Scalar(Scalar::Text(text)) => Some(text.clone()),
            _ => None,
        }
    }

    /// The value under a type, if every part of it fits.
    pub(super) fn typed(&self, ty: ParamType) -> Option<Self> {
        Some(match self {
            ParamValue::Scalar(value) => ParamValue::Scalar(value.typed(ty)?),
            ParamValue::Keyed { default, keys } => ParamValue::Keyed {
                default: default.typed(ty)?,
                keys: keys
                    .iter()
                    .map(|(k, v)| Some((k.clone(), v.typed(ty)?)))
                    .collect::<Option<_>>()?,
            },
        })
    }
}

/// `name type = default -- what it means`.
pub(super) fn parse(text: &str) -> Result<Param> {
    let bad = |why: &str| {
        Error::usage(format!("`{text}` declares no parameter: {why}"))
            .hint_with("write `-- param: min_confidence double = 0.6   -- what it means`")
    };
    let (declared, doc) = text.split_once("--").unwrap_or((text, ""));
    let (left, value) = declared.split_once('=').ok_or_else(|| bad("no default"))?;
    let mut words = left.split_whitespace();
    let (Some(name), Some(ty), None) = (words.next(), words.next(), words.next()) else {
        return Err(bad("expected a name and a type"));
    };
    let Some((_, ty)) = TYPES.iter().find(|(n, _)| *n == ty.to_ascii_lowercase()) else {
        return Err(Error::unknown("type", ty, TYPES.iter().map(|(n, _)| *n)));
    };
    let value = value.trim();
    let scalar = match value.strip_prefix('\'').and_then(|v| v.strip_suffix('\'')) {
        Some(text) => Some(Scalar::Text(text.replace("''", "'"))),
        None => serde_json::from_str(value).ok().as_ref().and_then(Scalar::from_json),
    };
    let default =
        scalar.and_then(|s| s.typed(*ty)).ok_or_else(|| bad("its default is not of its type"))?;
    Ok(Param {
        name: name.into(),
        ty: *ty,
        default: ParamValue::Scalar(default),
        doc: doc.trim().into(),
    })
}

/// A text as a SQL literal.
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
