//! A publication of all tables: loads, replays and `clean` get on with it, and whoever
//! subscribes to it has the same rows.

use std::thread;
use std::time::{Duration, Instant};

use crate::support::command::{Gristmill, gristmill};
use crate::support::own_server::OwnServer;
use crate::support::payload::{CLUSTER, DAY, Payload, Report};
use crate::support::server::TestDatabase;
use crate::support::site::Site;

/// How long the subscriber may take to have what there is.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server with the database that is written to, and one that subscribes to all of it.
struct Pair {
    server: OwnServer,
    site: Site,
    subscriber: TestDatabase,
}

impl Pair {
    #[track_caller]
    fn new() -> Pair {
        let server = OwnServer::replicated();
        let publisher = server.database("postgres");
        gristmill(["db", "migrate"]).database(&publisher).succeeds();
        server
            .database("template1")
            .execute("CREATE DATABASE subscriber TEMPLATE postgres");
        let subscriber = server.database("subscriber");
        publisher.execute(
            "CREATE PUBLICATION everything FOR TABLES IN SCHEMA gristmill
                WITH (publish_via_partition_root = true)",
        );
        publisher.execute("SELECT pg_create_logical_replication_slot('subscriber', 'pgoutput')");
        // Only rows are replicated: whoever subscribes makes the months.
        subscriber.execute(&format!(
            "SELECT ensure_month('{DAY}');
            ALTER TABLE reporting_ocpusagepodlabel_summary ADD PRIMARY KEY (uuid);
            ALTER TABLE reporting_ocpstoragevolumelabel_summary ADD PRIMARY KEY (uuid)"
        ));
        subscriber.execute(&format!(
            "CREATE SUBSCRIPTION everything CONNECTION '{}' PUBLICATION everything
                WITH (create_slot = false, slot_name = 'subscriber', copy_data = false)",
            publisher.url()
        ));
        Pair {
            server,
            site: Site::with(publisher),
            subscriber,
        }
    }

    fn command(&self, arguments: &[&str]) -> Gristmill {
        self.site.command(arguments)
    }

    #[track_caller]
    fn load(&self, payload: Payload) {
        self.site.run(&self.site.write(&[payload])).succeeds();
    }

    /// The subscriber gets to have the same rows in tables for which the condition is true.
    #[track_caller]
    fn is_replicated(&self, tables: &str, after: &str) {
        let written = &self.site.database;
        let end = written.query_value("SELECT pg_current_wal_lsn()");
        let arrived = format!(
            "SELECT confirmed_flush_lsn >= '{}' FROM pg_replication_slots WHERE slot_name = 'subscriber'",
            end.expect("a place in the log")
        );
        let begun = Instant::now();
        while written.query_value(&arrived).as_deref() != Some("t") {
            let log = self.server.log();
            assert!(begun.elapsed() < PATIENCE, "not there after {after}\n{log}");
            thread::sleep(Duration::from_millis(20));
        }
        let rows = written.digests_of(tables);
        assert_eq!(self.subscriber.digests_of(tables), rows, "after {after}");
    }

    fn count(&self, table: &str) -> u64 {
        let count = format!("SELECT count(*) FROM {table}");
        let count = self.subscriber.query_value(&count).expect("a count");
        count.parse().expect("a number")
    }
}

const ALL: &str = "true";
const TAGS: &str = "reporting_ocpusagepodlabel_summary";
const STAGED: &str = "reporting_ocpusagelineitem_pod_staging";

fn labelled(number: u32, hours: u32, value: &str) -> Payload {
    let labels = format!("label_app:{value}");
    let report = (0..hours).fold(Report::pods(), |report, hour| {
        report.row(hour, &[("pod_labels", &labels)])
    });
    Payload::numbered(number)
        .manifest("date", format!("2026-01-11T0{number}:00:00Z"))
        .file("pods.csv", report.text())
        .file("volumes.csv", Report::volumes().hours(0..hours).text())
}

#[test]
fn whatever_happens_to_tables_is_replicated() {
    let pair = Pair::new();
    pair.load(labelled(1, 3, "web"));
    pair.command(&["tags", "enable", "app"]).succeeds();
    pair.load(labelled(2, 5, "shop"));
    pair.is_replicated(ALL, "loads");
    assert!(pair.count(TAGS) > 0 && pair.count(STAGED) > 0);

    // Tags get more values, and go.
    pair.load(labelled(3, 7, "bank"));
    pair.is_replicated(ALL, "a load that adds to tags");
    pair.command(&["tags", "disable", "app"]).succeeds();
    let staged = pair.count(STAGED);
    pair.command(&["replay", "pipelines/ocp.toml"])
        .with_stages()
        .arguments(["--source", CLUSTER, "--from", DAY])
        .succeeds();
    pair.is_replicated(ALL, "a replay");
    assert_eq!(pair.count(TAGS), 0);
    assert_eq!(
        pair.count(STAGED),
        staged,
        "staged rows went as others came"
    );

    // Months go as tables, of which a subscriber is not told.
    let generations = pair.count("gristmill_generation");
    pair.command(&["clean", "--retention-months", "3", "--retention-days", "0"])
        .succeeds();
    pair.is_replicated("relkind = 'r'", "clean");
    assert!(pair.count("gristmill_generation") < generations);
    for table in [STAGED, "reporting_ocpusagelineitem_daily_summary"] {
        let left = format!("SELECT count(*) FROM {table}");
        let left = pair.site.database.query_value(&left);
        assert_eq!(left.as_deref(), Some("0"), "{table}");
    }
}

/// As Postgres sees it: without a replica identity a row under a publication can be
/// neither changed nor removed.
#[test]
fn every_table_has_a_replica_identity() {
    let database = TestDatabase::migrated();
    database.execute("SELECT ensure_month('2026-01-01')");
    let without = database.query_rows(
        "SELECT relname
        FROM pg_class
        WHERE
            relnamespace = 'gristmill'::regnamespace
            AND relkind IN ('r', 'p')
            AND CASE relreplident
                WHEN 'f' THEN false
                WHEN 'd' THEN NOT EXISTS (
                    SELECT
                    FROM pg_index
                    WHERE indrelid = pg_class.oid AND indisprimary
                )
                ELSE true
            END",
    );
    assert!(without.is_empty(), "{without:?}");
}
