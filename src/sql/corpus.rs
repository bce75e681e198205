//! Corpus files as tables: what `hexapla ingest` would make of them, row by row as they are read.
//!
//! Files that DataFusion knows are the business of `files`.

use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use datafusion::catalog::streaming::StreamingTable;
use datafusion::error::DataFusionError;
use datafusion::execution::TaskContext;
use datafusion::physical_plan::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchReceiverStream;
use datafusion::physical_plan::streaming::PartitionStream;

use super::failure::{self, Names};
use crate::error::{Error, Result};
use crate::ingest::columns::Columns;
use crate::ingest::stream;
use crate::source::{self, SourceSpec, unit};

/// Whether a name ends like the files of a corpus format.
pub(crate) fn is_corpus(name: &str) -> bool {
    source::by_ending(name).is_some() || name.ends_with(".zip")
}

/// The rows of the files of a source. Errors when there is no such file.
pub(crate) fn open(mut spec: SourceSpec, max_errors: u64) -> Result<Arc<dyn TableProvider>> {
    spec.name = "read".into();
    spec.into = Some(unit::natural(&spec, Path::new("."))?);
    unit::units(&spec, Path::new("."))?;
    let schema = Columns::new(spec.table())?.schema().clone();
    let files = Files { spec, max_errors, schema: schema.clone() };
    let table = StreamingTable::try_new(schema, vec![Arc::new(files)]);
    Ok(Arc::new(table.map_err(|e| failure::convert(e, &Names::default()))?))
}

#[derive(Debug)]
struct Files {
    spec: SourceSpec,
    max_errors: u64,
    schema: SchemaRef,
}

impl PartitionStream for Files {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let mut builder = RecordBatchReceiverStream::builder(self.schema.clone(), 2);
        let (sender, spec, max) = (builder.tx(), self.spec.clone(), self.max_errors);
        builder.spawn_blocking(move || {
            let mut given_up = false;
            let read = stream::batches(&spec, Path::new("."), max, &mut |batch| {
                given_up = sender.blocking_send(Ok(batch)).is_err();
                if given_up { Err(Error::internal("nobody reads on")) } else { Ok(()) }
            });
            match read {
                Err(e) if !given_up => Err(DataFusionError::External(Box::new(e))),
                _ => Ok(()),
            }
        });
        builder.build()
    }
}
