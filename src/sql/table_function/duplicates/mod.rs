//! What `exact_duplicates` and `near_duplicates` share: their options, the queries that they read,
//! and the [`engine`] that knows nothing of either.

mod choices;
mod engine;
mod query;

use std::sync::Arc;

use datafusion::catalog::TableProvider;

use super::{Args, Lazy};
use crate::error::{Error, Result};
use choices::Choices;
pub(super) use choices::{BY, NORMALIZE, ORDER, WITHIN, WITHIN_LANGUAGE};
use engine::{Inputs, Rule};
use query::Reading;

/// The table of a call: of near duplicates, or of equal ones alone.
pub(super) fn table(args: &Args<'_>, near: bool) -> Result<Arc<dyn TableProvider>> {
    let table = args.table(0)?;
    let known: Vec<&str> = args.function.options.iter().map(|(name, _)| *name).collect();
    let choices = Choices::read(args, &known, near)?;
    let reading = Reading::new(args, table, &choices)?;
    let against = match &choices.against {
        Some(name) => {
            let old = args.named(name)?;
            Some(Reading::new(args, old, &Choices { signatures: None, ..choices.clone() })?)
        }
        None => None,
    };
    let previous = match &choices.previous {
        Some(name) => query::previous(args, name)?,
        None => None,
    };
    let mut inputs = vec![reading.all()];
    inputs.extend(against.as_ref().map(Reading::all));
    inputs.extend(previous.clone());
    let rule = Rule { pair: reading.is_pair(), ..choices.rule };
    Ok(Lazy {
        name: args.function.name,
        schema: engine::schema(against.is_some()),
        sorted: true,
        inputs,
        work: Arc::new(move |inputs, limits, emit| {
            let mut inputs = inputs.into_iter();
            let mut next =
                || inputs.next().ok_or_else(|| Error::internal("a pass without an input"));
            let inputs = Inputs {
                table: next()?,
                against: against.as_ref().map(|_| next()).transpose()?,
                previous: previous.as_ref().map(|_| next()).transpose()?,
                texts: &|old, ranges| {
                    let reading = against.as_ref().filter(|_| old).unwrap_or(&reading);
                    limits.query.rows(&reading.texts(ranges))
                },
            };
            engine::run(&rule, inputs, limits, emit)
        }),
    }
    .table())
}
