//! A table of the store as a table of DataFusion: its parts in order of `doc_id`, strings as views.
//!
//! Only parts that the manifest lists are read. With one target partition a scan of a table that
//! has `doc_id` and selects it has one partition in that order, which `merge.rs` relies on.
//! Filters and limits reach the Parquet reader through DataFusion's own rules.

use std::sync::Arc;

use arrow::compute::SortOptions;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{
    ColumnStatistics, DFSchema, Result as PlanResult, ScalarValue, Statistics,
};
use datafusion::datasource::TableType;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::object_store::path::Path as ObjectPath;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{LexOrdering, PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, displayable,
};

use super::failure;
use crate::error::{Error, Result};
use crate::store::manifest::Part;
use crate::store::table::Table;

/// The column that tables are sorted by.
pub(crate) const DOC_ID: &str = "doc_id";

/// A committed table as queries see it.
#[derive(Debug)]
pub(crate) struct StoredTable {
    name: String,
    table: Table,
    schema: SchemaRef,
    /// Of a table that is not in the file system: its store, and its folder there.
    remote: Option<(ObjectStoreUrl, ObjectPath)>,
}

impl StoredTable {
    /// Reads the schema of the first part; the name is told in errors.
    pub fn new(name: &str, table: Table) -> Result<Self> {
        let schema = table.schema()?;
        let schema = viewed(schema.as_ref());
        Ok(Self { name: name.into(), table, schema, remote: None })
    }

    /// A table whose parts are in a folder of an object store, with the columns of the parts.
    pub fn remote(
        table: Table,
        columns: &Schema,
        store: ObjectStoreUrl,
        folder: ObjectPath,
    ) -> Self {
        let name = format!("{store}{folder}");
        Self { name, table, schema: viewed(columns), remote: Some((store, folder)) }
    }

    /// The table that is read.
    pub fn table(&self) -> &Table {
        &self.table
    }

    fn doc_id(&self) -> Option<usize> {
        let (i, field) = self.schema.column_with_name(DOC_ID)?;
        (field.data_type() == &DataType::UInt64).then_some(i)
    }

    /// One part as the Parquet source wants it, with what the manifest knows of it.
    fn file(&self, part: &Part) -> PlanResult<PartitionedFile> {
        let location = match &self.remote {
            Some((_, folder)) => ObjectPath::parse(format!("{folder}/{}", part.file))?,
            None => {
                let path = self
                    .table
                    .present(part)
                    .map_err(|e| failure::wrap(e.within(format!("table `{}`", self.name))))?;
                ObjectPath::from_absolute_path(path)?
            }
        };
        let mut file = PartitionedFile::new("", part.bytes);
        file.object_meta.location = location;
        Ok(file.with_statistics(Arc::new(self.statistics_of([part]))))
    }

    fn statistics_of<'a>(&self, parts: impl IntoIterator<Item = &'a Part>) -> Statistics {
        let mut statistics = Statistics::new_unknown(&self.schema);
        let (mut rows, mut ids) = (0, None::<(u64, u64)>);
        for part in parts {
            rows += part.rows;
            if let Some((low, high)) = part.ids {
                let (a, b) = ids.unwrap_or((low, high));
                ids = Some((a.min(low), b.max(high)));
            }
        }
        statistics.num_rows = Precision::Exact(rows as usize);
        if let (Some(i), Some((low, high))) = (self.doc_id(), ids) {
            statistics.column_statistics[i] = ColumnStatistics {
                null_count: Precision::Exact(0),
                min_value: Precision::Exact(ScalarValue::UInt64(Some(low))),
                max_value: Precision::Exact(ScalarValue::UInt64(Some(high))),
                ..ColumnStatistics::new_unknown()
            };
        }
        statistics
    }

    fn plan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> PlanResult<Arc<dyn ExecutionPlan>> {
        let partitions = state.config().target_partitions().max(1);
        let mut runs = self.table.runs();
        if runs.is_empty() {
            // A file without rows is scanned all the same: the scan has the order that joins need.
            runs.push(self.table.manifest.parts.iter().take(1).collect());
        }
        let wants_id = |i: usize| projection.is_none_or(|columns| columns.contains(&i));
        let order = self.doc_id().map(|i| by_doc_id(i).into());
        let merged = runs.len() > 1 && self.doc_id().is_some_and(wants_id);
        let groups = if merged {
            runs
        } else if runs.len() == 1 || partitions == 1 {
            // Without `doc_id` among the columns, parts are read one after the other.
            chunks(runs.concat(), partitions)
        } else {
            runs
        };
        let sorted = runs_are_sorted(&groups);
        let groups = groups
            .iter()
            .map(|run| run.iter().map(|part| self.file(part)).collect::<PlanResult<Vec<_>>>())
            .map(|files| Ok(FileGroup::new(files?)))
            .collect::<PlanResult<Vec<_>>>()?;

        let mut source = ParquetSource::new(self.schema.clone())
            .with_table_parquet_options(state.default_table_options().parquet);
        if let (true, Some(filter)) = (merged && partitions == 1, conjunction(filters.to_vec())) {
            // The merge hides the scan from the rules that push filters down later.
            let schema = DFSchema::try_from(self.schema.clone())?;
            source = source.with_predicate(state.create_physical_expr(filter, &schema)?);
        }
        let store = match &self.remote {
            Some((store, _)) => store.clone(),
            None => ObjectStoreUrl::local_filesystem(),
        };
        let config = FileScanConfigBuilder::new(store, Arc::new(source))
            .with_file_groups(groups)
            .with_statistics(self.statistics_of(&self.table.manifest.parts))
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .with_output_ordering(order.filter(|_| sorted).into_iter().collect())
            .with_preserve_order(partitions == 1)
            .build();
        let scan: Arc<dyn ExecutionPlan> = DataSourceExec::from_data_source(config);
        if !merged || partitions > 1 {
            return Ok(scan);
        }
        let Some((id, _)) = scan.schema().column_with_name(DOC_ID) else { return Ok(scan) };
        Ok(Arc::new(MergedScan::new(scan, id)))
    }
}

/// Splits parts in order into at most `n` groups of about equal bytes.
fn chunks(parts: Vec<&Part>, n: usize) -> Vec<Vec<&Part>> {
    let total: u64 = parts.iter().map(|p| p.bytes).sum();
    let each = total.div_ceil(n as u64).max(1);
    let mut groups: Vec<Vec<&Part>> = Vec::new();
    let mut bytes = 0;
    for part in parts {
        let group = (bytes / each) as usize;
        while groups.len() <= group.min(n - 1) {
            groups.push(Vec::new());
        }
        let last = groups.len() - 1;
        groups[last].push(part);
        bytes += part.bytes;
    }
    groups.retain(|group| !group.is_empty());
    groups
}

fn runs_are_sorted(groups: &[Vec<&Part>]) -> bool {
    groups.iter().all(|run| {
        run.windows(2).all(|pair| match (pair[0].ids, pair[1].ids) {
            (Some((_, high)), Some((low, _))) => high < low,
            _ => false,
        })
    })
}

/// Ascending by the column at an index.
pub(crate) fn by_doc_id(index: usize) -> [PhysicalSortExpr; 1] {
    let expr = Arc::new(Column::new(DOC_ID, index));
    [PhysicalSortExpr { expr, options: SortOptions::default() }]
}

/// The schema with strings as views, as they are read into memory.
pub(crate) fn viewed(schema: &Schema) -> SchemaRef {
    let fields: Vec<Field> = schema
        .fields()
        .iter()
        .map(|f| match f.data_type() {
            DataType::Utf8 | DataType::LargeUtf8 => {
                f.as_ref().clone().with_data_type(DataType::Utf8View)
            }
            DataType::Binary | DataType::LargeBinary => {
                f.as_ref().clone().with_data_type(DataType::BinaryView)
            }
            _ => f.as_ref().clone(),
        })
        .collect();
    Arc::new(Schema::new(fields))
}

#[async_trait]
impl TableProvider for StoredTable {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn statistics(&self) -> Option<Statistics> {
        Some(self.statistics_of(&self.table.manifest.parts))
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> PlanResult<Vec<TableProviderFilterPushDown>> {
        // Row groups are skipped by their statistics; rows are still filtered above.
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> PlanResult<Arc<dyn ExecutionPlan>> {
        self.plan(state, projection, filters, limit)
    }
}

/// A scan of several sorted runs merged into one, as a leaf: rules that drop orders nobody asked
/// for would otherwise take the merge apart.
#[derive(Debug)]
struct MergedScan {
    merge: Arc<SortPreservingMergeExec>,
}

impl MergedScan {
    fn new(scan: Arc<dyn ExecutionPlan>, id: usize) -> Self {
        let order: LexOrdering = by_doc_id(id).into();
        Self { merge: Arc::new(SortPreservingMergeExec::new(order, scan)) }
    }
}

impl DisplayAs for MergedScan {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scan = displayable(self.merge.input().as_ref());
        write!(f, "MergedScan: {}", scan.one_line().to_string().trim_end())
    }
}

impl ExecutionPlan for MergedScan {
    fn name(&self) -> &str {
        "MergedScan"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.merge.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> PlanResult<TreeNodeRecursion>,
    ) -> PlanResult<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
    ) -> PlanResult<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> PlanResult<SendableRecordBatchStream> {
        self.merge.execute(partition, context)
    }
}

/// The operators that a plan's root reads from, the scan inside of a merged one included.
pub(crate) fn beneath(plan: &Arc<dyn ExecutionPlan>) -> Vec<&Arc<dyn ExecutionPlan>> {
    match plan.downcast_ref::<MergedScan>() {
        Some(scan) => vec![scan.merge.input()],
        None => plan.children(),
    }
}

/// The error of a column that a table lacks.
pub(crate) fn unknown_column(table: &str, column: &str, schema: &Schema) -> Error {
    let names = schema.fields().iter().map(|f| f.name().as_str());
    Error::unknown("column", column, names).within(format!("table `{table}`"))
}
