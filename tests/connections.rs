//! How many connections a command takes, and that few are enough.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;

use tempfile::TempDir;

use crate::support::command::{Gristmill, file, gristmill, run};
use crate::support::payload::{CLUSTER, DAY, Payload, Report, write};
use crate::support::server::{Session, TestDatabase};

/// A database of a role that may have so many sessions.
struct Site {
    /// As the administrator sees it.
    database: TestDatabase,
    role: String,
    data: TempDir,
}

impl Site {
    #[track_caller]
    fn new(limit: u32) -> Site {
        let database = TestDatabase::migrated();
        let role = format!("{}_role", database.name());
        database.administer(&format!(
            "CREATE ROLE {role} LOGIN CONNECTION LIMIT {limit}"
        ));
        database.execute(&format!(
            "GRANT ALL ON ALL SEQUENCES IN SCHEMA gristmill TO {role}"
        ));
        // Partitions are made by whoever owns the tables.
        database.execute(&format!(
            "DO $$
            DECLARE
                owned record;
            BEGIN
                FOR owned IN
                    SELECT format('%s %I.%I', CASE relkind WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END, 'gristmill', relname) AS what
                    FROM pg_class
                    WHERE relnamespace = 'gristmill'::regnamespace AND relkind IN ('r', 'p', 'v')
                LOOP
                    EXECUTE format('ALTER %s OWNER TO {role}', owned.what);
                END LOOP;
                FOR owned IN
                    SELECT oid::regprocedure::text AS what FROM pg_proc WHERE pronamespace = 'gristmill'::regnamespace
                LOOP
                    EXECUTE format('ALTER ROUTINE %s OWNER TO {role}', owned.what);
                END LOOP;
                ALTER SCHEMA gristmill OWNER TO {role};
            END $$"
        ));
        Site {
            database,
            role,
            data: tempfile::tempdir().expect("a folder"),
        }
    }

    fn as_role(&self, command: Gristmill) -> Gristmill {
        let url = self.database.url();
        let and = if url.contains('?') { '&' } else { '?' };
        command
            .env("DATABASE_URL", format!("{url}{and}user={}", self.role))
            .env("GRISTMILL_DATA", self.data.path())
    }

    fn load(&self, payloads: &[PathBuf]) -> Gristmill {
        self.as_role(run(&self.database, self.pipeline(), payloads))
    }

    /// A session of the role, which is there for as long as this value.
    #[track_caller]
    fn session(&self) -> Session {
        let url = self.database.url();
        TestDatabase::elsewhere(&format!("{url}&user={}", self.role)).session()
    }

    /// With many batches of a report.
    fn pipeline(&self) -> PathBuf {
        let text = format!(
            "extends = {:?}\n[limits]\nchunk = \"64 KiB\"\n",
            file("pipelines/ocp.toml")
        );
        write(self.data.path(), "pipeline.toml", text.as_bytes())
    }

    /// Payloads of two reports, of which one has several chunks, with names and labels
    /// that are new in each batch.
    fn payloads(&self, numbers: std::ops::Range<u32>) -> Vec<PathBuf> {
        let name = |number: u32| format!("{number}.tar.gz");
        numbers
            .map(|number| payload(number).write(self.data.path(), &name(number)))
            .collect()
    }

    #[track_caller]
    fn pods(&self) -> Option<String> {
        self.database
            .query_value("SELECT count(DISTINCT pod) FROM reporting_ocpusagelineitem_pod_staging")
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        // The server goes with a test that failed.
        if std::thread::panicking() {
            return;
        }
        let role = &self.role;
        self.database.execute(&format!(
            "REASSIGN OWNED BY {role} TO CURRENT_USER; DROP OWNED BY {role}"
        ));
        self.database.administer(&format!("DROP ROLE {role}"));
    }
}

/// Rows enough for several batches.
const PODS: u32 = 1_500;

fn payload(number: u32) -> Payload {
    let mut pods = Report::pods();
    for pod in 0..PODS {
        let labels = format!("label_app:app-{pod}");
        let name = format!("pod-{pod}");
        let namespace = format!("namespace-{}", pod / 10);
        pods = pods.row(
            pod % 6,
            &[
                ("pod", &name),
                ("namespace", &namespace),
                ("pod_labels", &labels),
            ],
        );
    }
    // One of them goes to quarantine.
    let pods = pods.row(0, &[("pod", "bad"), ("pod_usage_cpu_core_seconds", "much")]);
    Payload::numbered(number)
        .file("volumes.csv", Report::volumes().hours(0..6).text())
        .file("pods.csv", pods.text())
}

#[test]
fn a_role_with_two_connections_loads() {
    let site = Site::new(2);
    site.load(&site.payloads(1..2)).succeeds();
    assert_eq!(site.pods(), Some(PODS.to_string()));
    for arguments in [&["sources", "list"][..], &["tags", "list"]] {
        site.as_role(gristmill(arguments)).succeeds();
    }
}

#[test]
fn with_any_number_of_connections_everything_gets_on() {
    // The role may have no more than were asked for.
    for number in [2, 3, 6] {
        let site = Site::new(number);
        let number = number.to_string();
        let connections = ["--connections", &number];
        site.load(&site.payloads(1..3))
            .arguments(connections)
            .succeeds();
        assert_eq!(site.pods(), Some(PODS.to_string()));
        for arguments in [
            &["replay", "--source", CLUSTER, "--from", DAY][..],
            &["quarantine", "replay"],
        ] {
            site.as_role(gristmill(arguments).argument(site.pipeline()).with_stages())
                .arguments(connections)
                .succeeds();
        }
    }
}

/// Runs that begin in one moment count each other's sessions.
#[test]
fn who_finds_too_little_room_looks_again() {
    let site = Site::new(3);
    let payloads = site.payloads(1..2);
    let others = [site.session(), site.session()];
    let mut running = site.load(&payloads).starts();
    let told = BufReader::new(running.stderr.take().expect("a pipe"));
    let mut told = told.lines().map(|line| line.expect("text"));
    let words = format!(
        "2 connections are needed, and role `{}` has 1 left",
        site.role
    );
    let looks = told.find(|line| line.contains(&words));
    assert!(
        looks
            .as_ref()
            .is_some_and(|line| line.ends_with("looking again for some seconds")),
        "{looks:?}"
    );
    drop(others);
    let rest: Vec<String> = told.collect();
    let status = running.wait().expect("an end");
    assert!(status.success(), "{rest:?}");
    assert_eq!(site.pods(), Some(PODS.to_string()));
}

#[test]
fn fewer_connections_than_are_needed_are_said_with_their_number() {
    let site = Site::new(1);
    let payloads = site.payloads(1..2);
    let ended = site.load(&payloads).ends_with(3);
    let words = format!(
        "2 connections are needed, and role `{}` has 1 left",
        site.role
    );
    assert!(ended.stderr.contains(&words), "{ended}");
    let ended = site
        .load(&payloads)
        .arguments(["--connections", "5"])
        .ends_with(3);
    let words = format!(
        "5 connections are needed, and role `{}` has 1 left",
        site.role
    );
    assert!(ended.stderr.contains(&words), "{ended}");
    assert!(
        ended.stderr.contains("`--connections` may be as low as 2"),
        "{ended}"
    );

    let ended = site
        .load(&payloads)
        .arguments(["--connections", "1"])
        .ends_with(2);
    assert!(ended.stderr.contains("1 is not in 2..=1000"), "{ended}");
}

#[test]
fn a_database_that_is_full_is_said_with_the_number() {
    let database = TestDatabase::migrated();
    let role = format!("{}_role", database.name());
    database.administer(&format!("CREATE ROLE {role} LOGIN"));
    database.administer("ALTER DATABASE {name} CONNECTION LIMIT 1");
    let url = format!("{}&user={role}", database.url());
    let ended = run(&database, "pipelines/ocp.toml", &["missing.tar.gz".into()])
        .env("DATABASE_URL", url)
        .ends_with(3);
    let words = format!(
        "2 connections are needed, and database `{}` has 1 left",
        database.name()
    );
    assert!(ended.stderr.contains(&words), "{ended}");
    database.administer(&format!("DROP ROLE {role}"));
}
