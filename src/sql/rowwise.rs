//! What kind of work a query is: row by row over one table, or over whole tables.
//!
//! Also refuses functions whose result is another one each time: tables would not be a function of
//! their inputs.

use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::common::Result as PlanResult;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::datasource::source_as_provider;
use datafusion::logical_expr::{Expr, LogicalPlan, Volatility};

use super::provider::StoredTable;

/// Functions that are constant within a query only.
const CLOCK: &[&str] = &["now", "current_date", "current_time", "current_timestamp", "today"];

/// The table a plan reads row by row; `None` when its rows depend on more than one row.
pub(super) fn row_wise(plan: &LogicalPlan) -> PlanResult<Option<Arc<dyn TableProvider>>> {
    let mut scanned: Vec<Arc<dyn TableProvider>> = Vec::new();
    let mut row_wise = true;
    plan.apply(|node| {
        match node {
            LogicalPlan::TableScan(scan) => {
                let provider = source_as_provider(&scan.source)?;
                row_wise &= provider.is::<StoredTable>() && scan.fetch.is_none();
                scanned.push(provider);
            }
            LogicalPlan::Projection(_)
            | LogicalPlan::Filter(_)
            | LogicalPlan::SubqueryAlias(_)
            | LogicalPlan::Unnest(_) => {}
            _ => row_wise = false,
        }
        node.apply_expressions(|expr| {
            expr.apply(|e| {
                row_wise &= !matches!(
                    e,
                    Expr::Exists(_)
                        | Expr::InSubquery(_)
                        | Expr::ScalarSubquery(_)
                        | Expr::SetComparison(_)
                        | Expr::OuterReferenceColumn(..)
                );
                Ok(TreeNodeRecursion::Continue)
            })
        })?;
        Ok(if row_wise { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
    })?;
    Ok(if row_wise && scanned.len() == 1 { scanned.pop() } else { None })
}

/// The first function in a plan that gives another result each time it is asked.
pub(super) fn unsteady(plan: &LogicalPlan) -> PlanResult<Option<String>> {
    let mut found = None;
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|e| {
                if let Expr::ScalarFunction(call) = e {
                    let name = call.func.name();
                    let volatile = call.func.signature().volatility == Volatility::Volatile;
                    if volatile || CLOCK.contains(&name) {
                        found = Some(name.to_string());
                        return Ok(TreeNodeRecursion::Stop);
                    }
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(found)
}
