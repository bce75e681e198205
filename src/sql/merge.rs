//! Joins of tables by `doc_id` as one pass over both: a physical rule.
//!
//! DataFusion would put one side of an equi-join into a hash table, text and all, which does not
//! spill. Where both sides are sorted by the joined columns, as tables are by `doc_id`, this rule
//! puts a sort-merge join in its place, over one partition each, so that memory stays at a few
//! batches. Joins of anything else are left as they are.

use std::fmt;
use std::sync::Arc;

use arrow::compute::SortOptions;
use arrow::datatypes::{Field, Schema};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{JoinSide, NullEquality, Result as PlanResult};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::expressions::{BinaryExpr, Column};
use datafusion::physical_expr::{
    Distribution, OrderingRequirements, PhysicalExpr, PhysicalExprRef, PhysicalSortExpr,
};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::joins::utils::{ColumnIndex, JoinFilter};
use datafusion::physical_plan::joins::{HashJoinExec, SortMergeJoinExec};
use datafusion::physical_plan::metrics::MetricsSet;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties,
};

/// The rule; it has to run before distributions and orders are enforced.
#[derive(Debug, Default)]
pub(crate) struct MergeJoins;

/// The rule of DataFusion that this one goes in front of.
pub(crate) const BEFORE: &str = "join_selection";

impl PhysicalOptimizerRule for MergeJoins {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _: &ConfigOptions,
    ) -> PlanResult<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|node| {
            let merged = match node.downcast_ref::<HashJoinExec>() {
                Some(join) => merge(join)?,
                None => None,
            };
            Ok(match merged {
                Some(merged) => Transformed::yes(merged),
                None => Transformed::no(node),
            })
        })
        .data()
    }

    fn name(&self) -> &str {
        "merge_joins"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// The merge that does what a hash join would, when both sides are sorted by one of its keys.
fn merge(join: &HashJoinExec) -> PlanResult<Option<Arc<dyn ExecutionPlan>>> {
    let (left, right) = (join.left(), join.right());
    let mut key = None;
    for (i, (l, r)) in join.on().iter().enumerate() {
        if sorted_by(left, l)? && sorted_by(right, r)? {
            key = Some(i);
            break;
        }
    }
    let Some(key) = key else { return Ok(None) };
    let nullable = |plan: &Arc<dyn ExecutionPlan>, e: &Arc<dyn PhysicalExpr>| {
        e.nullable(plan.schema().as_ref())
    };
    let (l, r) = &join.on()[key];
    // NOT IN treats nulls in its own way, which the merge does not know; ids are never null.
    if join.null_aware && (nullable(left, l)? || nullable(right, r)?) {
        return Ok(None);
    }
    let rest: Vec<_> =
        join.on().iter().enumerate().filter(|(i, _)| *i != key).map(|(_, on)| on.clone()).collect();
    if !rest.is_empty() && join.null_equality() == NullEquality::NullEqualsNull {
        return Ok(None);
    }
    let Some(filter) = with_keys(join.filter(), &rest, left, right) else { return Ok(None) };
    let merged = SortMergeJoinExec::try_new(
        left.clone(),
        right.clone(),
        vec![join.on()[key].clone()],
        filter,
        *join.join_type(),
        vec![SortOptions::default()],
        join.null_equality(),
    )?;
    let merged: Arc<dyn ExecutionPlan> = Arc::new(MergeJoin { join: Arc::new(merged) });
    let Some(columns) = &join.projection else { return Ok(Some(merged)) };
    let schema = merged.schema();
    let exprs = columns.iter().map(|&i| {
        let name = schema.field(i).name().clone();
        (Arc::new(Column::new(&name, i)) as Arc<dyn PhysicalExpr>, name)
    });
    Ok(Some(Arc::new(ProjectionExec::try_new(exprs.collect::<Vec<_>>(), merged)?)))
}

fn sorted_by(plan: &Arc<dyn ExecutionPlan>, key: &Arc<dyn PhysicalExpr>) -> PlanResult<bool> {
    let order = PhysicalSortExpr { expr: key.clone(), options: SortOptions::default() };
    // An order that holds for any plan (a constant key) is no reason to merge.
    let ordered = plan.output_ordering().is_some();
    Ok(ordered && plan.equivalence_properties().ordering_satisfy([order])?)
}

/// The join's filter, extended by the keys that are not merged on; `None` when a key is no column.
#[expect(clippy::option_option, reason = "no filter is a valid answer")]
fn with_keys(
    filter: Option<&JoinFilter>,
    keys: &[(PhysicalExprRef, PhysicalExprRef)],
    left: &Arc<dyn ExecutionPlan>,
    right: &Arc<dyn ExecutionPlan>,
) -> Option<Option<JoinFilter>> {
    let mut indices: Vec<ColumnIndex> = filter.map_or(vec![], |f| f.column_indices().to_vec());
    let mut fields: Vec<Arc<Field>> =
        filter.map_or(vec![], |f| f.schema().fields().iter().cloned().collect());
    let mut whole = filter.map(|f| f.expression().clone());
    for (l, r) in keys {
        let mut sides = Vec::new();
        for (key, plan, side) in [(l, left, JoinSide::Left), (r, right, JoinSide::Right)] {
            let column = key.downcast_ref::<Column>()?;
            let place = fields.len();
            fields.push(Arc::new(plan.schema().field(column.index()).clone()));
            indices.push(ColumnIndex { index: column.index(), side });
            sides.push(Arc::new(Column::new(column.name(), place)) as Arc<dyn PhysicalExpr>);
        }
        let equal: Arc<dyn PhysicalExpr> =
            Arc::new(BinaryExpr::new(sides[0].clone(), Operator::Eq, sides[1].clone()));
        whole = Some(match whole {
            Some(whole) => Arc::new(BinaryExpr::new(whole, Operator::And, equal)),
            None => equal,
        });
    }
    let Some(whole) = whole else { return Some(None) };
    // The merge hands over the left columns and then the right ones, whatever the indices say.
    let mut order: Vec<usize> = (0..indices.len()).collect();
    order.sort_by_key(|&i| (indices[i].side != JoinSide::Left, i));
    let whole = whole
        .transform_up(|e| match e.downcast_ref::<Column>() {
            Some(column) => {
                let place = order.iter().position(|&i| i == column.index());
                let moved = Column::new(column.name(), place.unwrap_or(column.index()));
                Ok(Transformed::yes(Arc::new(moved) as Arc<dyn PhysicalExpr>))
            }
            None => Ok(Transformed::no(e)),
        })
        .data()
        .ok()?;
    let fields: Vec<Arc<Field>> = order.iter().map(|&i| fields[i].clone()).collect();
    let indices = order.iter().map(|&i| indices[i].clone()).collect();
    Some(Some(JoinFilter::new(whole, indices, Arc::new(Schema::new(fields)))))
}

/// A sort-merge join that wants each side in one partition: repartitioning by hash, which
/// DataFusion would add, costs the order that makes the merge cheap.
#[derive(Debug)]
struct MergeJoin {
    join: Arc<SortMergeJoinExec>,
}

impl DisplayAs for MergeJoin {
    fn fmt_as(&self, t: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.join.fmt_as(t, f)
    }
}

impl ExecutionPlan for MergeJoin {
    fn name(&self) -> &str {
        "SortMergeJoinExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.join.properties()
    }

    fn required_input_distribution(&self) -> Vec<Distribution> {
        vec![Distribution::SinglePartition; 2]
    }

    fn required_input_ordering(&self) -> Vec<Option<OrderingRequirements>> {
        self.join.required_input_ordering()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        ExecutionPlan::maintains_input_order(self.join.as_ref())
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        self.join.children()
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> PlanResult<TreeNodeRecursion>,
    ) -> PlanResult<TreeNodeRecursion> {
        self.join.apply_expressions(f)
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> PlanResult<Arc<dyn ExecutionPlan>> {
        let [left, right] = &children[..] else {
            return datafusion::common::internal_err!("a merge join has two sides");
        };
        let join = SortMergeJoinExec::try_new(
            left.clone(),
            right.clone(),
            self.join.on.clone(),
            self.join.filter.clone(),
            self.join.join_type,
            self.join.sort_options.clone(),
            self.join.null_equality,
        )?;
        Ok(Arc::new(Self { join: Arc::new(join) }))
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> PlanResult<SendableRecordBatchStream> {
        self.join.execute(partition, context)
    }

    fn metrics(&self) -> Option<MetricsSet> {
        self.join.metrics()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::testing::{numbers, table};
    use crate::sql::{Session, SessionOptions};

    fn session(dir: &Path, threads: usize) -> Session {
        let options = SessionOptions { threads: Some(threads), ..SessionOptions::default() };
        let mut session = Session::new(options).unwrap();
        session.add_table("a", table(&dir.join("a"), &[&[1, 5, 6], &[8, 9]])).unwrap();
        // Two parts whose ranges overlap.
        session.add_table("b", table(&dir.join("b"), &[&[2, 7, 12], &[1, 8, 9]])).unwrap();
        session.add_table("c", table(&dir.join("c"), &[&[5, 8, 11]])).unwrap();
        session
    }

    const JOINS: &[(&str, &[u64])] = &[
        ("SELECT a.doc_id, a.text, b.text FROM a JOIN b USING (doc_id)", &[1, 8, 9]),
        (
            "SELECT a.doc_id, a.text FROM a JOIN b ON a.doc_id = b.doc_id AND a.lang = b.lang \
             AND length(a.text) <= length(b.text) WHERE a.doc_id < 9",
            &[1, 8],
        ),
        ("SELECT a.doc_id, a.text, b.lang FROM a LEFT JOIN b USING (doc_id)", &[1, 5, 6, 8, 9]),
        ("SELECT b.doc_id, a.text FROM a RIGHT JOIN b USING (doc_id)", &[1, 2, 7, 8, 9, 12]),
        ("SELECT doc_id, text FROM a WHERE doc_id IN (SELECT doc_id FROM b)", &[1, 8, 9]),
        ("SELECT doc_id, text FROM a WHERE doc_id NOT IN (SELECT doc_id FROM b)", &[5, 6]),
        (
            "SELECT doc_id, text FROM a WHERE NOT EXISTS \
             (SELECT 1 FROM b WHERE a.doc_id = b.doc_id)",
            &[5, 6],
        ),
        (
            "SELECT a.doc_id, b.text FROM a JOIN b ON a.doc_id = b.doc_id \
             JOIN c ON b.doc_id = c.doc_id",
            &[8],
        ),
        (
            "SELECT x.doc_id, x.t FROM (SELECT doc_id, upper(text) AS t FROM a WHERE lang <> 'z') x \
             JOIN b ON x.doc_id = b.doc_id",
            &[1, 8, 9],
        ),
    ];

    #[test]
    fn tables_are_joined_by_merging() {
        let dir = tempfile::tempdir().unwrap();
        for threads in [1, 3] {
            let parallel = session(dir.path(), threads);
            let serial = parallel.serial([]).unwrap();
            for (sql, expected) in JOINS {
                for session in [&parallel, &serial] {
                    let plan = session.plan(sql).unwrap();
                    assert!(plan.contains("SortMergeJoinExec"), "{sql}\n{plan}");
                    for waste in ["HashJoinExec", "SortExec", "partitioning=Hash"] {
                        assert!(!plan.contains(waste), "{sql}\n{plan}");
                    }
                }
                assert_eq!(numbers(&serial.query(sql).unwrap()), *expected, "{sql}");
                let mut found = numbers(&parallel.query(sql).unwrap());
                found.sort_unstable();
                assert_eq!(found, *expected, "{sql}");
            }
        }
    }

    #[test]
    fn an_empty_table_is_merged_too() {
        let dir = tempfile::tempdir().unwrap();
        let mut session = session(dir.path(), 1);
        session.add_table("none", table(&dir.path().join("none"), &[&[], &[]])).unwrap();
        let sql = "SELECT a.doc_id, a.text FROM a LEFT JOIN none n USING (doc_id)";
        assert!(session.plan(sql).unwrap().contains("SortMergeJoinExec"));
        assert_eq!(numbers(&session.query(sql).unwrap()), [1, 5, 6, 8, 9]);
    }

    #[test]
    fn other_joins_stay_as_they_are() {
        let dir = tempfile::tempdir().unwrap();
        let session = session(dir.path(), 1);
        let plan = session.plan("SELECT a.doc_id FROM a JOIN b ON a.text = b.text").unwrap();
        assert!(plan.contains("HashJoinExec"), "{plan}");
    }

    #[test]
    fn a_merge_of_wide_text_fits_a_small_limit() {
        let dir = tempfile::tempdir().unwrap();
        let ids: Vec<u64> = (0..40_000).collect();
        let limit = Some(1 << 20);
        let options = SessionOptions { memory_limit: limit, ..SessionOptions::default() };
        let mut session = Session::new(options).unwrap();
        session.add_table("a", table(&dir.path().join("a"), &[&ids])).unwrap();
        session.add_table("b", table(&dir.path().join("b"), &[&ids])).unwrap();
        let sql = "SELECT a.doc_id, a.text, b.text FROM a JOIN b USING (doc_id)";
        let session = session.serial([]).unwrap();
        assert_eq!(numbers(&session.query(sql).unwrap()), ids);
    }
}
