//! The registry of SQL functions: the families' slices, and the few that are born here.
//!
//! A new function is one file in its family and one line in the family's slice. Kernels that need
//! a model or a tokenizer are not listed: `project/` adds them to a session.

use arrow::datatypes::DataType;

use crate::error::Result;
use crate::function::{Arg, Family, Function, Row, Signature, Type, Value};
use crate::{dedup, id, identify, measure, pair, text};

/// Every function without state, by family, in the order of the listing.
pub const FUNCTIONS: &[&[&Function]] = &[
    text::FUNCTIONS,
    measure::FUNCTIONS,
    identify::FUNCTIONS,
    pair::FUNCTIONS,
    dedup::FUNCTIONS,
    OURS,
];

const OURS: &[&Function] = &[&UNIFORM];

/// All functions of the registry.
pub fn all() -> impl Iterator<Item = &'static Function> {
    FUNCTIONS.iter().flat_map(|family| family.iter().copied())
}

/// The draw that every sampling query is built on.
const UNIFORM: Function = Function {
    signature: Signature {
        name: "uniform",
        family: Family::Identity,
        args: &[Arg::of("id", Type::UInt), Arg::of("seed", Type::UInt)],
        returns: || DataType::Float64,
        doc: "A number in [0, 1) that is a function of the row's id and the seed alone (xxh3-64 \
              of the id under the seed), a multiple of 2⁻⁵³.",
        examples: &[
            ("uniform(3, 17) = uniform(3, 17)", "true"),
            ("uniform(3, 17) = uniform(3, 18)", "false"),
            ("uniform(3, 17) >= 0 AND uniform(3, 17) < 1", "true"),
        ],
        version: 1,
    },
    body: uniform,
};

fn uniform(args: &[Value<'_>], out: &mut Row<'_>) -> Result<()> {
    match (args[0].uint(), args[1].uint()) {
        (Some(id), Some(seed)) => out.float(id::uniform(id, seed)),
        _ => out.null(),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use arrow::util::display::array_value_to_string;

    use super::*;
    use crate::sql::{Session, SessionOptions, table_functions};

    #[test]
    fn no_two_functions_share_a_name() {
        let mut names = BTreeSet::new();
        for function in all() {
            assert!(names.insert(function.signature.name), "{}", function.signature.name);
        }
        for function in table_functions() {
            assert!(names.insert(function.name), "{}", function.name);
        }
    }

    #[test]
    fn every_function_says_what_it_does_and_shows_it() {
        for function in all() {
            let Signature { name, doc, examples, args, .. } = &function.signature;
            assert!(doc.ends_with('.'), "{name}: the documentation is a sentence");
            assert!(!examples.is_empty(), "{name}: no example");
            let first_optional = args.iter().position(|a| a.default.is_some());
            let last_required = args.iter().rposition(|a| a.default.is_none());
            if let (Some(optional), Some(required)) = (first_optional, last_required) {
                assert!(required < optional, "{name}: optional arguments come last");
            }
        }
    }

    #[test]
    fn every_example_gives_what_it_says() {
        let session = Session::new(SessionOptions::default()).unwrap();
        for function in all() {
            for (expression, expected) in function.signature.examples {
                let batches = session.query(&format!("SELECT {expression}")).unwrap_or_else(|e| {
                    panic!("{expression}: {e}");
                });
                let found = array_value_to_string(batches[0].column(0), 0).unwrap();
                assert_eq!(&found, expected, "{expression}");
            }
        }
    }
}
