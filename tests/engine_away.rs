//! A Trino, or a lake, that is away: the payload fails whole, or the host folds it.

use std::path::PathBuf;

use crate::support::contents::compare;
use crate::support::engine;
use crate::support::payload::Payload;
use crate::support::server::TestDatabase;
use crate::support::site::Site;
use gristmill::ledger::comparison::Scope;

const BASE: &str = "pipelines/ocp.toml";

/// A pipeline whose Trino listens nowhere, and whose lake is a folder of the site.
fn pipeline(site: &Site, name: &str, when_unreachable: &str, lake: &str) -> PathBuf {
    let folder = site.folder().join(lake);
    let text = format!(
        "[summarize]
        engine = \"trino\"
        when-unreachable = {when_unreachable:?}
        [lake]
        location = \"file://{0}\"
        location-in-trino = \"local:///lake\"
        [trino]
        url = \"http://127.0.0.1:1\"
        catalog = \"lake\"
        patience = \"1 s\"\n",
        folder.display()
    );
    engine::with(BASE, name, &text)
}

fn count(database: &TestDatabase, table: &str) -> String {
    let counted = database.query_value(&format!("SELECT count(*) FROM {table}"));
    counted.expect("a count")
}

#[test]
fn nothing_of_a_payload_is_published_when_trino_is_away() {
    let site = Site::new();
    let pipeline = pipeline(&site, "away-fail", "fail", "lake");
    let payloads = site.write(&[Payload::usual(1)]);
    let said = site.run_by(&pipeline, &payloads).ends_with(3).stderr;
    assert!(said.contains("http://127.0.0.1:1"), "{said}");
    assert!(said.contains("does not answer"), "{said}");
    assert!(
        said.contains("stays until the next run of its cluster"),
        "{said}"
    );
    for table in [
        "gristmill_day",
        "gristmill_generation",
        "reporting_ocpusagelineitem_daily_summary",
        "reporting_ocpusagelineitem_pod_day_staging",
    ] {
        assert_eq!(count(&site.database, table), "0", "{table}");
    }
    // What is there is on record: a place for pods, and one for volumes.
    assert_eq!(count(&site.database, "gristmill_lake"), "2");
}

#[test]
fn the_host_folds_what_trino_does_not_when_it_may() {
    let (calm, site) = (Site::new(), Site::new());
    let payloads = [Payload::usual(1)];
    calm.run(&calm.write(&payloads)).succeeds();
    let pipeline = pipeline(&site, "away-embedded", "embedded", "lake");
    let said = site
        .run_by(&pipeline, &site.write(&payloads))
        .succeeds()
        .stderr;
    assert!(said.contains("the host folds this upload"), "{said}");
    let compared = compare(&site.database, &calm.database, &Scope::default());
    assert_eq!(compared.difference, None);
    let engines = "SELECT string_agg(DISTINCT engine, ',') FROM gristmill_fold";
    assert_eq!(
        site.database.query_value(engines).as_deref(),
        Some("embedded")
    );
    assert_eq!(
        count(&site.database, "reporting_ocpusagelineitem_pod_staging"),
        "0"
    );
}
