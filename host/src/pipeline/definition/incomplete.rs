//! Stages and report kinds that lack what makes them one: mostly a name with a typo, which
//! was to change what the extended file has.

use toml::de::DeTable;

use crate::diagnostics::problem::Problem;
use crate::rows::column::nearest;

/// Sections of named tables: what one of them is, the key that each has, and a value of it.
const SECTIONS: [(&str, &str, &str, &str); 2] = [
    ("stages", "stage", "component", "\"my_stage.wasm\""),
    ("reports", "report kind", "detect", "[\"a_column\"]"),
];

/// Refuses a definition that has one of them.
pub(super) fn refuse(definition: &DeTable<'_>) -> Result<(), Problem> {
    for (section, what, key, value) in SECTIONS {
        let Some(tables) = definition
            .get(section)
            .and_then(|tables| tables.get_ref().as_table())
        else {
            continue;
        };
        let is_whole = |table: &DeTable<'_>| table.contains_key(key);
        let tables = || {
            let tables = tables.iter();
            tables.filter_map(|(name, table)| Some((name, table.get_ref().as_table()?)))
        };
        let Some((name, _)) = tables().find(|(_, table)| !is_whole(table)) else {
            continue;
        };
        let wrong = name.get_ref();
        let others: Vec<&str> = tables()
            .filter(|(_, table)| is_whole(table))
            .map(|(name, _)| name.get_ref().as_ref())
            .collect();
        let hint = match nearest(wrong, others.iter().copied()) {
            Some(near) => format!("did you mean `[{section}.{near}]`?"),
            None if others.is_empty() => format!("write `{key} = {value}`"),
            None => format!(
                "a new {what} has it, such as `{key} = {value}`; to change one that there is, \
                 write its name: {}",
                others.join(", ")
            ),
        };
        let message = format!("{what} `{wrong}` has no `{key}`");
        return Err(Problem::new(name.span(), message).hint(hint));
    }
    Ok(())
}
