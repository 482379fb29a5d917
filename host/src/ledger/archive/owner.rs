//! The owner of an archive: the database's identity stands in the database and in a file
//! of the archive's folder. A copy of a database has the same identity, but another
//! server or number than the one that the identity was given for.

use std::fmt;
use std::io;
use std::path::Path;

use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

use super::root::{OwnerFile, Ownership, Root, is_place};
use crate::database::{Database, SqlError};
use crate::diagnostics::failpoint::{self, Failpoint};
use crate::diagnostics::failure::{Failure, Result};

/// This database as the owner of archives.
#[derive(Clone, Debug)]
pub struct Owner {
    /// `None` for a copy of a database that had archived nothing: it gets one of its own
    /// when it archives something.
    identity: Option<Uuid>,
    database: String,
    schema: String,
}

#[derive(FromRow)]
struct OwnerRow {
    identity: Uuid,
    system_identifier: Option<i64>,
    database_oid: i64,
    /// Whether it was given for this database.
    is_here: bool,
    has_records: bool,
}

impl Owner {
    /// # Errors
    /// The database is a copy and has records of the original's archive, or it fails.
    pub async fn of(database: &Database) -> Result<Self> {
        let mut connection = database.pool().acquire().await.map_err(failed)?;
        let mut owner = Self {
            identity: None,
            database: database.location().to_string(),
            schema: database.schema().to_string(),
        };
        match select(&mut connection).await? {
            Some(row) if row.is_here => owner.identity = Some(row.identity),
            Some(row) if !row.has_records => {}
            Some(_) => return Err(owner.refuse_copy()),
            None => {
                return Err(Failure::environment(format!(
                    "nothing says who the owner of the archives of {owner} is"
                ))
                .hint("`gristmill archive adopt` takes an archive for this database"));
            }
        }
        Ok(owner)
    }

    /// The identity of this database, which gets one if it lacks it.
    ///
    /// # Errors
    /// As `of`.
    pub async fn identity(database: &Database) -> Result<Uuid> {
        let owner = Self::of(database).await?;
        let mut connection = database.pool().acquire().await.map_err(failed)?;
        let row = owner.identified(&mut connection, false).await?;
        Ok(row.identity)
    }

    /// Whether the database has an identity yet; a copy gets one with its first payload.
    pub(super) fn is_known(&self) -> bool {
        self.identity.is_some()
    }

    fn refuse_copy(&self) -> Failure {
        Failure::environment(format!(
            "{self} is a copy of another database, and its records are of that one's archive"
        ))
        .hint(
            "`gristmill archive adopt` takes an archive for this database: `--directory` names \
             a folder of its own, or the other's, which is then refused there",
        )
    }

    /// Opens the folder of an archive; `None` when it is not there or has no owner yet.
    ///
    /// # Errors
    /// It is another's, or nothing says whose its payloads are, or it cannot be read.
    pub fn open(&self, directory: &Path) -> Result<Option<Root>> {
        let shown = directory.display();
        if !is_place(directory) {
            return Err(Failure::environment(format!(
                "`{shown}` is no folder of an archive, though a record says so"
            ))
            .hint("`gristmill archive adopt` says where the archive is"));
        }
        let unreadable = |error: io::Error| {
            Failure::environment(format!("cannot use archive `{shown}`")).because(error)
        };
        let Some(root) = Root::open(directory).map_err(unreadable)? else {
            return Ok(None);
        };
        match root.standing(self.identity).map_err(unreadable)? {
            Ownership::Ours => Ok(Some(root)),
            Ownership::Nobodys => Ok(None),
            standing => Err(self.refuse(directory, &standing)),
        }
    }

    fn refuse(&self, directory: &Path, standing: &Ownership) -> Failure {
        let shown = directory.display();
        let whose = match standing {
            Ownership::Others(owner) => {
                let theirs = format!("schema `{}` of {}", owner.schema, owner.database);
                let which = match theirs == self.to_string() {
                    true => {
                        " as it was before: since then it was made anew or restored, or the \
                             address leads to another server"
                    }
                    false => "",
                };
                format!("archive `{shown}` is not that of {self}: it belongs to {theirs}{which}")
            }
            _ => format!("archive `{shown}` holds payloads, and nothing says whose they are"),
        };
        let base = directory.parent().unwrap_or(directory).display();
        Failure::environment(whose).hint(format!(
            "`gristmill archive adopt --directory {base}` takes it for this database, and the one \
             that had it is refused from then on; `directory` in `[archive]` and GRISTMILL_DATA \
             name another folder"
        ))
    }

    /// Takes a folder that has no owner, after giving the database an identity if it
    /// lacks one. Opens it.
    ///
    /// # Errors
    /// As `open`, or the folder cannot be written.
    pub async fn claim(
        &self,
        connection: &mut PgConnection,
        directory: &Path,
        unwritable: &dyn Fn(io::Error) -> Failure,
    ) -> Result<(Self, Root)> {
        let row = self.identified(connection, false).await?;
        let owner = Self {
            identity: Some(row.identity),
            ..self.clone()
        };
        let root = Root::create(directory).map_err(unwritable)?;
        let standing = |root: &Root| root.standing(owner.identity).map_err(unwritable);
        let mut stands = standing(&root)?;
        if stands == Ownership::Nobodys {
            root.claim(&owner.file(&row)).map_err(unwritable)?;
            failpoint::passed(Failpoint::ArchiveOwned);
            stands = standing(&root)?;
        }
        match stands {
            Ownership::Ours => Ok((owner, root)),
            other => Err(owner.refuse(directory, &other)),
        }
    }

    /// As `claim`, whoever has it; says who had it.
    ///
    /// # Errors
    /// The folder cannot be written, or the database fails.
    pub(super) async fn take(
        database: &Database,
        connection: &mut PgConnection,
        directory: &Path,
        unwritable: &dyn Fn(io::Error) -> Failure,
    ) -> Result<(Self, Root, Ownership)> {
        let mut owner = Self {
            identity: None,
            database: database.location().to_string(),
            schema: database.schema().to_string(),
        };
        let row = owner.identified(connection, true).await?;
        owner.identity = Some(row.identity);
        let root = Root::create(directory).map_err(unwritable)?;
        let before = match root.standing(owner.identity) {
            Ok(standing) => standing,
            // A file of noise says of nobody that it is theirs.
            Err(error) if error.kind() == io::ErrorKind::InvalidData => Ownership::Unsaid,
            Err(error) => return Err(unwritable(error)),
        };
        if before != Ownership::Ours {
            root.take(&owner.file(&row)).map_err(unwritable)?;
            failpoint::passed(Failpoint::ArchiveOwned);
        }
        Ok((owner, root, before))
    }

    /// The identity, which a copy gets anew: one without records at once, another one when
    /// it `adopts`.
    async fn identified(&self, connection: &mut PgConnection, adopts: bool) -> Result<OwnerRow> {
        if !adopts
            && let Some(row) = select(connection).await?
            && row.is_here
        {
            return Ok(row);
        }
        let renewed = sqlx::query(include_str!(
            "../../../../sql/gristmill_archive_owner.renew.sql"
        ))
        .bind(adopts)
        .execute(&mut *connection)
        .await
        .map_err(failed)?;
        if renewed.rows_affected() > 0 {
            failpoint::passed(Failpoint::OwnerRenewed);
        }
        match select(connection).await? {
            Some(row) if row.is_here => Ok(row),
            _ => Err(self.refuse_copy()),
        }
    }

    fn file(&self, row: &OwnerRow) -> OwnerFile {
        OwnerFile {
            identity: row.identity,
            system_identifier: row.system_identifier,
            database_oid: row.database_oid,
            database: self.database.clone(),
            schema: self.schema.clone(),
        }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "schema `{}` of {}", self.schema, self.database)
    }
}

async fn select(connection: &mut PgConnection) -> Result<Option<OwnerRow>> {
    sqlx::query_as(include_str!(
        "../../../../sql/gristmill_archive_owner.select.sql"
    ))
    .fetch_optional(connection)
    .await
    .map_err(failed)
}

fn failed(error: sqlx::Error) -> Failure {
    SqlError(error).failure("cannot tell whose the archive is")
}
