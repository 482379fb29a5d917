//! The names of a cluster: its id, which manifests and arguments give, and its alias,
//! which people give it. Both are validated here, since the tables repeat them in every
//! row and have no room for more.

use crate::diagnostics::failure::{Failure, Result};

/// Characters of a cluster's id, as the tables hold it.
pub const ID_CHARACTERS_MAX: usize = 50;

/// Characters of an alias, as the tables hold it.
pub const ALIAS_CHARACTERS_MAX: usize = 256;

/// Whether a cluster can have this id: one word that is no path.
pub fn is_id(text: &str) -> bool {
    let is_path = |character| matches!(character, '/' | '\\');
    !matches!(text, "" | "." | "..")
        && !text.chars().any(|c| is_path(c) || c.is_control())
        && text.chars().count() <= ID_CHARACTERS_MAX
}

/// Takes the cluster's id of an argument.
///
/// # Errors
/// No cluster can have it.
pub fn checked_id(argument: &str, id: &str) -> Result<()> {
    match is_id(id) {
        true => Ok(()),
        false => Err(refused(
            argument,
            id,
            format!("a plain name of at most {ID_CHARACTERS_MAX} characters"),
        )
        .hint("the payloads of a cluster say its id as `cluster_id` of their manifest")),
    }
}

/// Takes the alias of an argument.
///
/// # Errors
/// The tables cannot hold it, or nobody could read it.
pub fn checked_alias(argument: &str, alias: &str) -> Result<()> {
    let characters = alias.chars().count();
    match (1..=ALIAS_CHARACTERS_MAX).contains(&characters) && !alias.chars().any(char::is_control) {
        true => Ok(()),
        false => Err(refused(
            argument,
            alias,
            format!("one line of 1 to {ALIAS_CHARACTERS_MAX} characters"),
        )),
    }
}

fn refused(argument: &str, text: &str, expected: String) -> Failure {
    const SHOWN_MAX: usize = 80;
    let characters = text.chars().count();
    let shown: String = text
        .chars()
        .take(SHOWN_MAX)
        .flat_map(char::escape_debug)
        .collect();
    Failure::definition(match characters > SHOWN_MAX {
        true => format!("`{argument}` is `{shown}…` of {characters} characters, not {expected}"),
        false => format!("`{argument}` is `{shown}`, not {expected}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_one_word_of_so_many_characters() {
        for id in ["c", "test-cluster", "ü", &"é".repeat(50)] {
            assert!(is_id(id), "{id}");
        }
        for id in ["", ".", "..", "a/b", "a\\b", "a\nb", "a\0", &"é".repeat(51)] {
            assert!(!is_id(id), "{id:?}");
        }
    }

    #[test]
    fn an_alias_is_one_line_that_the_tables_can_hold() {
        for alias in ["a", "The cluster / of Åse", &"é".repeat(256)] {
            assert!(checked_alias("--alias", alias).is_ok(), "{alias}");
        }
        let refusal = |alias: &str| checked_alias("--alias", alias).unwrap_err().to_string();
        assert_eq!(
            refusal("a\u{1b}b"),
            "`--alias` is `a\\u{1b}b`, not one line of 1 to 256 characters"
        );
        assert_eq!(
            refusal(&"é".repeat(257)),
            format!(
                "`--alias` is `{}…` of 257 characters, not one line of 1 to 256 characters",
                "é".repeat(80)
            )
        );
    }
}
