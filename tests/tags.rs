//! `gristmill tags`: which label keys become tags, and under which name.

use serde_json::json;

use crate::support::command::{Ended, gristmill, run};
use crate::support::payload::{Payload, Report};
use crate::support::server::TestDatabase;

#[track_caller]
fn tags(database: &TestDatabase, arguments: &[&str], code: i32) -> Ended {
    gristmill(["tags"])
        .arguments(arguments)
        .database(database)
        .ends_with(code)
}

/// A database in which payloads have shown these keys.
fn seen(keys: &str) -> TestDatabase {
    let database = TestDatabase::migrated();
    database.execute(&format!(
        "INSERT INTO reporting_enabledtagkeys (key, enabled, provider_type)
        SELECT key, false, 'OCP' FROM unnest('{{{keys}}}'::text[]) AS seen (key)"
    ));
    database
}

#[test]
fn keys_are_enabled_mapped_and_listed() {
    let database = seen("app,application,owner");
    tags(&database, &["enable", "app", "application", "app"], 0).stderr_is(
        "`app` is enabled now\n\
        `application` is enabled now\n\
        the next payloads will show it; `gristmill replay` makes it show in days already loaded",
    );
    tags(&database, &["enable", "app"], 0).stderr_is("`app` was enabled before");
    tags(&database, &["map", "application", "app"], 0).stderr_is(
        "`application` is known as `app` now\n\
        days already loaded keep their names until `gristmill summarize`",
    );
    let listed = tags(&database, &["list", "--json"], 0).json();
    assert_eq!(
        listed,
        json!([
            { "key": "app", "enabled": true, "parent": null },
            { "key": "application", "enabled": true, "parent": "app" },
            { "key": "owner", "enabled": false, "parent": null },
        ])
    );
    tags(&database, &["list"], 0).stderr_is("2 of 3 keys are enabled; there can be at most 200");

    tags(&database, &["disable", "application"], 1).stderr_is(
        "error: cannot disable `application`: it is mapped to `app`\n\n\
        hint: `gristmill tags unmap application` comes first",
    );
    tags(&database, &["unmap", "application", "owner"], 0).stderr_is(
        "`application` is known under its own name now\n\
        `owner` was known under its own name before\n\
        days already loaded keep their names until `gristmill summarize`",
    );
    tags(&database, &["disable", "application"], 0).stderr_is(
        "`application` is disabled now\n\
        days already loaded keep it until `gristmill replay`",
    );
}

#[test]
fn a_key_can_be_enabled_before_a_payload_shows_it() {
    let database = TestDatabase::migrated();
    tags(&database, &["enable", "team"], 0).stderr_is(
        "`team` is enabled now\n\
        no payload has shown `team` yet\n\
        the next payloads will show it; `gristmill replay` makes it show in days already loaded",
    );
}

#[test]
fn chains_of_names_are_refused() {
    let database = seen("a,b,c");
    tags(&database, &["map", "a", "b"], 1).stderr_is(
        "error: cannot map `a` to `b`: `a` is not enabled\n\n\
        hint: `gristmill tags enable a` comes first",
    );
    tags(&database, &["enable", "a", "b", "c"], 0);
    tags(&database, &["map", "a", "a"], 2).stderr_is("error: cannot map `a` to itself");
    tags(&database, &["map", "a", "b"], 0);
    tags(&database, &["map", "c", "a"], 1).stderr_is(
        "error: cannot map `c` to `a`, which is itself mapped to `b`\n\n\
        hint: map `c` to `b`",
    );
    tags(&database, &["map", "b", "c"], 1).stderr_is(
        "error: cannot map `b` to `c`: `a` is mapped to `b`\n\n\
        hint: map `a` to `c` first",
    );
}

#[test]
fn keys_that_nobody_knows_or_can_hold_are_refused() {
    let database = seen("application");
    tags(&database, &["disable", "aplication"], 2)
        .stderr_is("error: there is no tag key `aplication`\n\nhint: did you mean `application`?");
    let long = "k".repeat(513);
    tags(&database, &["enable", "application", &long], 2)
        .stderr_is("error: a tag key has at most 512 characters, and this one has 513");
    let enabled = "SELECT count(*) FROM reporting_enabledtagkeys WHERE enabled";
    assert_eq!(database.query_value(enabled).as_deref(), Some("0"));
}

#[test]
fn the_201st_key_is_refused() {
    let database = seen("one,two");
    let keys: Vec<String> = (0..199).map(|number| format!("k{number}")).collect();
    gristmill(["tags", "enable"])
        .arguments(&keys)
        .database(&database)
        .succeeds();
    tags(&database, &["enable", "one", "two"], 1).stderr_is(
        "error: cannot enable 2 keys: 199 keys are enabled, and there can be at most 200\n\n\
        hint: `gristmill tags disable KEY` makes room",
    );
    tags(&database, &["enable", "two"], 0);
    tags(&database, &["enable", "one"], 1).stderr_is(
        "error: cannot enable `one`: 200 keys are enabled, and there can be at most 200\n\n\
        hint: `gristmill tags disable KEY` makes room",
    );
}

#[test]
fn a_key_that_was_never_seen_is_enabled_with_a_hint_at_a_near_one() {
    let database = seen("application,tier");
    tags(&database, &["enable", "aplication", "owner"], 0).stderr_is(
        "`aplication` is enabled now\n\
        `owner` is enabled now\n\
        no payload has shown `aplication` yet; did you mean `application`?\n\
        no payload has shown `owner` yet\n\
        the next payloads will show it; `gristmill replay` makes it show in days already loaded",
    );
}

#[test]
fn a_key_too_long_for_a_tag_is_passed_over_and_the_rest_counts() {
    let database = TestDatabase::migrated();
    let labels = format!("label_app:shop|label_{}:x", "k".repeat(513));
    let report = Report::pods().row(0, &[("pod_labels", &labels)]);
    let folder = tempfile::tempdir().expect("a folder");
    let payload = Payload::numbered(1)
        .file("pods.csv", report.text())
        .write(folder.path(), "p.tar.gz");
    run(&database, "pipelines/ocp.toml", &[payload])
        .env("GRISTMILL_DATA", folder.path())
        .succeeds();
    let keys = "SELECT string_agg(key, ' '), bool_or(enabled) FROM reporting_enabledtagkeys";
    assert_eq!(
        database.query_rows(keys),
        [[Some("app".into()), Some("f".into())]]
    );
}

#[test]
fn a_statement_that_fails_says_what_was_to_be_done() {
    let database = seen("a,b,c");
    tags(&database, &["enable", "a", "b", "c"], 0);
    tags(&database, &["map", "b", "c"], 0);
    database.execute(
        "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql
        AS $$ BEGIN RAISE EXCEPTION 'the disk is full'; END $$;
        CREATE TRIGGER fail BEFORE INSERT OR UPDATE OR DELETE ON reporting_enabledtagkeys
        FOR EACH STATEMENT EXECUTE FUNCTION fail();
        CREATE TRIGGER fail BEFORE INSERT OR UPDATE OR DELETE ON reporting_tagmapping
        FOR EACH STATEMENT EXECUTE FUNCTION fail()",
    );
    for (arguments, doing) in [
        (["enable", "d", "e"].as_slice(), "enable 2 keys"),
        (&["disable", "a"], "disable `a`"),
        (&["map", "a", "c"], "map `a` to `c`"),
        (&["unmap", "b"], "unmap `b`"),
    ] {
        tags(&database, arguments, 1)
            .stderr_is(&format!("error: cannot {doing}\n  the disk is full"));
    }
}
