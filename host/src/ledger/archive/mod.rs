//! The archive: every payload that was loaded, kept under the SHA-256 of its bytes.
//!
//! A tarball is in place, whole and on disk, before the transaction that records it
//! begins. Files are never changed, and readable by their owner alone. An archive belongs
//! to one schema of one database ([`Owner`]).

mod adoption;
pub mod clean;
mod owner;
mod root;
mod write;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

pub use self::adoption::{Adoption, adopt};
pub use self::owner::Owner;
pub use self::root::FileCondition;
use self::root::{Digest, Root, place};
pub use self::write::{ArchiveWrite, WrittenFile};
use crate::database::{Database, SqlError};
use crate::diagnostics::days::Days;
use crate::diagnostics::failure::{Failure, Result};

/// Where payloads of one schema are kept.
#[derive(Clone, Debug)]
pub struct Archive {
    directory: PathBuf,
    owner: Owner,
}

/// Where payloads of one schema are looked for.
#[derive(Clone, Debug)]
pub struct Archives {
    owner: Owner,
    /// Besides where records say that they are.
    besides: Option<PathBuf>,
}

/// A payload that was put into an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchivedPayload {
    pub digest: String,
    pub payload: String,
    /// The files of its manifest that are in it.
    pub files: Vec<String>,
    pub bytes: u64,
    pub directory: PathBuf,
}

#[derive(FromRow)]
struct ArchivedPayloadRow {
    digest: String,
    payload: String,
    files: Vec<String>,
    bytes: i64,
    directory: String,
}

impl From<ArchivedPayloadRow> for ArchivedPayload {
    fn from(row: ArchivedPayloadRow) -> Self {
        Self {
            digest: row.digest,
            payload: row.payload,
            files: row.files,
            bytes: row.bytes as u64,
            directory: row.directory.into(),
        }
    }
}

impl ArchivedPayload {
    fn digest(&self) -> Result<Digest> {
        Digest::parse(&self.digest).ok_or_else(|| {
            Failure::run(format!(
                "the record of archived payload `{}` has `{}` for its SHA-256, which is none",
                self.payload, self.digest
            ))
        })
    }

    /// The tarball's place.
    ///
    /// # Errors
    /// The record names none.
    pub fn path(&self) -> Result<PathBuf> {
        Ok(place(&self.directory, &self.digest()?))
    }

    /// Whether the tarball is what was put there.
    ///
    /// # Errors
    /// It cannot be read, or has other bytes.
    pub fn verify(&self) -> Result<()> {
        let path = self.path()?;
        let shown = path.display();
        let found = match Root::open(&self.directory) {
            Ok(Some(root)) => root.examine(&self.digest()?),
            Ok(None) => Ok(FileCondition::Missing),
            Err(error) => Err(error),
        };
        let found = found.map_err(|error| {
            Failure::run(format!("cannot read archived payload `{shown}`")).because(error)
        })?;
        let message = match found {
            FileCondition::Whole => return Ok(()),
            FileCondition::Missing => format!("archived payload `{shown}` is missing"),
            FileCondition::Damaged(reason) => {
                format!("archived payload `{shown}` is damaged: {reason}")
            }
        };
        Err(Failure::run(message).hint("`gristmill run` of that payload puts its bytes back"))
    }
}

impl Archive {
    /// The archive of a schema below a directory that several schemas may share.
    ///
    /// # Errors
    /// It is another database's, or this one is a copy that has records of another's, or
    /// it cannot be read.
    pub fn of(database: &Database, directory: &Path) -> Result<Self> {
        database.wait(async {
            let mut archive = Self {
                directory: folder_of(database, directory)?,
                owner: Owner::of(database).await?,
            };
            if let Err(refused) = archive.owner.open(&archive.directory) {
                if archive.owner.is_known() {
                    return Err(refused);
                }
                // Another run may have given a copy its identity since we looked.
                archive.owner = Owner::of(database).await?;
                archive.owner.open(&archive.directory)?;
            }
            Ok(archive)
        })
    }

    /// Reads these files of a manifest through and tells which of them the archive has.
    ///
    /// # Errors
    /// The database fails.
    pub fn held(
        &self,
        database: &Database,
        manifest_id: i32,
        files: &[String],
    ) -> Result<ArchiveHolding> {
        database.wait(async {
            let mut held = ArchiveHolding::default();
            let mut whole: BTreeSet<String> = BTreeSet::new();
            let mut recorded = select(database, manifest_id).await?;
            recorded.retain(|kept| kept.files.iter().any(|file| files.contains(file)));
            if recorded.is_empty() {
                held.covers = files.is_empty();
                return Ok(held);
            }
            // A copy may have got its identity since we looked.
            let owner = Owner::of(database).await?;
            for kept in recorded {
                match self.examine(&owner, &kept) {
                    FileCondition::Whole => whole.extend(kept.files),
                    found => held.bad.push((kept, found)),
                }
            }
            held.covers = files.iter().all(|file| whole.contains(file));
            Ok(held)
        })
    }

    /// The condition of a recorded payload, in its recorded folder or here.
    fn examine(&self, owner: &Owner, kept: &ArchivedPayload) -> FileCondition {
        let Ok(digest) = kept.digest() else {
            return FileCondition::Missing;
        };
        let mut places = vec![&kept.directory];
        if kept.directory != self.directory {
            places.push(&self.directory);
        }
        let mut worst = FileCondition::Missing;
        for directory in places {
            // In a folder that is not ours there is nothing of ours.
            let Ok(Some(root)) = owner.open(directory) else {
                continue;
            };
            match root.examine(&digest) {
                Ok(FileCondition::Whole) => return FileCondition::Whole,
                Ok(FileCondition::Missing) => {}
                Ok(damaged) => worst = damaged,
                Err(error) => worst = FileCondition::Damaged(error.to_string()),
            }
        }
        worst
    }
}

/// The part of some files of a manifest that an archive has.
#[derive(Debug, Default)]
pub struct ArchiveHolding {
    /// All of them, in tarballs that are what was put there.
    pub covers: bool,
    /// The tarballs of some of them that are not.
    pub bad: Vec<(ArchivedPayload, FileCondition)>,
}

impl ArchiveHolding {
    /// The tarballs whose records are of no use once these files are kept under another
    /// digest.
    pub fn superseded_by(&self, kept: &ArchivedPayload) -> Vec<String> {
        let bad = self.bad.iter().map(|(bad, _)| bad).filter(|bad| {
            bad.digest != kept.digest && bad.files.iter().all(|file| kept.files.contains(file))
        });
        bad.map(|bad| bad.digest.clone()).collect()
    }
}

impl Archives {
    /// # Errors
    /// As `Archive::of`.
    pub fn of(database: &Database, besides: Option<&Archive>) -> Result<Self> {
        database.wait(async {
            let owner = match besides {
                Some(archive) => archive.owner.clone(),
                None => Owner::of(database).await?,
            };
            Ok(Self {
                owner,
                besides: besides.map(|archive| archive.directory.clone()),
            })
        })
    }

    /// The tarball where it was put, or where the pipeline says that archives are.
    ///
    /// # Errors
    /// The folder that may have it is not this database's, or cannot be read.
    pub fn find(&self, kept: ArchivedPayload) -> Result<Option<ArchivedPayload>> {
        let digest = kept.digest()?;
        let mut refused = None;
        let recorded = kept.directory.clone();
        for directory in [Some(&recorded), self.besides.as_ref()]
            .into_iter()
            .flatten()
        {
            let held = self.owner.open(directory).and_then(|root| {
                root.map_or(Ok(false), |root| root.holds(&digest))
                    .map_err(|error| {
                        let shown = directory.display();
                        Failure::run(format!("cannot use archive `{shown}`")).because(error)
                    })
            });
            match held {
                Ok(true) => {
                    return Ok(Some(ArchivedPayload {
                        directory: directory.clone(),
                        ..kept
                    }));
                }
                Ok(false) => {}
                Err(failure) => refused = Some(failure),
            }
        }
        refused.map_or(Ok(None), Err)
    }
}

/// The archived tarballs of a manifest, in the order in which they came.
///
/// # Errors
/// The database fails.
pub fn of_manifest(database: &Database, manifest_id: i32) -> Result<Vec<ArchivedPayload>> {
    database.wait(select(database, manifest_id))
}

async fn select(database: &Database, manifest_id: i32) -> Result<Vec<ArchivedPayload>> {
    let rows: Vec<ArchivedPayloadRow> =
        sqlx::query_as(include_str!("../../../../sql/gristmill_archive.select.sql"))
            .bind(manifest_id)
            .fetch_all(database.pool())
            .await
            .map_err(|error| SqlError(error).failure("cannot read the archive's records"))?;
    Ok(rows.into_iter().map(ArchivedPayload::from).collect())
}

/// The archived tarballs by which days of a source, or all of it, can come back, in the
/// caller's transaction.
pub async fn removable(
    connection: &mut PgConnection,
    source_uuid: Uuid,
    days: Option<Days>,
) -> Result<Vec<ArchivedPayload>, sqlx::Error> {
    let rows: Vec<ArchivedPayloadRow> = sqlx::query_as(include_str!(
        "../../../../sql/gristmill_archive.select_removable.sql"
    ))
    .bind(source_uuid)
    .bind(days.map(|days| days.first))
    .bind(days.map(|days| days.last))
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(ArchivedPayload::from).collect())
}

/// Forgets tarballs of a manifest, in the caller's transaction; `clean` removes what is
/// there of them.
pub async fn forget(
    connection: &mut PgConnection,
    manifest_id: i32,
    digests: &[String],
) -> Result<(), sqlx::Error> {
    sqlx::query(include_str!("../../../../sql/gristmill_archive.delete.sql"))
        .bind(vec![manifest_id; digests.len()])
        .bind(digests)
        .execute(connection)
        .await
        .map(drop)
}

/// Where the archive of a schema is, below a directory.
fn folder_of(database: &Database, directory: &Path) -> Result<PathBuf> {
    let absolute = std::path::absolute(directory).map_err(|error| {
        Failure::environment(format!("cannot use archive `{}`", directory.display())).because(error)
    })?;
    Ok(absolute.join(database.schema().as_str()))
}
