//! Kernels on all threads without losing the order of rows: a physical rule.
//!
//! A plan of one partition keeps the order of its tables, and would evaluate its kernels on one
//! thread. Batches do not depend on each other there: each is given to a task of its own, and the
//! results are taken in the order in which the batches came. A few more batches than threads are
//! held at once, so memory stays bounded.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::catalog::memory::MemorySourceConfig;
use datafusion::common::config::ConfigOptions;
use datafusion::common::runtime::SpawnedTask;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{DataFusionError, Result as PlanResult, internal_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::execution_plan::{
    CardinalityEffect, ChildrenPropertiesMode, ReplaceChildrenOptions,
};
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties, collect,
};
use futures::{StreamExt, TryStreamExt, stream};

use super::adapt::is_kernel;
use super::session::threads;

const RECOMPUTE: ReplaceChildrenOptions =
    ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);

/// The rule. Projections are taken first of all, before they are pushed into a scan, which is one
/// thread; filters last, when scans know what of them they can skip by statistics.
#[derive(Debug)]
pub(crate) enum SpreadKernels {
    /// Of the columns of projections.
    Projections,
    /// Of the conditions of filters.
    Filters,
}

impl PhysicalOptimizerRule for SpreadKernels {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        config: &ConfigOptions,
    ) -> PlanResult<Arc<dyn ExecutionPlan>> {
        if config.execution.target_partitions > 1 {
            return Ok(plan);
        }
        plan.transform_up(|node| {
            let one = node.output_partitioning().partition_count() == 1;
            Ok(match one && self.takes(&node)? {
                true => Transformed::yes(Arc::new(Spread { node }) as Arc<dyn ExecutionPlan>),
                false => Transformed::no(node),
            })
        })
        .data()
    }

    fn name(&self) -> &str {
        match self {
            Self::Projections => "spread_projections",
            Self::Filters => "spread_filters",
        }
    }

    fn schema_check(&self) -> bool {
        true
    }
}

impl SpreadKernels {
    /// Whether an operator calls kernels for each batch of its input.
    fn takes(&self, node: &Arc<dyn ExecutionPlan>) -> PlanResult<bool> {
        let calls = |expr: &Arc<dyn PhysicalExpr>| {
            expr.exists(|e| {
                let call = (e.as_ref() as &dyn Any).downcast_ref::<ScalarFunctionExpr>();
                Ok(call.is_some_and(|call| is_kernel(call.fun())))
            })
        };
        match self {
            Self::Projections => {
                let Some(projection) = node.downcast_ref::<ProjectionExec>() else {
                    return Ok(false);
                };
                let mut found = projection.expr().iter().map(|column| calls(&column.expr));
                found.try_fold(false, |any, calls| Ok(any || calls?))
            }
            Self::Filters => match node.downcast_ref::<FilterExec>() {
                // With a limit, later rows are not even looked at.
                Some(filter) => Ok(filter.fetch().is_none() && calls(filter.predicate())?),
                None => Ok(false),
            },
        }
    }
}

/// An operator over one batch at a time, several batches at once.
#[derive(Debug)]
struct Spread {
    node: Arc<dyn ExecutionPlan>,
}

impl DisplayAs for Spread {
    fn fmt_as(&self, t: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Spread: ")?;
        self.node.fmt_as(t, f)
    }
}

impl ExecutionPlan for Spread {
    fn name(&self) -> &str {
        "Spread"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.node.properties()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        self.node.maintains_input_order()
    }

    fn supports_limit_pushdown(&self) -> bool {
        self.node.supports_limit_pushdown()
    }

    fn cardinality_effect(&self) -> CardinalityEffect {
        self.node.cardinality_effect()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        self.node.children()
    }

    fn apply_expressions(
        &self,
        each: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> PlanResult<TreeNodeRecursion>,
    ) -> PlanResult<TreeNodeRecursion> {
        self.node.apply_expressions(each)
    }

    fn with_new_children(
        self: Arc<Self>,
        inputs: Vec<Arc<dyn ExecutionPlan>>,
    ) -> PlanResult<Arc<dyn ExecutionPlan>> {
        self.replace_children(inputs, RECOMPUTE)
    }

    fn replace_children(
        self: Arc<Self>,
        inputs: Vec<Arc<dyn ExecutionPlan>>,
        options: ReplaceChildrenOptions,
    ) -> PlanResult<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Self { node: self.node.clone().replace_children(inputs, options)? }))
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> PlanResult<SendableRecordBatchStream> {
        let children = self.node.children();
        let [input] = children.as_slice() else {
            return internal_err!("{} has not one input", self.node.name());
        };
        let threads = threads(&context);
        if threads == 1 {
            return self.node.execute(partition, context);
        }
        let node = self.node.clone();
        let rows = input.execute(partition, context.clone())?.map(move |batch| {
            let (node, context) = (node.clone(), context.clone());
            // Dropping the stream ends the tasks that are under way.
            let task = SpawnedTask::spawn(async move { one(&node, batch?, context).await });
            async move { task.await.map_err(|e| DataFusionError::External(Box::new(e)))? }
        });
        let batches =
            rows.buffered(threads).map_ok(|batches| stream::iter(batches.into_iter().map(Ok)));
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.node.schema(), batches.try_flatten())))
    }
}

/// What an operator makes of one batch.
async fn one(
    node: &Arc<dyn ExecutionPlan>,
    batch: RecordBatch,
    context: Arc<TaskContext>,
) -> PlanResult<Vec<RecordBatch>> {
    let schema = batch.schema();
    let alone = MemorySourceConfig::try_new_exec(&[vec![batch]], schema, None)?;
    collect(node.clone().replace_children(vec![alone], RECOMPUTE)?, context).await
}

#[cfg(test)]
mod tests {
    use super::super::testing::{numbers, table};
    use crate::sql::{Session, SessionOptions};

    fn session(dir: &std::path::Path, threads: usize) -> Session {
        let options = SessionOptions { threads: Some(threads), ..SessionOptions::default() };
        let mut session = Session::new(options).unwrap();
        let ids: Vec<u64> = (0..50_000).collect();
        let parts: Vec<&[u64]> = ids.chunks(7001).collect();
        session.add_table("numbers", table(&dir.join("numbers"), &parts)).unwrap();
        session
    }

    #[test]
    fn rows_keep_their_order_on_any_number_of_threads() {
        let dir = tempfile::tempdir().unwrap();
        let all = "SELECT doc_id FROM numbers WHERE uniform(doc_id, 3) < 0.5";
        let drawn = "SELECT doc_id, uniform(doc_id, 7) AS u FROM numbers";
        let one = session(dir.path(), 1);
        let several = session(dir.path(), 3);
        for session in [&several, &several.serial([]).unwrap()] {
            let plan = session.plan(all).unwrap();
            assert!(plan.contains("Spread: FilterExec"), "{plan}");
            let plan = session.plan(drawn).unwrap();
            assert!(plan.contains("Spread: ProjectionExec"), "{plan}");
            for sql in [all, drawn] {
                let found = numbers(&session.query(sql).unwrap());
                assert!(found.is_sorted() && found.len() > 20_000);
                assert_eq!(found, numbers(&one.query(sql).unwrap()));
            }
        }
    }

    #[test]
    fn a_limit_and_an_error_end_it() {
        let dir = tempfile::tempdir().unwrap();
        let session = session(dir.path(), 2);
        let sql = "SELECT doc_id FROM numbers WHERE uniform(doc_id, 3) < 0.5 LIMIT 3";
        assert_eq!(numbers(&session.query(sql).unwrap()).len(), 3);
        let sql = "SELECT normalize_text(CAST(doc_id AS VARCHAR), 'nfx') FROM numbers";
        let error = session.query(sql).unwrap_err().to_string();
        assert!(error.contains("nfx"), "{error}");
    }
}
