//! What a command may do with the tenant's schema, and whether it is there for that: a
//! name that was mistyped must not make a tenant.

use sqlx::{FromRow, PgConnection};

use super::Target;
use super::error::DatabaseError;
use super::history::AppliedMigrations;
use super::schema_name::SchemaName;
use super::tenants;

/// What a command may do with the schema when it opens the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SchemaAccess {
    /// Reads it as it is; it must be up to date.
    Read,
    /// Brings it up to date; it must be a tenant's.
    Change,
    /// Brings it up to date, and fills one that is empty. Makes the default one where it is
    /// not there, and any other only when the user says so.
    Fill { creates: bool },
}

/// What stands where a schema is looked for.
#[derive(FromRow)]
struct Place {
    is_there: bool,
    is_empty: bool,
}

/// Refuses a schema that is no tenant's, unless the command may make it one.
pub(super) async fn admit(
    connection: &mut PgConnection,
    target: &Target,
    location: &str,
    recorded: &AppliedMigrations,
) -> Result<(), DatabaseError> {
    const SQL: &str = "
        SELECT
            to_regnamespace(quote_ident($1)) IS NOT NULL AS is_there,
            NOT EXISTS (
                SELECT
                FROM pg_class
                WHERE
                    relnamespace = to_regnamespace(quote_ident($1))
                    AND NOT starts_with(relname, '_sqlx_migrations')
            ) AS is_empty";

    if recorded.are_ours() {
        return Ok(());
    }
    let place: Place = sqlx::query_as(SQL)
        .bind(target.schema.as_str())
        .fetch_one(&mut *connection)
        .await
        .map_err(DatabaseError::statement("look up the schema"))?;
    let makes = match target.access {
        SchemaAccess::Fill { creates } => {
            creates || target.schema == SchemaName::default() || place.is_there && place.is_empty
        }
        SchemaAccess::Read | SchemaAccess::Change => false,
    };
    if makes {
        return Ok(());
    }
    Err(DatabaseError::NoTenant {
        location: location.to_owned(),
        hint: hint(target, &tenants::schemas(connection).await?),
        schema: target.schema.to_string(),
        is_there: place.is_there,
    })
}

/// The tenants that there are, and how there is one more.
fn hint(target: &Target, tenants: &[SchemaName]) -> String {
    const NAMED_MAX: usize = 10;
    let schema = &target.schema;
    let mut named: Vec<String> = tenants
        .iter()
        .take(NAMED_MAX)
        .map(|tenant| format!("`{tenant}`"))
        .collect();
    if tenants.len() > NAMED_MAX {
        named.push(format!("{} more", tenants.len() - NAMED_MAX));
    }
    let there = match named.as_slice() {
        [] => "no schema there has tables of gristmill".to_owned(),
        [one] => format!("the one there is {one}"),
        several => format!("there are {}", several.join(", ")),
    };
    let makes = match target.access {
        SchemaAccess::Fill { .. } => "`--create-schema` makes it".to_owned(),
        _ if *schema == SchemaName::default() => {
            "`gristmill db migrate` makes it, and so does the first `run`".to_owned()
        }
        _ => format!("`gristmill db migrate --schema {schema} --create-schema` makes it"),
    };
    format!("{there}; {makes}")
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::Duration;

    use super::*;

    #[track_caller]
    fn hinted(access: SchemaAccess, schema: &str, tenants: usize, expected: &str) {
        let target = Target {
            url: None,
            schema: schema.parse().unwrap(),
            data_directory: PathBuf::new(),
            lock_wait: Duration::ZERO,
            access,
        };
        let tenants: Vec<SchemaName> = (1..=tenants)
            .map(|number| format!("t{number}").parse().unwrap())
            .collect();
        assert_eq!(hint(&target, &tenants), expected);
    }

    #[test]
    fn a_hint_names_the_tenants_and_the_way_to_another() {
        hinted(
            SchemaAccess::Read,
            "gristmill",
            0,
            "no schema there has tables of gristmill; `gristmill db migrate` makes it, and so does the first `run`",
        );
        hinted(
            SchemaAccess::Change,
            "x",
            1,
            "the one there is `t1`; `gristmill db migrate --schema x --create-schema` makes it",
        );
        hinted(
            SchemaAccess::Fill { creates: false },
            "x",
            12,
            "there are `t1`, `t2`, `t3`, `t4`, `t5`, `t6`, `t7`, `t8`, `t9`, `t10`, 2 more; `--create-schema` makes it",
        );
    }
}
