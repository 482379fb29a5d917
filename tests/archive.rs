//! The archive of payloads.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::support::command::{Gristmill, file, gristmill, run};
use crate::support::payload::{CLUSTER, Payload, Report};
use crate::support::server::TestDatabase;

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

/// A run that keeps payloads in a folder of this test.
fn keeping(database: &TestDatabase, data: &TempDir, payloads: &[PathBuf]) -> Gristmill {
    run(database, "pipelines/ocp.toml", payloads).env("GRISTMILL_DATA", data.path())
}

/// Every file below a folder but the one that says whose it is, by its path in there.
fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        let Ok(entries) = fs::read_dir(&next) else {
            continue;
        };
        for entry in entries {
            let path = entry.expect("an entry").path();
            match path.is_dir() {
                true => folders.push(path),
                false => found.push(
                    path.strip_prefix(folder)
                        .expect("below")
                        .display()
                        .to_string(),
                ),
            }
        }
    }
    found.retain(|path| !path.ends_with("owner.json"));
    found.sort();
    found
}

#[test]
fn a_loaded_payload_is_kept_under_its_digest_for_its_owner_alone() {
    let (database, data, here) = (TestDatabase::migrated(), folder(), folder());
    let tarball = Payload::usual(1).write(here.path(), "p.tar.gz");
    keeping(&database, &data, std::slice::from_ref(&tarball)).succeeds();

    let rows = database.query_rows("SELECT digest, payload, files, bytes FROM gristmill_archive");
    let bytes = fs::read(&tarball).expect("the payload");
    let [row] = &rows[..] else {
        panic!("one payload is archived, not {rows:?}");
    };
    let digest = row[0].clone().expect("a digest");
    assert_eq!(
        row[1..],
        [
            Some("p.tar.gz".to_string()),
            Some("{pods.csv}".to_string()),
            Some(bytes.len().to_string()),
        ]
    );
    let kept = format!("archive/gristmill/{}/{digest}.tar.gz", &digest[..2]);
    assert_eq!(files(data.path()), std::slice::from_ref(&kept));
    let path = data.path().join(kept);
    assert_eq!(fs::read(&path).expect("the archived payload"), bytes);
    let mode = |path: &Path| {
        fs::metadata(path)
            .expect("it is there")
            .permissions()
            .mode()
            & 0o777
    };
    assert_eq!(mode(&path), 0o600);
    assert_eq!(
        mode(&data.path().join("archive/gristmill/owner.json")),
        0o600
    );
    for folder in path.ancestors().skip(1).take(3) {
        assert_eq!(mode(folder), 0o700, "{}", folder.display());
    }
}

#[test]
fn a_data_directory_lets_the_local_server_through() {
    let (database, data, here) = (TestDatabase::migrated(), folder(), folder());
    let tarball = Payload::usual(1).write(here.path(), "p.tar.gz");
    let new = data.path().join("new");
    run(&database, "pipelines/ocp.toml", &[tarball])
        .env("GRISTMILL_DATA", &new)
        .succeeds();
    let mode = |path: &Path| {
        fs::metadata(path)
            .expect("it is there")
            .permissions()
            .mode()
    };
    assert_eq!(mode(&new) & 0o077, 0o011);
    assert_eq!(mode(&new.join("archive")) & 0o077, 0);
}

#[test]
fn the_same_payload_is_kept_once_in_whatever_form_it_comes() {
    let (database, data, here) = (TestDatabase::migrated(), folder(), folder());
    let payload = Payload::usual(1);
    let tarball = payload.write(here.path(), "p.tar.gz");
    let unpacked = here.path().join("unpacked");
    fs::create_dir(&unpacked).expect("a folder");
    payload.write_unpacked(&unpacked);
    keeping(&database, &data, &[unpacked.clone(), tarball, unpacked]).succeeds();
    assert_eq!(files(data.path()).len(), 1);
    let archived = database.query_value("SELECT payload FROM gristmill_archive");
    assert_eq!(archived.as_deref(), Some("unpacked"));
}

#[test]
fn a_report_that_came_alone_and_the_parts_of_a_split_are_kept() {
    let (database, data, here) = (TestDatabase::migrated(), folder(), folder());
    let single = crate::support::payload::write(
        here.path(),
        "alone.csv",
        Report::pods().hours(0..2).text().as_bytes(),
    );
    keeping(&database, &data, &[single.clone(), single])
        .argument("--cluster-id")
        .argument(CLUSTER)
        .succeeds();
    assert_eq!(files(data.path()).len(), 1);

    let parts = fs::read_dir(file("tests/data/split/payloads")).expect("the payloads");
    let mut parts: Vec<PathBuf> = parts.map(|part| part.expect("an entry").path()).collect();
    parts.sort();
    keeping(&database, &data, &parts).succeeds();
    keeping(&database, &data, &parts).succeeds();
    assert_eq!(files(data.path()).len(), 1 + parts.len());
}

#[test]
fn nothing_is_kept_of_a_payload_that_fails_or_where_the_pipeline_says_so() {
    let (database, data, here) = (TestDatabase::migrated(), folder(), folder());
    let bad = Report::pods().with_too_many_bad();
    let bad = Payload::numbered(1)
        .file("pods.csv", bad.text())
        .write(here.path(), "bad.tar.gz");
    keeping(&database, &data, &[bad]).ends_with(1);
    assert_eq!(files(data.path()), [""; 0]);

    let good = Payload::usual(2).write(here.path(), "good.tar.gz");
    let pipeline = here.path().join("site.toml");
    let extends = file("pipelines/ocp.toml");
    let written = |text: &str| {
        let text = format!("extends = {:?}\n{text}", extends.display().to_string());
        fs::write(&pipeline, text).expect("a pipeline file");
    };
    written("[archive]\nkeep = false\n");
    run(&database, &pipeline, std::slice::from_ref(&good))
        .env("GRISTMILL_DATA", data.path())
        .succeeds();
    assert_eq!(files(data.path()), [""; 0]);

    // Loaded before, and new to the archive.
    written("[archive]\ndirectory = \"kept\"\n");
    run(&database, &pipeline, &[good])
        .env("GRISTMILL_DATA", data.path())
        .succeeds();
    assert_eq!(files(data.path()), [""; 0]);
    assert_eq!(files(&here.path().join("kept")).len(), 1);

    written("[archive]\nkept = true\n");
    let ended = gristmill(["check"])
        .argument(&pipeline)
        .with_stages()
        .ends_with(2);
    assert!(ended.stderr.contains("unknown field `kept`"), "{ended}");
}

#[test]
fn a_payload_that_cannot_be_kept_is_not_published() {
    let (database, data, here) = (TestDatabase::migrated(), folder(), folder());
    fs::write(data.path().join("archive"), "a file in the way").expect("a file");
    let tarball = Payload::usual(1).write(here.path(), "p.tar.gz");
    let ended = keeping(&database, &data, &[tarball])
        .calling(here.path(), "[FOLDER]")
        .calling(data.path(), "[DATA]")
        .ends_with(3);
    assert!(
        ended.stderr.contains(
            "error: cannot archive payload `[FOLDER]/p.tar.gz` in `[DATA]/archive/gristmill`"
        ),
        "{ended}"
    );
    let counts = "SELECT
        (SELECT count(*) FROM gristmill_day),
        (SELECT count(*) FROM reporting_ocpusagelineitem_pod_staging)";
    assert_eq!(
        database.query_rows(counts),
        [[Some("0".to_string()), Some("0".to_string())]]
    );
}
