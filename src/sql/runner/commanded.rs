//! A `-- run:` query over the parts of its table: what is finished stays, the rest goes through
//! the command in one go.

use arrow::array::AsArray;
use arrow::datatypes::{DataType, UInt64Type};

use super::command::{Command, Reader, Writer};
use super::{Columns, Job, Outcome, alone};
use crate::error::{Error, Result};
use crate::sql::provider::DOC_ID;
use crate::sql::session::Session;
use crate::store::manifest::{Manifest, Part};
use crate::store::table::Table;

impl Job<'_> {
    /// Sends the parts that are not finished through a command, and commits.
    pub(super) fn commanded(
        mut self,
        command: &Command,
        input: &str,
        table: &Table,
    ) -> Result<Manifest> {
        let asked = self.session.schema(&self.sql)?;
        if asked.field_with_name(DOC_ID).ok().map(|f| f.data_type()) != Some(&DataType::UInt64) {
            return Err(Error::usage(format!("the rows of a command need their `{DOC_ID}`")));
        }
        let parts: Vec<&Part> = table.runs().concat();
        let mut outcomes = Vec::new();
        for part in &parts {
            outcomes.push(self.finished(&self.key_of(part), part)?);
        }
        let left: Vec<usize> = (0..parts.len()).filter(|i| outcomes[*i].is_none()).collect();
        let before = match outcomes.iter().flatten().next() {
            Some(done) => Some(self.columns_of(done)?),
            None => None,
        };
        self.columns = before.clone().unwrap_or_default();
        if !left.is_empty() || parts.is_empty() {
            self.advance(outcomes.iter().flatten().map(|done| done.rows_in).sum());
            let (session, sql) = (self.session, self.sql.clone());
            let feed = |writer: &mut Writer| {
                left.iter().try_for_each(|i| {
                    let session = alone(session, input, table, parts[*i])?;
                    session.stream(&sql, &mut |batch| writer.write(&batch)).map(|_| ())
                })
            };
            let take = |reader: &mut Reader<'_>| {
                self.columns = Columns::of(&self.spec.query.name, &reader.schema())?;
                if before.is_some_and(|before| before != self.columns) {
                    return Err(Error::usage("the command gives other columns than it did")
                        .hint_with("`--force` makes all parts anew"));
                }
                for i in &left {
                    let session = alone(session, input, table, parts[*i])?;
                    outcomes[*i] = Some(self.answered(reader, &session, parts[*i])?);
                }
                reader.end()
            };
            command.talk(asked, feed, take)?;
        }
        self.commit(outcomes.into_iter().flatten().collect())
    }

    /// The columns that a finished part was written with.
    fn columns_of(&self, done: &Outcome) -> Result<Columns> {
        let manifest = Manifest { parts: done.parts.clone(), ..Manifest::default() };
        let found = Table { dir: self.spec.out_dir.clone(), manifest }.schema()?;
        Columns::of(&self.spec.query.name, &found)
    }

    /// What a command answers to one part. Its ids are read again, so that a command may read as
    /// far ahead as it likes without anything being kept for it.
    fn answered(&self, reader: &mut Reader<'_>, session: &Session, part: &Part) -> Result<Outcome> {
        let mut ids = Vec::new();
        session.stream(&format!("SELECT {DOC_ID} FROM ({}) AS fed", self.sql), &mut |batch| {
            ids.extend_from_slice(batch.column(0).as_primitive::<UInt64Type>().values());
            Ok(())
        })?;
        let key = self.key_of(part);
        let key = move |_| key.clone();
        let mut split = self.split(u64::MAX, &key);
        reader.part(&ids, &mut |batch| {
            self.advance(batch.num_rows() as u64);
            split.push(&batch)
        })?;
        Ok(Outcome { rows_in: part.rows, ..split.finish()? })
    }
}
