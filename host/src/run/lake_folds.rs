//! The lake and Trino of a pipeline, and the places there: recorded before anything is, and
//! removed when nobody needs them.

use crate::database::Database;
use crate::diagnostics::failpoint::{self, Failpoint};
use crate::diagnostics::failure::{Failure, Result};
use crate::fold::TableFold;
use crate::lake::{Lake, Place};
use crate::ledger::lake_record::{self, LakeRecord};
use crate::ledger::publish::Upload;
use crate::load::Loader;
use crate::pipeline::plan::{LakePlan, Plan, TrinoPlan};
use crate::terminal;
use crate::trino::Trino;

/// What is told of places that are not removed.
const STAYS: &str = "stays until the next run of its cluster, or `gristmill clean --pipeline`";

/// The servers of engine `trino`.
#[derive(Clone)]
pub struct LakeFolds {
    lake: Lake,
    trino: Trino,
    plan: LakePlan,
}

/// How a run is through with its places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PlacesEnd {
    Folded,
    Failed,
    /// It failed, since the servers do not answer.
    Away,
}

impl LakeFolds {
    /// Opens those of a pipeline, if it has them; neither is asked for anything yet.
    ///
    /// # Errors
    /// A secret or a certificate is not where the definition says.
    pub fn of(plan: &Plan, database: &Database) -> Result<Option<Self>> {
        let servers = plan.lake.as_ref().zip(plan.trino.as_ref());
        let opened = servers.map(|(lake, trino)| Self::open(lake, trino, database));
        opened.transpose()
    }

    /// Opens both.
    ///
    /// # Errors
    /// As `of`.
    pub fn open(lake: &LakePlan, trino: &TrinoPlan, database: &Database) -> Result<Self> {
        let runtime = database.runtime().clone();
        Ok(Self {
            lake: Lake::open(lake, runtime.clone()).map_err(|error| error.failure)?,
            trino: Trino::open(trino, runtime).map_err(|error| error.failure)?,
            plan: lake.clone(),
        })
    }

    /// Removes what no run needs of all sources that none is at work on; returns the places,
    /// and what could not be removed.
    ///
    /// # Errors
    /// The database is a copy of another one, whose lake it is, or it fails.
    pub fn clean(&self, database: &Database, dry_run: bool) -> Result<(Vec<String>, Vec<String>)> {
        let (mut places, mut left) = (Vec::new(), Vec::new());
        lake_record::for_each_idle_source(database, |records| {
            for record in records {
                let removed = match dry_run {
                    true => Ok(record.location == self.lake.location()),
                    false => self.remove(database, record),
                };
                match removed {
                    Ok(true) => places.push(record.place.clone()),
                    Ok(false) => left.push(format!(
                        "`{}` is below `{}`, which is another lake than the pipeline's",
                        record.place, record.location
                    )),
                    Err(failure) => left.push(failure.to_string()),
                }
            }
            Ok(())
        })?;
        Ok((places, left))
    }

    /// The same, but that no hours are kept in the lake once they are folded.
    #[must_use]
    pub fn keeping_nothing(mut self) -> Self {
        self.plan.keep_days = 0;
        self
    }

    /// Cancels what Trino is at, before the process ends.
    pub async fn cancel(&self) {
        self.trino.cancel_running().await;
    }

    /// As `Trino::end_on_signals`.
    ///
    /// # Errors
    /// Signals cannot be waited for.
    pub fn end_on_signals(&self) -> Result<()> {
        self.trino.end_on_signals()
    }

    /// The loader that writes to the lake, at places of this run.
    ///
    /// # Errors
    /// The database is a copy of another one, whose lake it is, or it fails.
    pub(super) fn loader(
        &self,
        database: &Database,
        loader: &Loader,
        upload: &Upload<'_>,
        run_id: i64,
    ) -> Result<(Loader, Vec<Place>)> {
        let identity = lake_record::identity(database)?.to_string();
        let mut places = Vec::new();
        let loader = loader.in_lake(&self.lake, &self.trino, |fold: &TableFold| {
            let schema = database.schema().to_string();
            let place = Place::new(&identity, &schema, fold.name, upload.generation)
                .map_err(|error| Failure::bug("no place in the lake").because(error))?;
            lake_record::begin(database, &self.record(&place), upload.source_uuid(), run_id)?;
            places.push(place.clone());
            Ok(place)
        })?;
        Ok((loader, places))
    }

    /// Removes places that the run is through with, or keeps them for as long as `[lake]`
    /// says. What cannot be removed is told, and stays on record. Of servers that are `away`
    /// nothing is asked, since they have been waited for.
    pub(super) fn end(&self, database: &Database, places: &[Place], end: PlacesEnd) {
        for place in places {
            let ended = match end {
                PlacesEnd::Folded if self.plan.keep_days > 0 => {
                    lake_record::keep(database, &place.to_string(), self.plan.keep_days)
                }
                PlacesEnd::Folded | PlacesEnd::Failed => {
                    self.remove(database, &self.record(place)).map(drop)
                }
                PlacesEnd::Away => {
                    terminal::say(&format!("what is in the lake at `{place}` {STAYS}"));
                    Ok(())
                }
            };
            // Who is away for one place is so for the others.
            if let Err(failure) = ended {
                terminal::say(&format!("what is in the lake {STAYS}: {failure}"));
                return;
            }
        }
    }

    /// Removes what earlier runs of a source left, whose lock the caller has.
    ///
    /// # Errors
    /// The database is a copy of another one, whose lake it is, or it fails.
    pub(super) fn clear(&self, database: &Database, upload: &Upload<'_>) -> Result<()> {
        for record in lake_record::due(database, upload.source_uuid())? {
            // What cannot be removed now may be removed later, and harms nobody.
            if let Err(failure) = self.remove(database, &record) {
                terminal::say(&format!(
                    "what earlier runs left in the lake {STAYS}: {failure}"
                ));
                return Ok(());
            }
        }
        Ok(())
    }

    /// Removes what is at a place: the table, the files, the record. `false` when it is in
    /// another lake.
    ///
    /// # Errors
    /// Trino or the lake does not remove it, or the database fails.
    pub fn remove(&self, database: &Database, record: &LakeRecord) -> Result<bool> {
        if record.location != self.lake.location() {
            return Ok(false);
        }
        let place: Place = record.place.parse().map_err(|error| {
            Failure::environment("a record of the lake is damaged").because(error)
        })?;
        self.trino
            .drop_table(&place)
            .map_err(|error| error.failure)?;
        failpoint::passed(Failpoint::TrinoTableDropped);
        self.lake.remove(&place).map_err(|error| error.failure)?;
        failpoint::passed(Failpoint::LakeFilesRemoved);
        lake_record::forget(database, &record.place)?;
        Ok(true)
    }

    fn record(&self, place: &Place) -> LakeRecord {
        LakeRecord {
            place: place.to_string(),
            location: self.lake.location().to_owned(),
        }
    }
}
