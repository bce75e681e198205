//! A kernel that a filter and the columns above it both call is evaluated once per row.
//!
//! DataFusion shares equal calls within one operator and not between two, so `SELECT f(x) …
//! WHERE f(x)['keep']` would evaluate `f` twice. Kernels are the expensive part of most queries:
//! the call is moved into a projection below the filter. Conditions that do not need the call
//! stay below it, so that it is still made for no more rows than before.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, Result as PlanResult};
use datafusion::execution::SessionState;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::{conjunction, split_conjunction};
use datafusion::logical_expr::{Expr, Filter, LogicalPlan, Projection};
use datafusion::physical_plan::ExecutionPlan;

use super::adapt::is_kernel_call;

/// The physical plan of a query, its calls shared.
pub(super) async fn physical_plan(
    state: &SessionState,
    plan: &LogicalPlan,
) -> PlanResult<Arc<dyn ExecutionPlan>> {
    let optimized = state.optimize(plan)?;
    let shared = optimized.transform_up_with_subqueries(rewrite).data()?;
    state.query_planner().create_physical_plan(&shared, state).await
}

fn rewrite(plan: LogicalPlan) -> PlanResult<Transformed<LogicalPlan>> {
    let shared = match &plan {
        LogicalPlan::Projection(projection) => match projection.input.as_ref() {
            LogicalPlan::Filter(filter) => share(projection, filter)?,
            _ => None,
        },
        _ => None,
    };
    Ok(match shared {
        Some(shared) => Transformed::yes(shared),
        None => Transformed::no(plan),
    })
}

fn share(above: &Projection, filter: &Filter) -> PlanResult<Option<LogicalPlan>> {
    let mut predicate = filter.predicate.clone();
    let mut input = filter.input.clone();
    let names = NamePreserver::new_for_projection();
    let saved: Vec<_> = above.expr.iter().map(|e| names.save(e)).collect();
    let mut exprs = above.expr.clone();
    if let LogicalPlan::Projection(below) = filter.input.as_ref()
        && below.expr.iter().any(|e| !calls(e).is_empty())
    {
        // Calls that the filter alone shares stand in a projection of their own: look through it.
        predicate = inline(predicate, below)?;
        exprs = exprs.into_iter().map(|e| inline(e, below)).collect::<PlanResult<_>>()?;
        input = below.input.clone();
    }
    let mut shared: Vec<Expr> = Vec::new();
    for call in calls(&predicate) {
        let again = exprs.iter().any(|e| calls(e).contains(&call));
        if again && !shared.contains(&call) && !call.column_refs().is_empty() {
            shared.push(call);
        }
    }
    if shared.is_empty() {
        return Ok(None);
    }
    // A call inside of another one is part of it.
    let whole = shared.clone();
    shared.retain(|c| !whole.iter().any(|o| o != c && calls(o).contains(c) && within(o, c)));

    let (mut before, mut after) = (Vec::new(), Vec::new());
    for condition in split_conjunction(&predicate) {
        let needs = calls(condition).iter().any(|c| shared.contains(c));
        if needs { after.push(condition.clone()) } else { before.push(condition.clone()) }
    }
    let after = after.into_iter().map(|e| named(e, &shared)).collect::<PlanResult<Vec<_>>>()?;
    let exprs = exprs.into_iter().map(|e| named(e, &shared)).collect::<PlanResult<Vec<_>>>()?;

    if let Some(before) = conjunction(before) {
        input = Arc::new(LogicalPlan::Filter(Filter::try_new(before, input)?));
    }
    let used = |c: &Column| exprs.iter().chain(&after).any(|e| e.column_refs().contains(c));
    let mut columns: Vec<Expr> =
        input.schema().columns().into_iter().filter(used).map(Expr::Column).collect();
    for (i, call) in shared.into_iter().enumerate() {
        columns.push(call.alias(name(i)));
    }
    let mut plan = LogicalPlan::Projection(Projection::try_new(columns, input)?);
    if let Some(after) = conjunction(after) {
        plan = LogicalPlan::Filter(Filter::try_new(after, Arc::new(plan))?);
    }
    let exprs = exprs.into_iter().zip(saved).map(|(e, saved)| saved.restore(e)).collect();
    Ok(Some(LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(plan))?)))
}

fn name(i: usize) -> String {
    format!("__call_{i}")
}

/// All kernel calls in an expression, outer ones first.
fn calls(expr: &Expr) -> Vec<Expr> {
    let mut found = Vec::new();
    let visited = expr.apply(|e| {
        if is_kernel_call(e) {
            found.push(e.clone());
        }
        Ok(TreeNodeRecursion::Continue)
    });
    // The closure cannot fail.
    debug_assert!(visited.is_ok());
    found
}

fn within(outer: &Expr, inner: &Expr) -> bool {
    outer.exists(|e| Ok(e == inner)).unwrap_or(false)
}

/// The expression with shared calls as the columns that hold them.
fn named(expr: Expr, shared: &[Expr]) -> PlanResult<Expr> {
    expr.transform_down(|e| {
        Ok(match shared.iter().position(|c| *c == e) {
            Some(i) => Transformed::new(
                Expr::Column(Column::from_name(name(i))),
                true,
                TreeNodeRecursion::Jump,
            ),
            None => Transformed::no(e),
        })
    })
    .data()
}

/// The expression over a projection as one over the projection's input.
fn inline(expr: Expr, below: &Projection) -> PlanResult<Expr> {
    expr.transform_up(|e| {
        let Expr::Column(column) = &e else { return Ok(Transformed::no(e)) };
        Ok(match below.schema.maybe_index_of_column(column) {
            Some(i) => Transformed::yes(below.expr[i].clone().unalias()),
            None => Transformed::no(e),
        })
    })
    .data()
}
