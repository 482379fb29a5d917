//! Rows that are rejected again: each is the one row that it was, also among equals,
//! and equals take no longer than others.

use std::time::{Duration, Instant};

use crate::sql;
use crate::support::server::TestDatabase;

/// What the second time may take on a busy machine; a join of all equals with all took
/// five minutes.
const TIME_MAX: Duration = Duration::from_secs(40);

/// A manifest with runs 1 to 4, each with a generation of its number.
fn database() -> TestDatabase {
    let database = TestDatabase::migrated();
    database.execute(
        "SELECT register_source('00000000-0000-4000-8000-00000000000f', 'c', 'c');
        INSERT INTO reporting_common_costusagereportmanifest (
            assembly_id, provider_id, billing_period_start_datetime, num_total_files
        )
        VALUES ('upload', '00000000-0000-4000-8000-00000000000f', '2026-01-01', 1);
        INSERT INTO gristmill_run (pipeline, payload, manifest_id)
        SELECT 'ocp', 'payload', 1 FROM generate_series(1, 4);
        INSERT INTO gristmill_generation (manifest_id, run_id, source_uuid)
        SELECT 1, id, '00000000-0000-4000-8000-00000000000f' FROM gristmill_run ORDER BY id",
    );
    database
}

/// A run rejects so many rows with this line, if it is known, and text.
fn reject(database: &TestDatabase, run: u32, rows: u32, line: &str, raw: &str) {
    database.execute(&format!(
        "INSERT INTO gristmill_reject (
            generation, batch, report, file, line, stage, component_digest, code, message, raw
        )
        SELECT {run}, 1, 'pod-usage', 'pods.csv', {line}, 'csv-parse', '', 'odd', 'by run {run}', '{raw}'
        FROM generate_series(1, {rows}) AS number"
    ));
}

/// The run ends: what it rejected gets into quarantine, and what it did not is resolved.
fn settle(database: &TestDatabase, run: u32) {
    let statement = |name: &str| sql::body(&sql::statements()[name]);
    database.execute(&format!(
        "PREPARE insert AS {}
        EXECUTE insert ({run}, {run}, true, 1);
        PREPARE resolve AS {}
        EXECUTE resolve ({run}, 1, '{{pods.csv}}');
        PREPARE remove AS {}
        EXECUTE remove ({run})",
        statement("gristmill_quarantine.insert.sql"),
        statement("gristmill_quarantine.resolve.sql"),
        statement("gristmill_reject.delete.sql"),
    ));
}

/// The rows by text, state and run that they are of.
fn states(database: &TestDatabase) -> Vec<String> {
    let rows = database.query_rows(
        "SELECT concat_ws(' ', convert_from(raw, 'UTF8'), state, run_id, message, count(*))
        FROM gristmill_quarantine
        GROUP BY raw, state, run_id, message
        ORDER BY raw, state, run_id",
    );
    rows.into_iter().flatten().flatten().collect()
}

#[test]
fn equal_rows_answer_one_to_one() {
    for line in ["NULL", "7"] {
        let database = database();
        reject(&database, 1, 3, line, "a");
        reject(&database, 1, 1, line, "b");
        settle(&database, 1);
        assert_eq!(
            states(&database),
            ["a open 1 by run 1 3", "b open 1 by run 1 1"]
        );
        // One more of them is a new row; the others stay the rows that they are.
        reject(&database, 2, 4, line, "a");
        settle(&database, 2);
        assert_eq!(
            states(&database),
            ["a open 2 by run 2 4", "b resolved 1 by run 1 1"]
        );
        // A person discards two. Two come through now; those are the open ones' equals.
        database.execute(
            "UPDATE gristmill_quarantine SET state = 'discarded', reason = 'no'
            WHERE id IN (SELECT min(id) FROM gristmill_quarantine WHERE run_id = 2
                UNION SELECT max(id) FROM gristmill_quarantine WHERE run_id = 2)",
        );
        reject(&database, 3, 1, line, "a");
        settle(&database, 3);
        assert_eq!(
            states(&database),
            [
                "a discarded 2 by run 2 2",
                "a open 3 by run 3 1",
                "a resolved 2 by run 2 1",
                "b resolved 1 by run 1 1"
            ]
        );
        // Three again: the open one, and the two that were discarded.
        reject(&database, 4, 3, line, "a");
        settle(&database, 4);
        assert_eq!(
            states(&database),
            [
                "a discarded 2 by run 2 2",
                "a open 4 by run 4 1",
                "a resolved 2 by run 2 1",
                "b resolved 1 by run 1 1"
            ]
        );
    }
}

/// Rows with the same text: on one line that nobody knows, and on lines of their own.
#[test]
fn equal_rows_take_no_longer_than_others() {
    for (line, rows) in [("NULL", 40_000), ("number", 40_000)] {
        let database = database();
        reject(&database, 1, rows, line, "a,b,c");
        settle(&database, 1);
        reject(&database, 2, rows, line, "a,b,c");
        let started = Instant::now();
        settle(&database, 2);
        assert!(
            started.elapsed() < TIME_MAX,
            "it took {:?}",
            started.elapsed()
        );
        assert_eq!(states(&database), [format!("a,b,c open 2 by run 2 {rows}")]);
    }
}
