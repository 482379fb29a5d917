//! Writes rows of a generation as Parquet files, of a bounded size and a bounded number at a
//! time.
//!
//! A file is made in memory and put into the store whole, so that nothing half written is
//! ever there, and no upload in parts is left behind by a host that was killed. Files are of
//! one UTC day each while a worker's days have room side by side; the rows of days beyond
//! that share a file, since Trino groups by the day's column and asks no file for its day.

use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::types::Date32Type;
use arrow_array::{BooleanArray, RecordBatch};
use arrow_schema::SchemaRef;
use arrow_select::filter::filter_record_batch;
use chrono::{DateTime, Days};
use object_store::path::Path;
use object_store::{ObjectStoreExt as _, PutPayload};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use tokio::sync::OwnedSemaphorePermit;

use super::{Lake, Place, store};
use crate::diagnostics::engine_error::EngineResult;
use crate::diagnostics::failure::Failure;
use crate::fold::DAY_COLUMN;

/// When a file is large enough: a few hundred thousand rows. Trino reads such files side by
/// side.
const FILE_BYTES: usize = 8 << 20;
/// When it is written, however small it will become: what columns hold before they are
/// encoded counts too.
const MEMORY_BYTES: usize = 16 << 20;
/// Below this a file is not closed to make room for another day's: days that take turns
/// would make a file of each batch.
const WORTH_CLOSING_BYTES: usize = 1 << 20;

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FilesWritten {
    pub rows: u64,
    pub bytes: u64,
    pub files: u64,
}

/// The files that one worker writes.
pub struct FileWriters {
    lake: Lake,
    folder: String,
    /// Each of one day, the one that was written last at the end.
    of_days: Vec<(i32, OpenFile, OwnedSemaphorePermit)>,
    /// Of days that have no file of their own.
    of_others: Option<OpenFile>,
    written: FilesWritten,
}

/// A file as it grows.
struct OpenFile {
    writer: ArrowWriter<Vec<u8>>,
    schema: SchemaRef,
    rows: u64,
}

impl FileWriters {
    pub(super) fn new(lake: &Lake, place: &Place) -> FileWriters {
        FileWriters {
            lake: lake.clone(),
            folder: place.data(),
            of_days: Vec::new(),
            of_others: None,
            written: FilesWritten::default(),
        }
    }

    /// Adds rows of any days. They have the columns of `StoredRows::record_batch`.
    ///
    /// # Errors
    /// The store does not take a file.
    pub fn write(&mut self, rows: &RecordBatch) -> EngineResult<()> {
        let days = rows
            .column_by_name(DAY_COLUMN)
            .and_then(|days| days.as_primitive_opt::<Date32Type>())
            .ok_or_else(|| Failure::bug(format!("rows for the lake have no `{DAY_COLUMN}`")))?
            .values();
        let mut distinct: Vec<i32> = days.to_vec();
        distinct.sort_unstable();
        distinct.dedup();
        if let [day] = distinct[..] {
            return self.write_day(day, rows);
        }
        for day in distinct {
            let mask: BooleanArray = days.iter().map(|of_row| Some(*of_row == day)).collect();
            let of_day = filter_record_batch(rows, &mask).map_err(unwritable)?;
            self.write_day(day, &of_day)?;
        }
        Ok(())
    }

    /// Writes what is left.
    ///
    /// # Errors
    /// The store does not take a file.
    pub fn finish(mut self) -> EngineResult<FilesWritten> {
        for (day, file, _permit) in std::mem::take(&mut self.of_days) {
            self.put(Some(day), file)?;
        }
        if let Some(file) = self.of_others.take() {
            self.put(None, file)?;
        }
        Ok(self.written)
    }

    fn write_day(&mut self, day: i32, rows: &RecordBatch) -> EngineResult<()> {
        let Some(position) = self.position_of(day, rows)? else {
            let mut file = match self.of_others.take() {
                Some(file) if file.schema == rows.schema() => file,
                other => {
                    if let Some(other) = other {
                        self.put(None, other)?;
                    }
                    OpenFile::new(rows.schema())?
                }
            };
            file.write(rows)?;
            match file.is_full() {
                true => self.put(None, file)?,
                false => self.of_others = Some(file),
            }
            return Ok(());
        };
        let (_, mut file, permit) = self.of_days.remove(position);
        file.write(rows)?;
        match file.is_full() {
            true => self.put(Some(day), file)?,
            false => self.of_days.push((day, file, permit)),
        }
        Ok(())
    }

    /// The place of the day's file, which is opened if there is room, or if room can be made.
    fn position_of(&mut self, day: i32, rows: &RecordBatch) -> EngineResult<Option<usize>> {
        let position = self.of_days.iter().position(|(other, ..)| *other == day);
        if let Some(position) = position {
            if self.of_days[position].1.schema == rows.schema() {
                return Ok(Some(position));
            }
            // A text that was keyed before is not now.
            let (_, file, _permit) = self.of_days.remove(position);
            self.put(Some(day), file)?;
        }
        if let Some(permit) = self.lake.file_permit() {
            let file = OpenFile::new(rows.schema())?;
            self.of_days.push((day, file, permit));
            return Ok(Some(self.of_days.len() - 1));
        }
        let oldest = self.of_days.first();
        if !oldest.is_some_and(|(_, file, _)| file.bytes() >= WORTH_CLOSING_BYTES) {
            return Ok(None);
        }
        let (other, file, permit) = self.of_days.remove(0);
        self.put(Some(other), file)?;
        let file = OpenFile::new(rows.schema())?;
        self.of_days.push((day, file, permit));
        Ok(Some(self.of_days.len() - 1))
    }

    /// Ends a file and puts it into the store, under a name that no file had before.
    fn put(&mut self, day: Option<i32>, file: OpenFile) -> EngineResult<()> {
        let rows = file.rows;
        let bytes = file.writer.into_inner().map_err(unwritable)?;
        let day = day.and_then(|day| {
            DateTime::UNIX_EPOCH
                .date_naive()
                .checked_add_days(Days::new(u64::try_from(day).ok()?))
        });
        let day = day.map_or_else(|| "days".to_owned(), |day| day.to_string());
        let name = format!("{day}-{}.parquet", uuid::Uuid::new_v4().simple());
        let path = self.lake.path(&format!("{}/{name}", self.folder))?;
        self.written.rows += rows;
        self.written.bytes += bytes.len() as u64;
        self.written.files += 1;
        self.lake.put(&path, bytes)
    }
}

impl OpenFile {
    fn new(schema: SchemaRef) -> EngineResult<OpenFile> {
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_statistics_enabled(EnabledStatistics::Chunk)
            // The file's own bound comes before.
            .set_max_row_group_row_count(None)
            .build();
        let options = ArrowWriterOptions::new()
            .with_properties(properties)
            .with_skip_arrow_metadata(true);
        let writer = ArrowWriter::try_new_with_options(Vec::new(), Arc::clone(&schema), options)
            .map_err(unwritable)?;
        Ok(OpenFile {
            writer,
            schema,
            rows: 0,
        })
    }

    fn write(&mut self, rows: &RecordBatch) -> EngineResult<()> {
        self.rows += rows.num_rows() as u64;
        Ok(self.writer.write(rows).map_err(unwritable)?)
    }

    fn bytes(&self) -> usize {
        self.writer.in_progress_size()
    }

    fn is_full(&self) -> bool {
        self.bytes() >= FILE_BYTES || self.writer.memory_size() >= MEMORY_BYTES
    }
}

/// Arrow and Parquet refuse nothing that we give them.
fn unwritable(error: impl Into<anyhow::Error>) -> Failure {
    Failure::bug("cannot write rows as Parquet").because(error)
}

impl Lake {
    /// A place for one more file of a day, if there is one; nobody waits for it.
    fn file_permit(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.shared.open_files).try_acquire_owned().ok()
    }

    fn put(&self, path: &Path, bytes: Vec<u8>) -> EngineResult<()> {
        let put = self.shared.store.put(path, PutPayload::from(bytes));
        self.wait(put)
            .map(drop)
            .map_err(|error| store::error(&self.shared.location.shown, "write a file", &error))
    }
}
