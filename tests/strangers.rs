//! Clusters that are called what another one is: no command takes one for the other.

use gristmill::ledger::source::derived_uuid;
use uuid::Uuid;

use crate::containment::{clumsy, with_bad};
use crate::support::command::{Gristmill, gristmill};
use crate::support::payload::{CLUSTER, DAY, Payload, Report};
use crate::support::scene::{Scene, later};

/// The usual cluster with two rows in quarantine, and a stranger whose id is this.
fn scene(stranger: &str) -> Scene {
    let scene = Scene::with_pipeline(&clumsy("panics", ""));
    assert_eq!(
        scene.load(&later(&with_bad(300, &[7, 8]))).code,
        Some(0),
        "the victim's rows"
    );
    let payload = Payload::numbered(7)
        .manifest("cluster_id", stranger)
        .file("pods.csv", Report::pods().hours(0..2).text());
    let ended = scene.load(&payload.tarball());
    assert_eq!(ended.code, Some(0), "the stranger's payload\n{ended}");
    scene
}

/// Every command that takes a source, with this one.
fn commands(source: &str) -> Vec<Gristmill> {
    let replay = ["replay", "pipelines/ocp.toml"];
    let of_quarantine = |arguments: &[&str]| gristmill(["quarantine"]).arguments(arguments);
    vec![
        gristmill(replay)
            .arguments(["--from", DAY, "--source", source])
            .with_stages(),
        gristmill(["summarize", "--from", DAY, "--source", source]),
        gristmill([
            "summarize",
            "--reclassify",
            "--from",
            DAY,
            "--source",
            source,
        ]),
        of_quarantine(&["list", "--source", source]),
        of_quarantine(&["replay", "pipelines/ocp.toml", "--source", source]).with_stages(),
        of_quarantine(&["discard", "--reason", "none", "--source", source]),
    ]
}

#[test]
fn a_word_that_fits_several_sources_is_refused_with_all_of_them() {
    let victim = derived_uuid(CLUSTER).to_string();
    let scene = scene(&victim);
    let stranger = derived_uuid(&victim);
    for command in commands(&victim) {
        command
            .database(&scene.database)
            .ends_with(2)
            .stderr_is(&format!(
                "error: `{victim}` may be any of 2 sources\n  \
            uuid:{stranger}, cluster `{victim}`, alias `{victim}`\n  \
            uuid:{victim}, cluster `test-cluster`, alias `test-cluster`\n\n\
            hint: `uuid:UUID`, `cluster:ID` and `alias:NAME` are exact"
            ));
    }
    for word in [format!("uuid:{victim}"), format!("cluster:{CLUSTER}")] {
        for command in commands(&word) {
            command.database(&scene.database).succeeds();
        }
    }
    let discarded = scene
        .database
        .query_value("SELECT count(*) FROM gristmill_quarantine WHERE state <> 'open'");
    assert_eq!(discarded.as_deref(), Some("2"));
}

#[test]
fn a_cluster_whose_id_looks_like_a_prefix_is_meant_by_its_own() {
    let id = format!("uuid:{}", derived_uuid(CLUSTER));
    let scene = scene(&id);
    let listed = |source: &str| {
        gristmill(["quarantine", "list", "--json", "--source", source])
            .database(&scene.database)
            .succeeds()
            .json()
    };
    assert_eq!(listed(&id).as_array().map(Vec::len), Some(2), "the victim");
    assert_eq!(
        listed(&format!("cluster:{id}")).as_array().map(Vec::len),
        Some(0)
    );
    gristmill(["quarantine", "list", "--source", "uuid:mine"])
        .database(&scene.database)
        .ends_with(2)
        .stderr_is(
            "error: `mine` is no uuid\n  \
            invalid character: found `m` at 0\n\n\
            hint: `cluster:uuid:mine` means the cluster whose id is `uuid:mine`",
        );
}

/// The rows go back to the cluster that they are of.
#[test]
fn rows_in_quarantine_are_replayed_for_their_own_cluster() {
    let victim = derived_uuid(CLUSTER);
    let scene = scene(&victim.to_string());
    let days = |source: Uuid| {
        scene.database.query_value(&format!(
            "SELECT count(*) FROM gristmill_day WHERE source_uuid = '{source}'"
        ))
    };
    let usage = |source: Uuid| {
        scene.database.query_value(&format!(
            "SELECT trim_scale(sum(pod_usage_cpu_core_hours))
            FROM reporting_ocpusagelineitem_daily_summary
            WHERE source_uuid = '{source}' AND namespace = 'app'"
        ))
    };
    let stranger = derived_uuid(&victim.to_string());
    assert_eq!(usage(victim).as_deref(), Some("149"));
    assert_eq!(usage(stranger).as_deref(), Some("1"));
    gristmill(["quarantine", "replay", "pipelines/ocp.toml"])
        .with_stages()
        .database(&scene.database)
        .succeeds();
    assert_eq!(usage(victim).as_deref(), Some("150"));
    assert_eq!(usage(stranger).as_deref(), Some("1"));
    assert_eq!(days(stranger).as_deref(), Some("1"));
    let open = "SELECT count(*) FROM gristmill_quarantine WHERE state = 'open'";
    assert_eq!(scene.database.query_value(open).as_deref(), Some("0"));
}

/// An id is exact where an id is asked for.
#[test]
fn a_source_is_renamed_by_the_id_of_its_cluster_alone() {
    let victim = derived_uuid(CLUSTER).to_string();
    let scene = scene(&victim);
    gristmill([
        "sources",
        "rename",
        "--alias",
        "renamed",
        "--cluster-id",
        &victim,
    ])
    .database(&scene.database)
    .succeeds();
    let aliases = scene.database.query_rows(
        "SELECT cluster_id, cluster_alias FROM gristmill_source ORDER BY cluster_id DESC",
    );
    let aliases: Vec<String> = aliases.into_iter().flatten().flatten().collect();
    assert_eq!(aliases, [CLUSTER, CLUSTER, &victim, "renamed"]);
    gristmill([
        "sources",
        "rename",
        "--alias",
        "x",
        "--cluster-id",
        "renamed",
    ])
    .database(&scene.database)
    .ends_with(1);
}
