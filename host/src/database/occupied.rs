//! Looks whether something of another product has a name in the schema that one of our
//! tables, functions or views is to have, before the first migration makes anything.

use sqlx::PgConnection;

use super::error::DatabaseError;
use super::history::MIGRATOR;
use super::replaceables;
use super::schema_name::SchemaName;

/// How many names a message has.
const NAMED_MAX: usize = 5;

/// Refuses a schema in which a name of ours is taken.
pub(super) async fn check(
    connection: &mut PgConnection,
    schema: &SchemaName,
) -> Result<(), DatabaseError> {
    const SQL: &str = "
        SELECT DISTINCT relname::text AS name
        FROM pg_class
        WHERE relnamespace = current_schema()::regnamespace AND relname = ANY ($1)
        UNION
        SELECT typname::text
        FROM pg_type
        WHERE typnamespace = current_schema()::regnamespace AND typname = ANY ($1)
        UNION
        SELECT proname::text
        FROM pg_proc
        WHERE pronamespace = current_schema()::regnamespace AND proname = ANY ($2)
        ORDER BY name";

    let relations: Vec<String> = MIGRATOR
        .iter()
        .flat_map(|migration| made(&migration.sql))
        .map(str::to_owned)
        .chain(replaceables::names().map(str::to_owned))
        .collect();
    let functions: Vec<&str> = replaceables::names()
        .chain(replaceables::TRIGGERS)
        .collect();
    let taken: Vec<String> = sqlx::query_scalar(SQL)
        .bind(relations)
        .bind(functions)
        .fetch_all(connection)
        .await
        .map_err(DatabaseError::statement("look what is in the schema"))?;
    match taken.is_empty() {
        true => Ok(()),
        false => Err(DatabaseError::SchemaOccupied {
            schema: schema.to_string(),
            names: named(&taken),
        }),
    }
}

/// The tables and indexes that a migration makes, by the first words of its lines.
fn made(sql: &str) -> impl Iterator<Item = &str> {
    const OPENINGS: [&str; 3] = ["CREATE TABLE ", "CREATE INDEX ", "CREATE UNIQUE INDEX "];

    sql.lines().filter_map(|line| {
        let rest = OPENINGS
            .iter()
            .find_map(|opening| line.strip_prefix(opening))?;
        rest.split([' ', '(']).next()
    })
}

/// `a`, `b` and 3 more.
fn named(names: &[String]) -> String {
    let shown = match names.len() > NAMED_MAX {
        true => NAMED_MAX - 1,
        false => names.len(),
    };
    let mut text: Vec<String> = names[..shown]
        .iter()
        .map(|name| format!("`{name}`"))
        .collect();
    if shown < names.len() {
        text.push(format!("{} more", names.len() - shown));
    }
    match text.split_last() {
        Some((last, [_, ..])) => format!("{} and {last}", text[..text.len() - 1].join(", ")),
        _ => text.join(""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_migration_makes_is_known_by_its_lines() {
        let sql = "-- CREATE TABLE no\nCREATE TABLE a (\n    id int\n);\n\nCREATE UNIQUE INDEX b\n    ON a (id);";
        assert_eq!(made(sql).collect::<Vec<_>>(), ["a", "b"]);
        let all = MIGRATOR.iter().flat_map(|of| made(&of.sql));
        assert!(all.count() > 60);
    }

    #[test]
    fn names_are_counted_when_there_are_many() {
        let names = |count: usize| (1..=count).map(|of| format!("n{of}")).collect::<Vec<_>>();
        assert_eq!(named(&names(1)), "`n1`");
        assert_eq!(named(&names(2)), "`n1` and `n2`");
        assert_eq!(named(&names(9)), "`n1`, `n2`, `n3`, `n4` and 5 more");
    }
}
