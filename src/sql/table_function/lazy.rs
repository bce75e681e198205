//! A table that is computed when it is scanned, from the rows of queries.
//!
//! The work is plain synchronous Rust over iterators of batches: it knows nothing of DataFusion
//! and runs on a thread of its own, so it may block, sort externally and use all memory that
//! [`Limits`] grants. Planning the query that contains it costs nothing.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result as PlanResult};
use datafusion::datasource::TableType;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryLimit, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, SessionState, TaskContext};
use datafusion::logical_expr::Expr;
use datafusion::physical_expr::{
    Distribution, EquivalenceProperties, OrderingRequirements, Partitioning, PhysicalExpr,
};
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::stream::RecordBatchReceiverStream;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties,
};
use futures::StreamExt;

use crate::error::{Error, Result};
use crate::sql::damage;
use crate::sql::failure::{self, Names};
use crate::sql::provider::{DOC_ID, by_doc_id};
use crate::sql::session::threads;
use crate::sql::share;

/// Rows of one input, in the order of its query.
pub(crate) type Batches = Box<dyn Iterator<Item = Result<RecordBatch>> + Send>;

/// Runs a query that the work asks for when it knows what it needs: one partition, in the order of
/// its plan.
#[derive(Clone, Default)]
pub(crate) struct Query(Option<Arc<Run>>);

type Run = dyn Fn(&str) -> Result<Batches> + Send + Sync;

impl Query {
    /// The rows of a query; names as `Named::sql`.
    pub fn rows(&self, sql: &str) -> Result<Batches> {
        match &self.0 {
            Some(run) => run(sql),
            None => Err(Error::internal("no session to run a query in")),
        }
    }
}

impl std::fmt::Debug for Query {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Query")
    }
}

/// What the work may use.
#[derive(Debug, Clone, Default)]
pub(crate) struct Limits {
    /// Bytes of memory, set aside in the session's pool: half of its limit, the rest is for the
    /// queries that are read. `None` when there is no limit.
    pub memory: Option<usize>,
    /// A folder for temporary files; `None` for the system's.
    pub temp: Option<PathBuf>,
    /// Threads.
    pub threads: usize,
    /// Further queries.
    pub query: Query,
}

/// Gets one iterator per query and hands its results to `emit` in batches of the table's schema.
pub(crate) type Work = dyn Fn(Vec<Batches>, &Limits, &mut dyn FnMut(RecordBatch) -> Result<()>) -> Result<()>
    + Send
    + Sync;

/// A table computed by some work over the rows of queries.
pub(crate) struct Lazy {
    /// What it is called in plans.
    pub name: &'static str,
    /// The columns of the result.
    pub schema: SchemaRef,
    /// Whether the rows come in ascending order of a column `doc_id`.
    pub sorted: bool,
    /// The queries to read, each one partition in the order of its plan; names as `Named::sql`.
    pub inputs: Vec<String>,
    /// The work.
    pub work: Arc<Work>,
}

impl Lazy {
    /// The table, as table functions return it.
    pub fn table(self) -> Arc<dyn TableProvider> {
        Arc::new(self)
    }
}

impl std::fmt::Debug for Lazy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} over {:?}", self.name, self.inputs)
    }
}

#[async_trait]
impl TableProvider for Lazy {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Temporary
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        _: Option<usize>,
    ) -> PlanResult<Arc<dyn ExecutionPlan>> {
        let Some(state) = state.as_any().downcast_ref::<SessionState>() else {
            return datafusion::common::internal_err!("a session without a state");
        };
        let mut inputs = Vec::new();
        for sql in &self.inputs {
            let logical = state.create_logical_plan(sql).await?;
            inputs.push(share::physical_plan(state, &logical).await?);
        }
        let mut state = state.clone();
        state.config_mut().options_mut().execution.target_partitions = 1;
        let scan: Arc<dyn ExecutionPlan> = Arc::new(LazyScan::new(self, inputs, Arc::new(state)));
        let Some(columns) = projection else { return Ok(scan) };
        let exprs = columns.iter().map(|&i| {
            let name = self.schema.field(i).name().clone();
            let column = datafusion::physical_expr::expressions::Column::new(&name, i);
            (Arc::new(column) as Arc<dyn PhysicalExpr>, name)
        });
        Ok(Arc::new(ProjectionExec::try_new(exprs.collect::<Vec<_>>(), scan)?))
    }
}

struct LazyScan {
    name: &'static str,
    schema: SchemaRef,
    inputs: Vec<Arc<dyn ExecutionPlan>>,
    work: Arc<Work>,
    /// Plans further queries, with one partition.
    state: Arc<SessionState>,
    properties: Arc<PlanProperties>,
}

impl LazyScan {
    fn new(table: &Lazy, inputs: Vec<Arc<dyn ExecutionPlan>>, state: Arc<SessionState>) -> Self {
        let id = table.schema.column_with_name(DOC_ID).filter(|_| table.sorted);
        let order = id.map(|(i, _)| by_doc_id(i));
        let properties = PlanProperties::new(
            EquivalenceProperties::new_with_orderings(table.schema.clone(), order),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Final,
            Boundedness::Bounded,
        );
        Self {
            name: table.name,
            schema: table.schema.clone(),
            inputs,
            work: table.work.clone(),
            state,
            properties: Arc::new(properties),
        }
    }
}

impl std::fmt::Debug for LazyScan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl DisplayAs for LazyScan {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TableFunction: {}", self.name)
    }
}

impl ExecutionPlan for LazyScan {
    fn name(&self) -> &str {
        "TableFunction"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn required_input_distribution(&self) -> Vec<Distribution> {
        vec![Distribution::SinglePartition; self.inputs.len()]
    }

    fn required_input_ordering(&self) -> Vec<Option<OrderingRequirements>> {
        // Each input in its own order: partitions are merged, not strung together as they come.
        let orders = self.inputs.iter().map(|i| i.output_ordering().cloned());
        orders.map(|order| order.map(OrderingRequirements::from)).collect()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        self.inputs.iter().collect()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> PlanResult<TreeNodeRecursion>,
    ) -> PlanResult<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        inputs: Vec<Arc<dyn ExecutionPlan>>,
    ) -> PlanResult<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Self {
            name: self.name,
            schema: self.schema.clone(),
            inputs,
            work: self.work.clone(),
            state: self.state.clone(),
            properties: self.properties.clone(),
        }))
    }

    fn execute(
        &self,
        _: usize,
        context: Arc<TaskContext>,
    ) -> PlanResult<SendableRecordBatchStream> {
        let reserved = reserve(self.name, &context)?;
        let limits = Limits {
            memory: reserved.as_ref().map(MemoryReservation::size),
            temp: context.runtime_env().disk_manager.temp_dir_paths().into_iter().next(),
            threads: threads(&context),
            query: query(self.state.clone(), context.clone()),
        };
        let inputs = self.inputs.iter().map(|input| batches(input.clone(), context.clone()));
        let inputs: Vec<Batches> = inputs.collect();
        let (name, work, schema) = (self.name, self.work.clone(), self.schema.clone());
        let mut out = RecordBatchReceiverStream::builder(self.schema.clone(), 2);
        let sender = out.tx();
        out.spawn_blocking(move || {
            let _reserved = reserved;
            let mut gone = false;
            let mut emit = |batch: RecordBatch| {
                let batch = fit(name, &schema, batch)?;
                // The reader is gone, as under LIMIT: there is nobody to tell.
                gone = sender.blocking_send(Ok(batch)).is_err();
                if gone { Err(Error::usage("the reader has stopped")) } else { Ok(()) }
            };
            match work(inputs, &limits, &mut emit) {
                Err(e) if !gone => Err(DataFusionError::External(Box::new(e))),
                _ => Ok(()),
            }
        });
        Ok(out.build())
    }
}

/// Sets half of the session's memory aside, or what is left of it when that is taken.
fn reserve(name: &str, context: &TaskContext) -> PlanResult<Option<MemoryReservation>> {
    let MemoryLimit::Finite(limit) = context.memory_pool().memory_limit() else { return Ok(None) };
    let reservation = MemoryConsumer::new(name).register(context.memory_pool());
    let mut share = limit / 2;
    loop {
        match reservation.try_grow(share) {
            Ok(()) => return Ok(Some(reservation)),
            Err(e) if share < limit / 16 => return Err(e),
            Err(_) => share /= 2,
        }
    }
}

/// The rows of a plan of one partition, read ahead while the work is busy with those before.
fn batches(plan: Arc<dyn ExecutionPlan>, context: Arc<TaskContext>) -> Batches {
    let runtime = tokio::runtime::Handle::current();
    let mut ahead = RecordBatchReceiverStream::builder(plan.schema(), 2);
    let (sender, source) = (ahead.tx(), plan.clone());
    ahead.spawn(async move {
        let mut rows = source.execute(0, context)?;
        while let Some(batch) = rows.next().await {
            // Nobody waits for it: the work has what it needs, or has failed.
            if sender.send(batch).await.is_err() {
                break;
            }
        }
        Ok(())
    });
    let mut stream = ahead.build();
    Box::new(std::iter::from_fn(move || {
        let batch = runtime.block_on(stream.next())?;
        let told = |e| failure::convert(damage::located(e, &plan), &Names::default());
        Some(batch.map_err(told))
    }))
}

fn query(state: Arc<SessionState>, context: Arc<TaskContext>) -> Query {
    let runtime = tokio::runtime::Handle::current();
    Query(Some(Arc::new(move |sql: &str| {
        let _inside = runtime.enter();
        let plan = runtime.block_on(async {
            let logical = state.create_logical_plan(sql).await?;
            share::physical_plan(&state, &logical).await
        });
        let plan = plan.map_err(|e| failure::convert(e, &Names::default()))?;
        let plan: Arc<dyn ExecutionPlan> = match plan.output_partitioning().partition_count() {
            1 => plan,
            _ => Arc::new(CoalescePartitionsExec::new(plan)),
        };
        Ok(batches(plan, context.clone()))
    })))
}

/// The batch with the types that were promised, strings in whichever width.
fn fit(name: &str, schema: &SchemaRef, batch: RecordBatch) -> Result<RecordBatch> {
    if batch.num_columns() != schema.fields().len() {
        return Err(Error::internal(format!(
            "{name}() made {} columns in place of {}",
            batch.num_columns(),
            schema.fields().len()
        )));
    }
    let pairs = batch.columns().iter().zip(schema.fields());
    let columns = pairs.map(|(c, f)| Ok(arrow::compute::cast(c, f.data_type())?));
    Ok(RecordBatch::try_new(schema.clone(), columns.collect::<Result<Vec<_>>>()?)?)
}
