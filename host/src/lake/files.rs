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

/// When a file is large enough: some hundred thousand rows. Trino reads such files side by
/// side.
const FILE_BYTES: usize = 4 << 20;
/// When it is written, however small it will become: what columns hold before they are
/// encoded counts too.
const MEMORY_BYTES: usize = 8 << 20;
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
        if oldest.is_none_or(|(_, file, _)| file.bytes() < WORTH_CLOSING_BYTES) {
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use arrow_array::{ArrayRef, Date32Array, Int64Array};
    use arrow_schema::{DataType, Field, Schema};
    use tokio::runtime::Runtime;

    use super::*;
    use crate::pipeline::plan::{LakeLocation, LakePlan};

    /// Rows of these days, one each, with as many columns of noise, which is never the same.
    fn rows(days: &[i32], noise: usize) -> RecordBatch {
        static BATCHES: AtomicU64 = AtomicU64::new(0);
        let begin = BATCHES.fetch_add(1, Ordering::Relaxed) << 32;
        let mut fields = vec![Field::new(DAY_COLUMN, DataType::Date32, false)];
        let mut arrays: Vec<ArrayRef> = vec![Arc::new(Date32Array::from(days.to_vec()))];
        for column in 0..noise {
            let value = |row: usize| {
                let seed = begin + (row * noise + column) as u64;
                (seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (seed << 29)) as i64
            };
            fields.push(Field::new(format!("noise_{column}"), DataType::Int64, true));
            let values: Vec<i64> = (0..days.len()).map(value).collect();
            arrays.push(Arc::new(Int64Array::from(values)));
        }
        RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap()
    }

    fn with_lake(open_files: usize, test: impl FnOnce(&Lake, &Place)) {
        let folder = tempfile::tempdir().unwrap();
        let location = format!("file://{}/lake", folder.path().display());
        let plan = LakePlan {
            location: LakeLocation::parse(&location, None).unwrap(),
            endpoint: None,
            region: "r".into(),
            keys: None,
            keep_days: 0,
            open_files,
            patience: std::time::Duration::from_secs(1),
        };
        let runtime = Runtime::new().unwrap();
        let lake = Lake::open(&plan, runtime.handle().clone()).unwrap();
        let place = Place::new("d", "s", "pods", 1).unwrap();
        test(&lake, &place);
        let removed = lake.remove(&place).unwrap();
        assert!(removed > 0);
        assert_eq!(lake.remove(&place).unwrap(), 0);
        let left = std::fs::read_dir(folder.path().join("lake")).unwrap();
        assert_eq!(left.count(), 0, "folders above it go, too");
    }

    #[test]
    fn workers_share_the_files_of_days_and_have_one_each_besides() {
        with_lake(3, |lake, place| {
            let mut workers = [lake.files(place), lake.files(place)];
            for round in 0..4 {
                for worker in &mut workers {
                    let days: Vec<i32> = (0..20).map(|day| (day * 7 + round) % 20).collect();
                    worker.write(&rows(&days, 1)).unwrap();
                }
                let open: usize = workers.iter().map(|worker| worker.of_days.len()).sum();
                assert_eq!(open, 3);
                assert!(workers.iter().all(|worker| worker.of_others.is_some()));
                assert!(workers.iter().all(|worker| worker.written.files == 0));
            }
            let mut written = FilesWritten::default();
            for worker in workers {
                let finished = worker.finish().unwrap();
                written.rows += finished.rows;
                written.files += finished.files;
            }
            assert_eq!((written.rows, written.files), (160, 5));
            assert_eq!(lake.files_below(place).unwrap().len(), 5);
            // What was given back can be taken again.
            let mut another = lake.files(place);
            another.write(&rows(&[1, 2, 3], 1)).unwrap();
            assert_eq!(another.of_days.len(), 3);
        });
    }

    #[test]
    fn a_file_ends_when_it_is_large_and_makes_room_when_it_is_worth_it() {
        with_lake(1, |lake, place| {
            let mut worker = lake.files(place);
            // Some 1.25 MB of a day each, which nothing compresses.
            let of_day = |day: i32| rows(&vec![day; 20_000], 8);
            worker.write(&of_day(1)).unwrap();
            worker.write(&of_day(2)).unwrap();
            assert_eq!(worker.written.files, 1, "the first day's file made room");
            for _ in 0..5 {
                worker.write(&of_day(2)).unwrap();
            }
            assert!(worker.written.files > 1, "the second day's file was full");
            let written = worker.finish().unwrap();
            assert_eq!(written.rows, 140_000);
            assert!(written.files <= 4, "{written:?}");
            assert!(written.bytes > 5 << 20, "{written:?}");
        });
    }
}
