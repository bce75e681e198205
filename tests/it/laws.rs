//! Laws over the registries: what every function and every built-in plan must hold to.

use std::collections::BTreeSet;

use arrow::util::display::{ArrayFormatter, FormatOptions};
use hexapla::sql::functions;
use hexapla::sql::{Session, SessionOptions};

#[test]
fn every_documented_example_is_true() {
    let session = Session::new(SessionOptions::default()).unwrap();
    let mut wrong = Vec::new();
    for signature in functions::all().map(|f| &f.signature) {
        assert!(signature.examples.len() >= 2, "{} has fewer than two examples", signature.name);
        for (sql, expected) in signature.examples {
            let found = session.query(&format!("SELECT {sql} AS value")).map(|batches| {
                let options = FormatOptions::default().with_null("null");
                let column = batches[0].column(0);
                ArrayFormatter::try_new(column.as_ref(), &options).unwrap().value(0).to_string()
            });
            match found {
                Ok(found) if found == *expected => {}
                Ok(found) => wrong.push(format!("{sql} is {found}, documented as {expected}")),
                Err(error) => wrong.push(format!("{sql}: {error}")),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn names_are_unique_and_documented() {
    let mut names = BTreeSet::new();
    for signature in functions::all().map(|f| &f.signature) {
        assert!(names.insert(signature.name), "two functions are called {}", signature.name);
        assert!(signature.doc.ends_with('.'), "{}: a sentence ends with a stop", signature.name);
    }
}
