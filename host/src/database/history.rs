//! What a schema has on record: the migrations that were applied to it, and the version of
//! its functions and views; and what it lacks of what this program carries. A history that
//! is not ours, or that a newer program wrote, is refused.

use sqlx::PgConnection;
use sqlx::migrate::{Migration, Migrator};

use super::error::{DatabaseError, sql_state};
use super::replaceables::{self, Mark};
use super::schema_name::SchemaName;
use super::set_aside;

pub(super) const MIGRATIONS_TABLE: &str = "_sqlx_migrations";

pub(super) static MIGRATOR: Migrator = sqlx::migrate!("../migrations");

/// The first migration of the numbering before the baseline, which every schema of that
/// numbering has.
const BEFORE_BASELINE: &str = "0c5c994cbb1aaff1f4d710fc33fd0c3368f2659a3993e47e693b1fb3197e746589c58a047afd2a5019ce0677adc0b767";

/// The versions that a schema has on record.
#[derive(Default, sqlx::FromRow)]
pub(super) struct AppliedMigrations {
    versions: Vec<i64>,
    checksums: Vec<Vec<u8>>,
    unfinished: Option<i64>,
    replaceables_mark: Option<String>,
    replaceables_present: i64,
}

impl AppliedMigrations {
    pub(super) async fn read(
        connection: &mut PgConnection,
    ) -> Result<AppliedMigrations, DatabaseError> {
        const SQL: &str = "
            SELECT
                coalesce(array_agg(version ORDER BY version), '{}') AS versions,
                coalesce(array_agg(checksum ORDER BY version), '{}') AS checksums,
                min(version) FILTER (WHERE NOT success) AS unfinished,
                -- A comment of somebody else is none of ours.
                substring(
                    obj_description('_sqlx_migrations'::regclass, 'pg_class')
                    FROM '^gristmill functions .*'
                ) AS replaceables_mark,
                (
                    SELECT count(*)
                    FROM pg_class
                    WHERE
                        relnamespace = current_schema()::regnamespace
                        AND relkind = 'v'
                        AND relname = ANY($1)
                ) + (
                    SELECT count(DISTINCT proname)
                    FROM pg_proc
                    WHERE
                        pronamespace = current_schema()::regnamespace
                        AND proname = ANY($1)
                        -- Those of a schema that was renamed look into one that is not there.
                        AND NOT EXISTS (
                            SELECT
                            FROM unnest(proconfig) AS kept (setting)
                            WHERE
                                starts_with(kept.setting, 'search_path=')
                                AND kept.setting <> 'search_path=' || current_setting('search_path')
                        )
                ) AS replaceables_present
            FROM _sqlx_migrations";

        let names: Vec<&str> = replaceables::names().collect();
        let read = sqlx::query_as(SQL).bind(names).fetch_one(connection).await;
        match read {
            Ok(recorded) => Ok(recorded),
            // No such table: nothing was ever applied here.
            Err(error) if sql_state(&error).as_deref() == Some("42P01") => {
                Ok(AppliedMigrations::default())
            }
            Err(error) => Err(DatabaseError::statement("read the applied migrations")(
                error,
            )),
        }
    }

    /// Whether a gristmill applied them, and not another program that uses the library.
    pub(super) fn are_ours(&self) -> bool {
        let of_ours = |checksum: &Vec<u8>| {
            let mut ours = MIGRATOR.iter();
            ours.any(|migration| migration.checksum[..] == checksum[..])
        };
        self.replaceables_mark.is_some()
            || self.is_before_baseline()
            || self.checksums.iter().any(of_ours)
    }

    /// Whether nothing was ever applied.
    pub(super) fn are_none(&self) -> bool {
        self.versions.is_empty()
    }

    /// Which functions and views are installed, as far as that is on record.
    fn mark(&self) -> Option<Mark> {
        self.replaceables_mark.as_deref()?.parse().ok()
    }

    fn has_replaceables(&self, mark: &Mark) -> bool {
        self.mark().as_ref() == Some(mark)
            && self.replaceables_present == replaceables::names().count() as i64
    }

    /// Whether the schema is of the numbering before the baseline.
    pub(super) fn is_before_baseline(&self) -> bool {
        self.versions.first() == Some(&1)
            && self
                .checksums
                .first()
                .is_some_and(|checksum| hex::encode(checksum) == BEFORE_BASELINE)
    }
}

/// What a schema lacks to be as this program needs it.
pub(super) struct Lacking {
    /// Oldest first.
    pub(super) migrations: Vec<&'static Migration>,
    /// Whether functions or views are missing, or others than ours.
    pub(super) functions: bool,
    /// Whether those that it has are of an older program.
    has_older_functions: bool,
}

impl Lacking {
    pub(super) fn is_nothing(&self) -> bool {
        self.migrations.is_empty() && !self.functions
    }

    /// Whether whoever only reads finds what it looks for. It calls no function, and a view
    /// that somebody dropped is said by name.
    pub(super) fn can_be_read(&self) -> bool {
        self.migrations.is_empty() && !self.has_older_functions
    }
}

/// Looks what the schema lacks.
///
/// # Errors
/// Its history is not ours, or a newer program's.
pub(super) fn lacking(
    recorded: &AppliedMigrations,
    schema: &SchemaName,
) -> Result<Lacking, DatabaseError> {
    let migrations = pending(recorded, MIGRATOR.iter().as_slice(), schema)?;
    let ours = replaceables::mark();
    let theirs = recorded.mark().map_or(0, |mark| mark.version);
    if theirs > ours.version {
        return Err(DatabaseError::MigrationRefused {
            schema: schema.to_string(),
            reason: format!(
                "its functions are of version {theirs}, and those of this gristmill of version {}",
                ours.version
            ),
            hint: NEWER.to_owned(),
        });
    }
    Ok(Lacking {
        migrations,
        functions: !recorded.has_replaceables(&ours),
        has_older_functions: theirs < ours.version,
    })
}

/// For whoever has an older program than the schema.
const NEWER: &str = "a newer gristmill was here; use that one";

/// The migrations that are still to apply; refuses a history that is not ours.
fn pending<'a>(
    recorded: &AppliedMigrations,
    embedded: &'a [Migration],
    schema: &SchemaName,
) -> Result<Vec<&'a Migration>, DatabaseError> {
    let refuse = |reason: String, hint: &str| {
        Err(DatabaseError::MigrationRefused {
            schema: schema.to_string(),
            reason,
            hint: hint.to_owned(),
        })
    };

    if !recorded.are_none() && !recorded.are_ours() {
        return refuse(
            "its migrations are of another program".to_owned(),
            "give gristmill a schema of its own: `--schema NAME --create-schema`",
        );
    }
    if recorded.is_before_baseline() {
        return refuse(
            "a gristmill from before the baseline of the migrations made it".to_owned(),
            &format!(
                "load the payloads of its archive into a new schema: `gristmill run PIPELINE \
                 ARCHIVE/{schema}/*/*.tar.gz --schema NEW --create-schema`; or have `gristmill db migrate \
                 --set-aside` rename it `{}` and make a new one in its place, and load them \
                 into that",
                set_aside::name_of(schema)
            ),
        );
    }
    if let Some(version) = recorded.unfinished {
        return refuse(
            format!("migration {version} was begun and not finished"),
            "repair the schema by hand, or restore it from a backup",
        );
    }
    for (version, checksum) in recorded.versions.iter().zip(&recorded.checksums) {
        let ours = embedded
            .iter()
            .find(|migration| migration.version == *version);
        match ours {
            None => {
                return refuse(
                    format!("its migration {version} is unknown to this gristmill"),
                    NEWER,
                );
            }
            Some(migration) if migration.checksum[..] != checksum[..] => {
                return refuse(
                    format!("migration {version} has changed since it was applied"),
                    "an applied migration is never edited; add a new one instead",
                );
            }
            Some(_) => {}
        }
    }

    let newest = recorded.versions.last().copied();
    let pending: Vec<&Migration> = embedded
        .iter()
        .filter(|migration| !recorded.versions.contains(&migration.version))
        .collect();
    match (pending.first(), newest) {
        (Some(first), Some(newest)) if first.version < newest => refuse(
            format!(
                "migration {} is not applied, but the later {newest} is",
                first.version
            ),
            "another branch of gristmill was here; give the new migration the next free number",
        ),
        _ => Ok(pending),
    }
}

#[cfg(test)]
mod tests {
    use sqlx::migrate::MigrationType;

    use super::*;

    fn migration(version: i64, checksum: u8) -> Migration {
        let mut migration = Migration::new(
            version,
            "create thing".into(),
            MigrationType::Simple,
            "SELECT 1".into(),
            false,
        );
        migration.checksum = vec![checksum].into();
        migration
    }

    fn recorded(applied: &[(i64, u8)]) -> AppliedMigrations {
        AppliedMigrations {
            versions: applied.iter().map(|(version, _)| *version).collect(),
            checksums: applied.iter().map(|(_, sum)| vec![*sum]).collect(),
            replaceables_mark: Some("gristmill functions 1 sha256:0".to_owned()),
            ..AppliedMigrations::default()
        }
    }

    /// Against the migrations 1, 2 and 3, whose checksums are 10, 20 and 30.
    fn check(recorded: &AppliedMigrations) -> Result<Vec<i64>, String> {
        let embedded = [migration(1, 10), migration(2, 20), migration(3, 30)];
        pending(recorded, &embedded, &SchemaName::default())
            .map(|pending| pending.iter().map(|migration| migration.version).collect())
            .map_err(|error| error.to_string())
    }

    #[track_caller]
    fn refused(recorded: &AppliedMigrations, reason: &str) {
        let expected = format!("schema `gristmill` cannot be migrated: {reason}");
        assert_eq!(check(recorded), Err(expected));
    }

    #[test]
    fn what_is_missing_is_applied_in_order() {
        assert_eq!(check(&recorded(&[])), Ok(vec![1, 2, 3]));
        assert_eq!(check(&recorded(&[(1, 10)])), Ok(vec![2, 3]));
        assert_eq!(check(&recorded(&[(1, 10), (2, 20), (3, 30)])), Ok(vec![]));
    }

    #[test]
    fn a_foreign_history_is_refused() {
        refused(
            &recorded(&[(1, 10), (2, 20), (3, 30), (4, 40)]),
            "its migration 4 is unknown to this gristmill",
        );
        refused(
            &recorded(&[(1, 10), (2, 21)]),
            "migration 2 has changed since it was applied",
        );
        refused(
            &recorded(&[(1, 10), (3, 30)]),
            "migration 2 is not applied, but the later 3 is",
        );
        let mut unfinished = recorded(&[(1, 10)]);
        unfinished.unfinished = Some(1);
        refused(&unfinished, "migration 1 was begun and not finished");
        let mut others = recorded(&[(1, 11)]);
        others.replaceables_mark = None;
        refused(&others, "its migrations are of another program");
    }

    #[test]
    fn functions_of_a_newer_program_are_refused() {
        let ours = replaceables::mark();
        let with = |version: u32| AppliedMigrations {
            replaceables_mark: Some(format!("gristmill functions {version} sha256:0")),
            ..AppliedMigrations::default()
        };
        let lacking = |version| lacking(&with(version), &SchemaName::default());
        assert!(lacking(ours.version).is_ok_and(|lacking| lacking.functions));
        let error = lacking(ours.version + 1).err().expect("it is refused");
        assert_eq!(
            error.to_string(),
            format!(
                "schema `gristmill` cannot be migrated: its functions are of version {}, and \
                 those of this gristmill of version {}",
                ours.version + 1,
                ours.version
            )
        );
    }
}
