//! `gristmill verify`: another engine measured by Postgres, on a site's own archive.

use std::fs;

use rustix::process::Signal;

use crate::engines;
use crate::support::command::{Ended, Gristmill, Running, run};
use crate::support::engine;
use crate::support::payload::{CLUSTER, DAY, Payload, Report};
use crate::support::server::TestDatabase;
use crate::support::site::Site;
use crate::tables;

/// Behind the load of the second engine, the one in question.
const LOADED: &str = "scratch-loaded:2";

/// Schemas of the whole database that are somebody's scratch.
const SCRATCH: &str =
    "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'gristmill\\_scratch\\_%'";

const SUMMARY: &str = "reporting_ocpusagelineitem_daily_summary";

#[track_caller]
fn has_scratch(database: &TestDatabase, schemas: &str) {
    assert_eq!(database.query_value(SCRATCH).as_deref(), Some(schemas));
}

/// A site with a payload of pods and volumes in its archive.
#[track_caller]
fn small_site() -> Site {
    let site = Site::new();
    let payload = Payload::numbered(1)
        .file("pods.csv", Report::pods().hours(0..5).text())
        .file("volumes.csv", Report::volumes().hours(0..5).text());
    site.run(&site.write(&[payload])).succeeds();
    site
}

fn verify(site: &Site, engine: &str) -> Gristmill {
    site.command(&["verify", "pipelines/ocp.toml", "--engine", engine])
        .arguments(["--source", CLUSTER, "--from", DAY, "--to", DAY])
        .with_stages()
}

fn stopped_at(site: &Site, failpoint: &str) -> Running {
    verify(site, "embedded")
        .env("GRISTMILL_TEST_STOP_AT", failpoint)
        .begins()
        .has_stopped()
}

#[track_caller]
fn says(ended: &Ended, words: &str) {
    assert!(ended.stderr.contains(words), "{words}\n{ended}");
}

/// The archive's files, and when each was written.
fn archive(site: &Site) -> Vec<(std::path::PathBuf, std::time::SystemTime)> {
    let written = |path: &std::path::PathBuf| fs::metadata(path).and_then(|file| file.modified());
    let files = site.archived().into_iter();
    files
        .map(|path| (path.clone(), written(&path).expect("a time")))
        .collect()
}

/// Tags with mappings, a category of the site's own, several uploads of a day, a split one:
/// what the settings and the payloads of a site may be.
#[test]
fn an_engine_that_makes_the_same_is_found_equal() {
    for set in ["small_tagmap", "split", "resend_growing"] {
        let (database, payloads) = tables::prepared(set);
        let site = Site::with(database);
        site.database.execute(
            "INSERT INTO reporting_ocp_cost_category (id, name, description, source_type)
            VALUES (70, 'Ours', '', 'OCP');
            INSERT INTO reporting_ocp_cost_category_namespace (namespace, cost_category_id)
            VALUES ('a%', 70)",
        );
        run(&site.database, "pipelines/ocp-max.toml", &payloads)
            .env("GRISTMILL_DATA", site.folder())
            .succeeds();
        // An engine of the source must not be what is compared.
        site.database
            .execute("UPDATE gristmill_source SET engine = 'embedded'");
        let said = site.database.query_rows(
            "SELECT cluster_id, min(usage_day), max(usage_day)
            FROM gristmill_day JOIN gristmill_source USING (source_uuid) GROUP BY 1",
        );
        let said: Vec<String> = said.into_iter().flatten().flatten().collect();
        let [cluster, from, to] = &said[..] else {
            panic!("a source with days");
        };
        let (before, files) = (site.database.digests(), archive(&site));
        let found = site
            .command(&["verify", "pipelines/ocp-max.toml", "--engine", "embedded"])
            .arguments(["--source", cluster, "--from", from, "--to", to, "--json"])
            .with_stages()
            .succeeds()
            .json();
        assert_eq!(found["equal"], true, "{set}: {found:#}");
        assert_eq!(found["difference"], serde_json::Value::Null, "{set}");
        assert!(found["tables"].as_u64() >= Some(20), "{set}: {found:#}");
        assert!(found["rows"].as_u64() > Some(20), "{set}: {found:#}");
        let [postgres, embedded] = [&found["engines"][0], &found["engines"][1]];
        assert_eq!(postgres["engine"], "postgres", "{set}");
        assert_eq!(postgres["rows_folded"], 0, "{set}");
        assert_eq!(postgres["fold_seconds"], serde_json::Value::Null, "{set}");
        assert_eq!(embedded["engine"], "embedded", "{set}");
        assert!(
            embedded["rows_folded"].as_u64() > Some(0),
            "{set}: {found:#}"
        );
        assert!(embedded["fold_seconds"].is_f64(), "{set}: {found:#}");
        assert_eq!(postgres["rows_loaded"], embedded["rows_loaded"], "{set}");
        assert!(embedded["seconds"].as_f64() > Some(0.0), "{set}: {found:#}");
        has_scratch(&site.database, "0");
        assert_eq!(site.database.digests(), before, "{set}: the site's tables");
        assert_eq!(archive(&site), files, "{set}: the site's archive");
    }
}

#[test]
fn the_settings_are_the_sites() {
    let site = small_site();
    site.database.execute(
        "INSERT INTO reporting_enabledtagkeys (key, enabled, provider_type)
        VALUES ('app', true, 'OCP'), ('part', true, 'OCP')
        ON CONFLICT (key, provider_type) DO UPDATE SET enabled = true;
        INSERT INTO reporting_tagmapping (parent_id, child_id)
        SELECT parent.uuid, child.uuid
        FROM reporting_enabledtagkeys AS parent, reporting_enabledtagkeys AS child
        WHERE parent.key = 'app' AND child.key = 'part';
        DELETE FROM reporting_ocp_cost_category;
        INSERT INTO reporting_ocp_cost_category (id, name, description, source_type)
        VALUES (70, 'Ours', '', 'OCP');
        INSERT INTO reporting_ocp_cost_category_namespace (namespace, cost_category_id) VALUES ('a%', 70);
        INSERT INTO reporting_ocp_infrastructure_map (source_uuid, infrastructure_type)
        SELECT source_uuid, 'GCP' FROM gristmill_source",
    );
    site.command(&[
        "sources",
        "rename",
        "--cluster-id",
        CLUSTER,
        "--alias",
        "blue",
    ])
    .succeeds();
    let running = stopped_at(&site, "scratch-prepared:2");
    let schemas = site
        .database
        .query_rows("SELECT scratch_schemas()")
        .into_iter()
        .flatten()
        .flatten()
        .collect::<Vec<String>>();
    assert_eq!(schemas.len(), 2);
    for schema in schemas {
        let differences = site.database.query_rows(&format!(
            "SELECT 'tag' FROM (
                (TABLE reporting_enabledtagkeys EXCEPT TABLE {schema}.reporting_enabledtagkeys)
                UNION ALL
                (TABLE {schema}.reporting_enabledtagkeys EXCEPT TABLE reporting_enabledtagkeys)
            ) AS tags
            UNION ALL
            SELECT 'mapping' FROM (
                (TABLE reporting_tagmapping EXCEPT TABLE {schema}.reporting_tagmapping)
            ) AS mappings
            UNION ALL
            SELECT 'category' FROM (
                (TABLE reporting_ocp_cost_category EXCEPT TABLE {schema}.reporting_ocp_cost_category)
                UNION ALL
                (TABLE {schema}.reporting_ocp_cost_category EXCEPT TABLE reporting_ocp_cost_category)
            ) AS categories
            UNION ALL
            SELECT 'pattern' FROM (
                (TABLE reporting_ocp_cost_category_namespace
                EXCEPT TABLE {schema}.reporting_ocp_cost_category_namespace)
            ) AS patterns
            UNION ALL
            SELECT 'place' FROM (
                (TABLE reporting_ocp_infrastructure_map EXCEPT TABLE {schema}.reporting_ocp_infrastructure_map)
            ) AS places
            UNION ALL
            SELECT 'source' FROM (
                (
                    SELECT source_uuid, cluster_id, cluster_alias FROM gristmill_source
                    EXCEPT SELECT source_uuid, cluster_id, cluster_alias FROM {schema}.gristmill_source
                )
            ) AS sources"
        ));
        assert_eq!(differences, Vec::<Vec<Option<String>>>::new());
    }
    assert_eq!(running.goes_on().code, Some(0));
}

/// What another engine would get wrong is put into its tables while the program stands still
/// behind its load.
#[test]
fn the_first_row_that_differs_is_named() {
    let site = small_site();
    let running = stopped_at(&site, LOADED);
    // The site is free meanwhile: a payload is run, and `clean` leaves what is at work.
    let more = Payload::numbered(2).file("more.csv", Report::pods().hours(0..7).text());
    site.run(&site.write(&[more])).succeeds();
    site.command(&["clean"]).succeeds();
    has_scratch(&site.database, "2");
    let other = site
        .database
        .query_rows("SELECT scratch_schemas()")
        .into_iter()
        .flatten()
        .flatten()
        .find(|schema| {
            let folds = format!("SELECT count(*) > 0 FROM {schema}.gristmill_fold");
            site.database.query_value(&folds).as_deref() == Some("t")
        })
        .expect("the schema of the other engine");
    site.database.execute(&format!(
        "UPDATE {other}.{SUMMARY} SET pod_usage_cpu_core_hours = pod_usage_cpu_core_hours + 1
        WHERE namespace = 'app' AND data_source = 'Pod'"
    ));
    let ended = running.goes_on();
    assert_eq!(ended.code, Some(1), "{ended}");
    says(
        &ended,
        &format!(
            "error: engine `embedded` makes other tables than `postgres` of the payloads of {DAY}"
        ),
    );
    says(
        &ended,
        &format!("{DAY}, `{SUMMARY}`: pod_usage_cpu_core_hours is"),
    );
    says(&ended, "by `postgres` and");
    says(&ended, "namespace `app`");
    has_scratch(&site.database, "0");
    // As the tables were never other ones, the next is equal.
    let found = verify(&site, "embedded").succeeds();
    says(&found, "equal: ");
    assert!(found.stdout.contains("embedded"), "{found}");
}

#[test]
fn what_is_not_in_the_archive_is_not_verified() {
    let site = small_site();
    let [path] = &site.archived()[..] else {
        panic!("one archived payload");
    };
    let bytes = fs::read(path).expect("a payload");
    let mut damaged = bytes.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 0x55;
    fs::remove_file(path).expect("a payload");
    fs::write(path, &damaged).expect("a file");
    let ended = verify(&site, "embedded").ends_with(1);
    says(
        &ended,
        "error: engine `postgres`: the replay of payload-0.tar.gz, 2026-01-10 failed",
    );
    says(&ended, "is damaged");
    has_scratch(&site.database, "0");
    fs::remove_file(path).expect("a payload");
    let ended = verify(&site, "embedded").ends_with(1);
    says(
        &ended,
        &format!("nothing was verified: the archive lacks the payloads of {DAY}"),
    );
    let other_day = site
        .command(&["verify", "pipelines/ocp.toml", "--engine", "embedded"])
        .arguments(["--source", CLUSTER, "--from", "2026-01-01"])
        .with_stages()
        .ends_with(1);
    says(&other_day, "no payload of cluster `test-cluster` holds");
    has_scratch(&site.database, "0");
}

#[test]
fn what_cannot_be_verified_is_refused_before_anything_is_made() {
    let site = small_site();
    let ended = verify(&site, "trino").ends_with(2);
    says(&ended, "`--engine trino` needs `[trino]` and `[lake]`");
    let ended = verify(&site, "embedded")
        .arguments(["--connections", "3"])
        .ends_with(2);
    says(
        &ended,
        "`verify` needs 4 connections, and `--connections` allows 3",
    );
    verify(&site, "embedded")
        .arguments(["--connections", "4"])
        .succeeds();
    has_scratch(&site.database, "0");
}

#[test]
fn a_signal_leaves_nothing_behind() {
    let site = small_site();
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        for failpoint in ["copy-sent", LOADED] {
            let running = stopped_at(&site, failpoint);
            has_scratch(&site.database, "2");
            running.signal(signal);
            let ended = running.goes_on();
            assert_eq!(ended.code, Some(code), "{failpoint}\n{ended}");
            says(&ended, "nothing was verified, and nothing is left behind");
            has_scratch(&site.database, "0");
        }
    }
}

#[test]
fn what_a_killed_one_left_goes_with_clean_of_its_schema_alone() {
    let site = small_site();
    let ended = verify(&site, "embedded")
        .env("GRISTMILL_TEST_KILL_AT", LOADED)
        .ends();
    assert_eq!(ended.code, None, "{ended}");
    has_scratch(&site.database, "2");
    // A schema with such a name, and another tenant's `clean`.
    site.database
        .execute("CREATE SCHEMA gristmill_scratch_of_somebody");
    site.command(&["db", "migrate", "--schema", "other", "--create-schema"])
        .succeeds();
    site.command(&["clean", "--schema", "other"]).succeeds();
    has_scratch(&site.database, "3");
    let dry = site.command(&["clean", "--dry-run", "--json"]).succeeds();
    let schemas = dry.json()["scratch_schemas"].as_array().map(Vec::len);
    assert_eq!(schemas, Some(2), "{dry}");
    has_scratch(&site.database, "3");
    let cleaned = site.command(&["clean"]).succeeds();
    assert!(cleaned.stdout.contains("2 schemas"), "{cleaned}");
    has_scratch(&site.database, "1");
    let rows = "SELECT count(*) > 0 FROM reporting_ocpusagelineitem_daily_summary";
    assert_eq!(site.database.query_value(rows).as_deref(), Some("t"));
}

#[test]
fn what_is_verified_is_what_the_engine_folds() {
    let site = Site::new();
    let additive = Payload::numbered(1)
        .file("pods.csv", Report::pods().hours(0..3).text())
        .manifest("version", "2.0.0")
        .manifest("daily_reports", false);
    site.run(&site.write(&[additive])).succeeds();
    let ended = verify(&site, "embedded").succeeds();
    says(&ended, "engine `embedded` had nothing to fold");
    // What is compared with itself tells whether a replay makes the same at all.
    verify(&site, "postgres").succeeds();
}

/// What a killed one left in Trino and in the lake is on record in a schema that goes: the
/// record goes over to the site's, and the next payload of the cluster has it removed.
#[test]
fn trino_is_verified_and_leaves_nothing_there_either() {
    let Some(engines) = engines::shared() else {
        return;
    };
    let corner = engines.corner();
    let pipeline = engine::with(
        "pipelines/ocp.toml",
        &format!("verify-{}", corner.name()),
        &corner.sections(),
    );
    let site = small_site();
    let verify = || {
        site.command(&["verify", "--engine", "trino", "--source", CLUSTER])
            .arguments(["--from", DAY, "--json"])
            .argument(&pipeline)
            .with_stages()
    };
    let found = verify().succeeds().json();
    assert_eq!(found["equal"], true, "{found:#}");
    assert_eq!(found["engines"][1]["engine"], "trino", "{found:#}");
    assert_eq!(found["engines"][1]["rows_folded"], 10, "{found:#}");
    has_scratch(&site.database, "0");
    assert_eq!(corner.litter(), Vec::<String>::new());

    let killed = verify()
        .env("GRISTMILL_TEST_KILL_AT", "trino-table-made")
        .ends();
    assert_eq!(killed.code, None, "{killed}");
    assert_ne!(corner.litter(), Vec::<String>::new());
    site.command(&["clean"]).succeeds();
    has_scratch(&site.database, "0");
    let places = "SELECT count(*) > 0 FROM gristmill_lake";
    assert_eq!(site.database.query_value(places).as_deref(), Some("t"));
    let more = Payload::numbered(2).file("more.csv", Report::pods().hours(0..7).text());
    set_trino(&site);
    run(&site.database, &pipeline, &site.write(&[more]))
        .env("GRISTMILL_DATA", site.folder())
        .succeeds();
    assert_eq!(corner.litter(), Vec::<String>::new());
    assert_eq!(site.database.query_value(places).as_deref(), Some("f"));
}

fn set_trino(site: &Site) {
    site.command(&[
        "sources",
        "set",
        "--cluster-id",
        CLUSTER,
        "--engine",
        "trino",
    ])
    .succeeds();
}
