//! What people see of tables, colours and progress: on terminals of two widths, and through
//! a pipe.

use crate::support::command::{Gristmill, gristmill, run};
use crate::support::payload::{Payload, write};
use crate::support::server::TestDatabase;

/// A name as clouds give to clusters.
const LONG: &str = "production-cluster-of-the-north-region-number-42";

/// A source of a long name with a day.
fn database() -> TestDatabase {
    let database = TestDatabase::migrated();
    let folder = tempfile::tempdir().expect("a folder");
    let payload = Payload::usual(1).manifest("cluster_id", LONG).write(
        folder.path(),
        "upload-of-the-operator-in-the-northern-region.tar.gz",
    );
    run(&database, "pipelines/ocp.toml", &[payload]).succeeds();
    database
}

/// The lines of tables.
fn drawn(shown: &str) -> Vec<&str> {
    let is_drawn = |line: &&str| line.starts_with(['┌', '│', '╞', '└']);
    shown.lines().filter(is_drawn).collect()
}

fn columns_of(line: &str) -> usize {
    let mut escaped = false;
    let visible = line.chars().filter(|character| {
        let starts = *character == '\u{1b}';
        let shown = !escaped && !starts;
        escaped = starts || (escaped && *character != 'm');
        shown
    });
    visible.count()
}

#[test]
fn tables_fit_the_terminal() {
    let database = database();
    for verb in [&["status"][..], &["sources", "list"]] {
        let command = || gristmill(verb).database(&database);
        for columns in [80, 100, 200] {
            let shown = command().shown_on(columns);
            let drawn = drawn(&shown);
            assert!(!drawn.is_empty(), "{shown}");
            for line in &drawn {
                assert!(columns_of(line) <= columns.into(), "{columns}\n{shown}");
            }
        }
        let narrow = command().shown_on(80);
        assert!(
            narrow.contains("produc") && narrow.contains('…'),
            "{narrow}"
        );
        let wide = command().argument("--wide").shown_on(80);
        let piped = command().ends().stdout;
        for whole in [wide, piped] {
            assert!(whole.contains(LONG) && !whole.contains('…'), "{whole}");
        }
    }
    let narrow = gristmill(["sources", "list"])
        .database(&database)
        .shown_on(80);
    assert!(
        narrow.contains("`--wide` shows these columns too: registered"),
        "{narrow}"
    );
}

#[test]
fn colours_are_for_terminals_that_want_them() {
    let missing = || gristmill(["check", "no.toml"]);
    let painted = |text: &str| text.contains("\u{1b}[1m\u{1b}[31merror:\u{1b}[0m ");
    assert!(painted(&missing().shown_on(80)));
    for plain in [
        missing().env("NO_COLOR", "1").shown_on(80),
        missing().env("TERM", "dumb").shown_on(80),
        // CI systems show colours, unless they say that they do not.
        missing().env("CI", "true").env("TERM", "dumb").shown_on(80),
        missing().ends().stderr,
    ] {
        assert!(
            plain.contains("error: ") && !plain.contains('\u{1b}'),
            "{plain:?}"
        );
    }
    let database = database();
    let status = |command: Gristmill| command.database(&database).shown_on(200);
    let published = "\u{1b}[38;5;10mpublished";
    assert!(status(gristmill(["status"])).contains(published));
    assert!(!status(gristmill(["status"]).env("NO_COLOR", "1")).contains('\u{1b}'));
}

#[test]
fn progress_has_the_share_of_bytes_and_of_payloads_and_what_the_database_does() {
    let database = TestDatabase::migrated();
    let folder = tempfile::tempdir().expect("a folder");
    let payloads: Vec<_> = (1..4)
        .map(|number| Payload::usual(number).write(folder.path(), &format!("{number}.tar.gz")))
        .collect();
    let ended = run(&database, "pipelines/ocp.toml", &payloads).starts();
    let output = ended.wait_with_output().expect("its end");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        said.contains("payload 2 of 3, 2.tar.gz: running\n"),
        "{said}"
    );
    // Publishing waits, so that it is seen.
    database.execute(
        "CREATE FUNCTION slowly() RETURNS trigger LANGUAGE plpgsql
        AS 'BEGIN PERFORM pg_sleep(0.5); RETURN NULL; END';
        CREATE TRIGGER slowly AFTER INSERT ON reporting_ocpusagelineitem_daily_summary
        FOR EACH STATEMENT EXECUTE FUNCTION slowly()",
    );
    let payload = Payload::numbered(9).file(
        "pods.csv",
        crate::support::payload::Report::pods().hours(0..4).text(),
    );
    let payload = payload.write(folder.path(), "slow.tar.gz");
    let shown = run(
        &database,
        "pipelines/ocp.toml",
        &[payloads[0].clone(), payload],
    )
    .shown_on(100);
    for words in [
        "2 of 2 payloads",
        " rows  ",
        " MB/s",
        "summarizing the rows of 2026-01-10",
    ] {
        assert!(shown.contains(words), "{words}\n{shown}");
    }
}

/// As `| head` does, of both streams.
#[test]
fn a_reader_who_goes_away_is_not_waited_for() {
    let mut child = gristmill(["check", "no.toml"]).starts();
    drop((child.stdout.take(), child.stderr.take()));
    let begun = std::time::Instant::now();
    while child.try_wait().expect("its state").is_none() {
        assert!(
            begun.elapsed() < std::time::Duration::from_secs(60),
            "it hangs"
        );
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

/// Whoever waits says for whom, and for a run only when there is one.
#[test]
fn a_run_that_is_waited_for_is_one() {
    let database = database();
    let folder = tempfile::tempdir().expect("a folder");
    let next = Payload::usual(2)
        .manifest("cluster_id", LONG)
        .write(folder.path(), "next.tar.gz");
    let session = database.session();
    session.execute(
        "SET application_name = 'somebody';
        SELECT pg_advisory_lock(source_lock_key(source_uuid)) FROM gristmill_source",
    );
    let pipeline = format!(
        "extends = {:?}\n[limits]\nlock-wait = \"300 ms\"\n",
        crate::support::command::file("pipelines/ocp.toml")
    );
    let pipeline = write(folder.path(), "site.toml", pipeline.as_bytes());
    let ended = run(&database, &pipeline, std::slice::from_ref(&next)).ends_with(3);
    let words = format!(" (`somebody`), which keeps runs out of cluster `{LONG}`");
    assert!(ended.stderr.contains(&words), "{ended}");
    assert!(!ended.stderr.contains("waiting for another run"), "{ended}");
    drop(session);
    run(&database, &pipeline, &[next]).succeeds();
}
