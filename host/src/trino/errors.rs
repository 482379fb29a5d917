//! The errors of Trino: what each asks for, and what somebody can do about it.

use super::answer::QueryError;
use crate::diagnostics::engine_error::{EngineError, EngineFault};

use EngineFault::{Passing, Wrong};

/// More of a message than anybody reads: Trino's may have whole stacks.
const WORDS_MAX: usize = 600;

/// A way in which statements fail.
struct Known {
    names: &'static [&'static str],
    fault: EngineFault,
    sentence: &'static str,
    hint: &'static str,
}

/// By `errorName`.
const KNOWN: &[Known] = &[
    Known {
        names: &[
            "EXCEEDED_LOCAL_MEMORY_LIMIT",
            "EXCEEDED_GLOBAL_MEMORY_LIMIT",
            "CLUSTER_OUT_OF_MEMORY",
            "EXCEEDED_TASK_DESCRIPTOR_STORAGE_CAPACITY",
        ],
        fault: Passing,
        sentence: "Trino has too little memory for it",
        hint: "give its nodes more (`query.max-memory-per-node`, and `memory-per-node` in `[trino]`), or add nodes",
    },
    Known {
        names: &["EXCEEDED_TIME_LIMIT", "EXCEEDED_CPU_LIMIT"],
        fault: Passing,
        sentence: "it takes Trino too long",
        hint: "raise `time-per-statement` in `[trino]`, or see what else Trino has to do",
    },
    Known {
        names: &["QUERY_QUEUE_FULL"],
        fault: Passing,
        sentence: "Trino has too many statements waiting",
        hint: "see what else Trino has to do",
    },
    Known {
        names: &[
            "USER_CANCELED",
            "ADMINISTRATIVELY_KILLED",
            "ADMINISTRATIVELY_PREEMPTED",
        ],
        fault: Passing,
        sentence: "somebody cancelled it",
        hint: "Trino's page of queries, or its administrator, says who did",
    },
    Known {
        names: &[
            "PAGE_TRANSPORT_TIMEOUT",
            "PAGE_TRANSPORT_ERROR",
            "REMOTE_HOST_GONE",
            "REMOTE_TASK_ERROR",
            "REMOTE_TASK_MISMATCH",
            "REMOTE_TASK_FAILED",
            "TOO_MANY_REQUESTS_FAILED",
            "NO_NODES_AVAILABLE",
            "ABANDONED_TASK",
            "ABANDONED_QUERY",
            "SERVER_SHUTTING_DOWN",
            "SERVER_STARTING_UP",
        ],
        fault: Passing,
        sentence: "Trino lost a node, or has none",
        hint: "see that its nodes run",
    },
    Known {
        names: &[
            "ICEBERG_CANNOT_OPEN_SPLIT",
            "ICEBERG_BAD_DATA",
            "ICEBERG_MISSING_DATA",
            "ICEBERG_CURSOR_ERROR",
            "ICEBERG_FILESYSTEM_ERROR",
            "ICEBERG_COMMIT_ERROR",
            "ICEBERG_INVALID_METADATA",
            "ICEBERG_MISSING_METADATA",
        ],
        fault: Passing,
        sentence: "Trino cannot read the files of the lake: one is missing, damaged, or not one of ours, or the store is away",
        hint: "see that Trino's catalog reaches `[lake] location`, that nobody else writes there, and that its disks are well",
    },
    Known {
        names: &["ICEBERG_CATALOG_ERROR"],
        fault: Passing,
        sentence: "Trino cannot use what holds its catalog",
        hint: "see that the catalog's database, or server, runs, has its tables, and lets Trino in",
    },
    Known {
        names: &["PERMISSION_DENIED"],
        fault: Wrong,
        sentence: "Trino's user may not do it",
        hint: "the user of `[trino]` may create, alter, read and drop tables of its schema; and the catalog file says `iceberg.add-files-procedure.enabled=true`",
    },
    Known {
        names: &["CATALOG_NOT_FOUND", "MISSING_CATALOG_NAME"],
        fault: Wrong,
        sentence: "Trino has no such catalog",
        hint: "`catalog` in `[trino]` is a catalog of Iceberg's: a file `etc/catalog/<catalog>.properties` of each node",
    },
    Known {
        names: &[
            "NOT_SUPPORTED",
            "PROCEDURE_NOT_FOUND",
            "INVALID_TABLE_PROPERTY",
        ],
        fault: Wrong,
        sentence: "that catalog of Trino cannot do it",
        hint: "`catalog` in `[trino]` is a catalog of Iceberg's, of a Trino that has `add_files`",
    },
];

/// A statement that failed.
pub(super) fn of_query(what: &str, error: &QueryError) -> EngineError {
    let QueryError {
        message,
        error_name,
        error_type,
    } = error;
    let known = KNOWN
        .iter()
        .find(|known| known.names.contains(&&**error_name));
    let (fault, sentence, hint) = match known {
        Some(known) => (known.fault, known.sentence, known.hint),
        // Wrong is what was asked. All else is Trino's own, or of what it asks itself.
        None if error_type == "USER_ERROR" => (
            Wrong,
            "Trino does not take the statement",
            "see that `[trino]` names a Trino that gristmill's book says it was tried with",
        ),
        None => (
            Passing,
            "Trino failed at it",
            "see Trino's log, and that its nodes and its catalog are well",
        ),
    };
    let sentence = format!("cannot {what}: {sentence}");
    let made = match fault {
        Wrong => EngineError::wrong(sentence),
        _ => EngineError::passing(sentence),
    };
    made.saying(format!(
        "{error_name} ({error_type}): {}",
        shortened(message)
    ))
    .hint(hint)
}

fn shortened(message: &str) -> String {
    let line = message.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(WORDS_MAX) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(name: &str, kind: &str) -> EngineError {
        of_query(
            "fold hours",
            &QueryError {
                message: "m ".repeat(1_000),
                error_name: name.into(),
                error_type: kind.into(),
            },
        )
    }

    #[test]
    fn an_error_asks_for_another_try_or_for_somebody() {
        for (name, kind, fault) in [
            (
                "EXCEEDED_LOCAL_MEMORY_LIMIT",
                "INSUFFICIENT_RESOURCES",
                Passing,
            ),
            ("EXCEEDED_TIME_LIMIT", "INSUFFICIENT_RESOURCES", Passing),
            ("USER_CANCELED", "USER_ERROR", Passing),
            ("PAGE_TRANSPORT_TIMEOUT", "INTERNAL_ERROR", Passing),
            ("ICEBERG_COMMIT_ERROR", "EXTERNAL", Passing),
            ("ICEBERG_CANNOT_OPEN_SPLIT", "EXTERNAL", Passing),
            ("GENERIC_INTERNAL_ERROR", "INTERNAL_ERROR", Passing),
            ("SOMETHING_NEW", "EXTERNAL", Passing),
            ("SOMETHING_NEW", "INSUFFICIENT_RESOURCES", Passing),
            ("SOMETHING_NEW", "USER_ERROR", Wrong),
            ("SYNTAX_ERROR", "USER_ERROR", Wrong),
            ("PERMISSION_DENIED", "USER_ERROR", Wrong),
            ("CATALOG_NOT_FOUND", "USER_ERROR", Wrong),
        ] {
            let error = error(name, kind);
            assert_eq!(error.fault, fault, "{name}");
            assert!(error.failure.hint.is_some(), "{name}");
            let shown = error.to_string();
            assert!(shown.starts_with("cannot fold hours: "), "{shown}");
            assert!(shown.contains(name) && shown.len() < 900, "{shown}");
        }
    }

    #[test]
    fn no_name_is_known_twice() {
        let mut names: Vec<&str> = KNOWN
            .iter()
            .flat_map(|known| known.names)
            .copied()
            .collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
