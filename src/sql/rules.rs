//! The rules of a query that drops rows: what its `reason` is made of, each as an expression.
//!
//! `CASE WHEN a THEN 'x' WHEN b THEN 'y' END AS reason` says the first rule that a row breaks.
//! Here it becomes one expression a rule, so that every rule can be asked about every row. Runs
//! nothing.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, GroupByExpr, Ident, Select, SelectItem, SetExpr, Statement, TableFactor, Visit, Visitor,
};

use super::recipe;
use super::runner::REASON;
use crate::error::{Error, Result};

/// What a query asks of each row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// Each rule as an expression: the reason that it alone would give, or null.
    pub rules: Vec<String>,
    /// What follows the projection: `FROM … WHERE …`.
    pub from: String,
    /// Whether what is read is a stored table, not one that a table function makes each time.
    pub stored: bool,
}

/// The rules of a query whose parameters are in place; `None` when it has no `reason`.
///
/// Errors when the rows that it decides about are not those that it reads, as in an aggregate.
///
/// ```
/// use hexapla::sql::rules::rules;
/// let sql = "SELECT doc_id, CASE WHEN n < 5 THEN 'short' WHEN bad THEN why END AS reason FROM t";
/// let found = rules(sql)?.unwrap();
/// assert_eq!(found.from, "FROM t");
/// assert_eq!(found.rules[1], "CASE WHEN bad THEN why END");
/// # Ok::<(), hexapla::error::Error>(())
/// ```
pub fn rules(sql: &str) -> Result<Option<Rules>> {
    let Statement::Query(query) = recipe::statement(sql)? else { return Ok(None) };
    let SetExpr::Select(select) = *query.body else { return Ok(None) };
    let reason = select.projection.iter().find_map(|item| match item {
        SelectItem::ExprWithAlias { expr, alias } if is_reason(alias) => Some(expr.clone()),
        SelectItem::UnnamedExpr(expr @ Expr::Identifier(name)) if is_reason(name) => {
            Some(expr.clone())
        }
        _ => None,
    });
    let Some(reason) = reason else { return Ok(None) };
    if query.with.is_some() || !plain(&select) {
        return Err(Error::usage("its rules are not asked row by row").hint_with(
            "a query with `WITH`, `DISTINCT`, `GROUP BY` or windows decides on others",
        ));
    }
    let stored = |table: &TableFactor| matches!(table, TableFactor::Table { args: None, .. });
    let stored = select
        .from
        .iter()
        .all(|from| stored(&from.relation) && from.joins.iter().all(|join| stored(&join.relation)));
    let parts = [
        (!select.from.is_empty()).then(|| {
            let tables: Vec<String> = select.from.iter().map(ToString::to_string).collect();
            format!("FROM {}", tables.join(", "))
        }),
        select.selection.as_ref().map(|condition| format!("WHERE {condition}")),
    ];
    let from = parts.into_iter().flatten().collect::<Vec<_>>().join(" ");
    Ok(Some(Rules { rules: alone(&reason), from, stored }))
}

/// The columns that an expression reads, as they are written, in the order in which they are met.
/// Errors when it is no expression.
///
/// ```
/// let read = hexapla::sql::rules::columns_read("CASE WHEN n < 5 OR NOT q.keep THEN q['why'] END")?;
/// assert_eq!(read, ["n", "q.keep", "q['why']"]);
/// # Ok::<(), hexapla::error::Error>(())
/// ```
pub fn columns_read(expr: &str) -> Result<Vec<String>> {
    struct Columns(Vec<String>);
    impl Visitor for Columns {
        type Break = ();

        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            let column = match expr {
                Expr::Identifier(_) | Expr::CompoundIdentifier(_) => expr.to_string(),
                Expr::CompoundFieldAccess { .. } => expr.to_string(),
                _ => return ControlFlow::Continue(()),
            };
            // What stands inside of `a['b']` was told with it.
            if !self
                .0
                .iter()
                .any(|known| *known == column || known.starts_with(&format!("{column}[")))
            {
                self.0.push(column);
            }
            ControlFlow::Continue(())
        }
    }
    let mut columns = Columns(Vec::new());
    // Nothing breaks: the walk only collects.
    let _ = recipe::expression(expr)?.visit(&mut columns);
    Ok(columns.0)
}

fn is_reason(name: &Ident) -> bool {
    name.value.eq_ignore_ascii_case(REASON)
}

/// Whether each row of the result is one row of what is read.
fn plain(select: &Select) -> bool {
    let grouped = match &select.group_by {
        GroupByExpr::Expressions(keys, modifiers) => !keys.is_empty() || !modifiers.is_empty(),
        GroupByExpr::All(_) => true,
    };
    !grouped && select.having.is_none() && select.distinct.is_none() && select.qualify.is_none()
}

/// The branches of a `CASE`, each by itself; anything else is one rule. A branch without a reason
/// exempts its rows from all that follow, and `ELSE` is about the rows that no branch is about.
fn alone(reason: &Expr) -> Vec<String> {
    match reason {
        Expr::Nested(inner) => alone(inner),
        Expr::Case { operand: None, conditions, else_result, .. } => {
            let (mut rules, mut exempt, mut all) = (Vec::new(), String::new(), String::new());
            for branch in conditions {
                let condition = &branch.condition;
                let passed = format!(" WHEN {condition} THEN NULL");
                if is_null(&branch.result) {
                    exempt.push_str(&passed);
                } else {
                    rules.push(format!("CASE{exempt} WHEN {condition} THEN {} END", branch.result));
                }
                all.push_str(&passed);
            }
            let last = else_result.iter().filter(|result| !is_null(result));
            rules.extend(
                last.flat_map(|result| alone(result)).map(|r| format!("CASE{all} ELSE {r} END")),
            );
            rules
        }
        other if is_null(other) => Vec::new(),
        other => vec![other.to_string()],
    }
}

fn is_null(expr: &Expr) -> bool {
    matches!(expr, Expr::Value(value) if value.to_string().eq_ignore_ascii_case("null"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn branches_stand_alone() {
        let sql = "SELECT doc_id, (CASE WHEN a THEN 'x' ELSE CASE WHEN b THEN 'y' ELSE NULL END END) \
                   AS reason FROM t AS m JOIN u ON m.i = u.i WHERE c > 1 ORDER BY doc_id";
        let found = rules(sql).unwrap().unwrap();
        let last = "CASE WHEN a THEN NULL ELSE CASE WHEN b THEN 'y' END END";
        assert_eq!(found.rules, ["CASE WHEN a THEN 'x' END", last]);
        assert_eq!(found.from, "FROM t AS m JOIN u ON m.i = u.i WHERE c > 1");
        let found = rules("SELECT doc_id, reason FROM t").unwrap().unwrap();
        assert_eq!(found.rules, ["reason"]);
        let whole = rules("SELECT doc_id, CASE kind WHEN 1 THEN 'x' END AS reason FROM t");
        assert_eq!(whole.unwrap().unwrap().rules, ["CASE kind WHEN 1 THEN 'x' END"]);
        assert!(found.stored);
        let made = rules("SELECT why AS reason FROM near_duplicates('kept')").unwrap().unwrap();
        assert!(!made.stored);
        assert_eq!(rules("SELECT doc_id FROM t").unwrap(), None);
    }

    #[test]
    fn a_branch_without_a_reason_exempts_from_what_follows() {
        let sql = "SELECT CASE WHEN keep THEN NULL WHEN s = 1 THEN 'exact' ELSE 'near' END AS reason \
                   FROM t";
        assert_eq!(
            rules(sql).unwrap().unwrap().rules,
            [
                "CASE WHEN keep THEN NULL WHEN s = 1 THEN 'exact' END",
                "CASE WHEN keep THEN NULL WHEN s = 1 THEN NULL ELSE 'near' END",
            ]
        );
    }

    #[test]
    fn what_is_grouped_has_no_rules_of_rows() {
        for sql in [
            "SELECT lang, max(why) AS reason FROM t GROUP BY lang",
            "WITH u AS (SELECT 1) SELECT why AS reason FROM u",
            "SELECT DISTINCT why AS reason FROM t",
        ] {
            assert!(rules(sql).unwrap_err().to_string().contains("row by row"), "{sql}");
        }
    }
}
