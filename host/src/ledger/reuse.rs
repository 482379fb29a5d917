//! Reuse: an upload that repeats hours of earlier uploads takes their generations instead
//! of loading these hours again.
//!
//! SQL decides which generations may be reused, by how they were loaded. This file decides
//! whether the upload repeats what was read for them: every hour of every report, byte by
//! byte. An earlier upload is reused whole or not at all.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveTime, Utc};
use sqlx::{FromRow, PgConnection};

use crate::diagnostics::failpoint::{self, Failpoint};
use crate::ingest::hours::{self, HourRead, HoursRead, ReusedHours, hour_of};
use crate::ingest::{FileKind, IngestedFile};
use crate::payload::Manifest;

/// The earlier uploads that an upload reuses, or may reuse.
#[derive(Debug, Default)]
pub struct Reuse(Vec<ReusedUpload>);

#[derive(Debug, Default, PartialEq, Eq)]
struct ReusedUpload {
    manifest_id: i32,
    generations: BTreeSet<i64>,
    /// The hours that were read for them, by report kind.
    read: BTreeMap<String, HoursRead>,
}

/// One row of `gristmill_generation.select_reusable.sql`.
#[derive(FromRow)]
struct Hour {
    generation: i64,
    manifest_id: i32,
    report: Option<String>,
    interval_start: Option<DateTime<Utc>>,
    rows_read: Option<i64>,
    digest: Option<[u8; 16]>,
}

impl Reuse {
    /// Finds the uploads before this one that were loaded as it is about to be. The
    /// manifest's window says where to look, and need not be right.
    pub(crate) async fn find(
        connection: &mut PgConnection,
        manifest_id: i32,
        manifest: &Manifest,
        fingerprint: &str,
    ) -> Result<Self, sqlx::Error> {
        let (first, last) = window(manifest);
        let hours: Vec<Hour> = sqlx::query_as(include_str!(
            "../../../sql/gristmill_generation.select_reusable.sql"
        ))
        .bind(manifest_id)
        .bind(fingerprint)
        .bind(DateTime::from_timestamp_micros(first))
        .bind(DateTime::from_timestamp_micros(last))
        .fetch_all(connection)
        .await?;
        Ok(Self::of(hours))
    }

    fn of(hours: Vec<Hour>) -> Self {
        let mut uploads: BTreeMap<i32, ReusedUpload> = BTreeMap::new();
        for hour in hours {
            let upload = uploads.entry(hour.manifest_id).or_default();
            upload.manifest_id = hour.manifest_id;
            upload.generations.insert(hour.generation);
            if let Some((report, start, read)) = hour.read() {
                let hours = upload.read.entry(report).or_default();
                hours.entry(start).or_default().add(read);
            }
        }
        Self(uploads.into_values().collect())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The hours that were read for them.
    pub fn hours(&self) -> ReusedHours {
        let mut reused = ReusedHours::default();
        for (report, hours) in self.0.iter().flat_map(|upload| &upload.read) {
            let hours = hours.keys().copied();
            reused.0.entry(report.clone()).or_default().extend(hours);
        }
        reused
    }

    /// Drops the uploads of which an hour is not in the files, or not as it was read for
    /// them; says whether there were any. The files were ingested without [`Reuse::hours`].
    pub fn drop_unlike(&mut self, files: &[IngestedFile]) -> bool {
        let mut found: BTreeMap<&str, HoursRead> = BTreeMap::new();
        // Nothing of a report is reused when its rows do not tell their hours.
        let mut unknown = BTreeSet::new();
        for file in files {
            let FileKind::Report(report) = &file.kind else {
                continue;
            };
            match &file.read {
                Some(read) => hours::unite(found.entry(report).or_default(), &read.reused),
                None => {
                    unknown.insert(report.as_str());
                }
            }
        }
        let before = self.0.len();
        self.0.retain(|upload| {
            upload.read.iter().all(|(report, hours)| {
                let found = found.get(report.as_str());
                !unknown.contains(report.as_str())
                    && hours
                        .iter()
                        .all(|(hour, read)| found.and_then(|found| found.get(hour)) == Some(read))
            })
        });
        self.0.len() < before
    }

    /// The generations that become the upload's.
    pub fn generations(&self) -> Vec<i64> {
        let generations = self.0.iter().flat_map(|upload| &upload.generations);
        generations.copied().collect()
    }

    /// Gives the generations to the manifest of the upload; returns whether all of them
    /// were still there.
    pub(super) async fn give_to(
        &self,
        connection: &mut PgConnection,
        manifest_id: i32,
    ) -> Result<bool, sqlx::Error> {
        if self.is_empty() {
            return Ok(true);
        }
        let generations = self.generations();
        let given = sqlx::query(include_str!("../../../sql/gristmill_generation.reuse.sql"))
            .bind(manifest_id)
            .bind(&generations)
            .execute(connection)
            .await?;
        failpoint::passed(Failpoint::GenerationsReused);
        Ok(given.rows_affected() == generations.len() as u64)
    }
}

impl Hour {
    fn read(self) -> Option<(String, i64, HourRead)> {
        let read = HourRead {
            rows: self.rows_read?.unsigned_abs(),
            digest: u128::from_be_bytes(self.digest?),
        };
        Some((self.report?, self.interval_start?.timestamp_micros(), read))
    }
}

/// The first hour and the last instant that an upload is said to have, in microseconds since
/// the epoch.
pub(crate) fn window(manifest: &Manifest) -> (i64, i64) {
    let last = manifest.end.unwrap_or(manifest.date);
    let midnight = last.date_naive().and_time(NaiveTime::MIN).and_utc();
    let first = manifest.start.unwrap_or(midnight);
    (hour_of(first.timestamp_micros()), last.timestamp_micros())
}

/// The hours read of the files, by report kind, for uploads that may reuse them later;
/// `None` when the rows of a file do not tell their hours.
pub(crate) fn read_of(files: &[IngestedFile]) -> Option<BTreeMap<&str, HoursRead>> {
    let mut read: BTreeMap<&str, HoursRead> = BTreeMap::new();
    for file in files {
        if let FileKind::Report(report) = &file.kind {
            let of_file = file.read.as_ref()?;
            hours::unite(read.entry(report).or_default(), &of_file.new);
        }
    }
    Some(read)
}

/// Records what was read for a generation.
pub(crate) async fn record(
    connection: &mut PgConnection,
    generation: i64,
    read: &BTreeMap<&str, HoursRead>,
) -> Result<(), sqlx::Error> {
    let (mut reports, mut starts, mut rows, mut digests) = (vec![], vec![], vec![], vec![]);
    for (report, hours) in read {
        for (hour, read) in hours {
            reports.push(*report);
            starts.push(DateTime::from_timestamp_micros(*hour));
            rows.push(read.rows as i64);
            digests.push(read.digest.to_be_bytes().to_vec());
        }
    }
    sqlx::query(include_str!("../../../sql/gristmill_hour_read.insert.sql"))
        .bind(generation)
        .bind(reports)
        .bind(starts)
        .bind(rows)
        .bind(digests)
        .execute(connection)
        .await
        .map(drop)
}
