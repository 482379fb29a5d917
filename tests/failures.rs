//! Failures: the right reason, and the same for programs under `--json`.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::account::Account;
use crate::support::command::{Ended, file, gristmill, run, stages};
use crate::support::payload::{Payload, write};
use crate::support::server::TestDatabase;

fn site(folder: &Path, text: &str) -> std::path::PathBuf {
    let base = file("pipelines/ocp.toml");
    let text = format!("extends = {base:?}\n{text}");
    write(folder, "site.toml", text.as_bytes())
}

#[test]
fn a_section_with_a_typo_is_named_with_the_one_that_was_meant() {
    let folder = tempfile::tempdir().expect("a folder");
    for (text, words) in [
        (
            "[stages.label-filtr]\nconfig = {}\n",
            "error: stage `label-filtr` has no `component`\n --> [FOLDER]/site.toml:2:9\n",
        ),
        (
            "[stages.label-filtr]\nconfig = {}\n",
            "hint: did you mean `[stages.label-filter]`?\n",
        ),
        (
            "[stages.night]\nconfig = {}\n",
            "hint: a new stage has it, such as `component = \"my_stage.wasm\"`; to change one that \
            there is, write its name: csv-parse, ",
        ),
        (
            "[reports.pod-usag]\ninto = \"x\"\n",
            "error: report kind `pod-usag` has no `detect`\n",
        ),
        (
            "[reports.pod-usag]\ninto = \"x\"\n",
            "hint: did you mean `[reports.pod-usage]`?\n",
        ),
    ] {
        let ended = gristmill(["check"])
            .argument(site(folder.path(), text))
            .with_stages()
            .calling(folder.path(), "[FOLDER]")
            .ends_with(2);
        assert!(ended.stderr.contains(words), "{words}\n{ended}");
    }
}

#[test]
fn arguments_in_the_wrong_order_are_said_to_be() {
    let folder = tempfile::tempdir().expect("a folder");
    let payload = Payload::usual(1).write(folder.path(), "upload.tar.gz");
    let order = "hint: the pipeline file comes first, and behind it what is run: \
        `gristmill run PIPELINE PAYLOAD…`";
    for (first, kind) in [
        (payload.as_path(), "a gzip archive"),
        (folder.path(), "a folder"),
    ] {
        let ended = gristmill(["run"])
            .argument(first)
            .argument("pipelines/ocp.toml")
            .ends_with(2);
        let said = format!("` is no pipeline file: it is {kind}, not TOML\n{order}");
        assert!(ended.stderr.contains(&said), "{ended}");
        assert!(!ended.stderr.contains("UTF-8"), "{ended}");
    }
}

#[test]
fn what_is_given_for_a_payload_is_said_to_be_what_it_is() {
    let database = TestDatabase::migrated();
    let folder = tempfile::tempdir().expect("a folder");
    let uploads = folder.path().join("uploads");
    fs::create_dir(&uploads).expect("a folder");
    for number in 1..3 {
        Payload::usual(number).write(&uploads, &format!("{number}.tar.gz"));
    }
    let refused = |path: &Path, code: i32| {
        run(&database, "pipelines/ocp.toml", &[path.to_path_buf()])
            .calling(folder.path(), "[FOLDER]")
            .ends_with(code)
    };
    refused(&uploads, 2).stderr_is(
        "error: `[FOLDER]/uploads` is no payload, but a folder of 2 tarballs\n\n\
        hint: name them: `gristmill run PIPELINE [FOLDER]/uploads/*.tar.gz`; or have the folder \
        watched: `gristmill watch PIPELINE [FOLDER]/uploads --once`",
    );
    let zip = write(folder.path(), "upload.zip", b"PK\x03\x04 and so on");
    let second = write(folder.path(), "other.toml", b"a = 1\n");
    for (path, hint) in [
        (
            zip,
            "hint: it is a zip archive; a payload is an operator's tarball",
        ),
        (
            second,
            "hint: it is a TOML file; a command takes one pipeline file, which comes first",
        ),
    ] {
        let ended = refused(&path, 1);
        assert!(ended.stderr.contains(hint), "{ended}");
    }
}

/// As a user who may not read it: root may.
#[test]
fn a_file_that_may_not_be_read_is_no_bad_payload() {
    let database = TestDatabase::migrated();
    let account = Account::of_server(&database);
    let folder = tempfile::tempdir().expect("a folder");
    let payload = Payload::usual(1).write(folder.path(), "upload.tar.gz");
    let unpacked = folder.path().join("unpacked");
    fs::create_dir(&unpacked).expect("a folder");
    Payload::usual(2).write_unpacked(&unpacked);
    let forbid = |path: &Path| {
        let rights = std::os::unix::fs::PermissionsExt::from_mode(0o000);
        fs::set_permissions(path, rights).expect("our file");
    };
    forbid(&payload);
    forbid(&unpacked.join("manifest.json"));
    let everybody = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(folder.path(), everybody).expect("our folder");
    let data = tempfile::tempdir().expect("a folder");
    account.own(data.path());
    for path in [payload, unpacked] {
        let output = account
            .command(Path::new(env!("CARGO_BIN_EXE_gristmill")))
            .args(["run", "--stages"])
            .arg(stages())
            .arg(file("pipelines/ocp.toml"))
            .arg(&path)
            .env("DATABASE_URL", database.url())
            .env("GRISTMILL_CACHE", data.path())
            .env("GRISTMILL_DATA", data.path())
            .output()
            .expect("its end");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(3), "{said}");
        let cannot = format!("error: cannot read payload `{}`\n", path.display());
        for words in [
            &cannot,
            "Permission denied",
            "hint: gristmill runs as the user",
        ] {
            assert!(said.contains(words), "{words}\n{said}");
        }
        assert!(
            !said.contains("gzip") && !said.contains("operator"),
            "{said}"
        );
    }
}

#[test]
fn a_certificate_that_is_missing_is_named() {
    let ended = gristmill(["sources", "list"])
        .env(
            "DATABASE_URL",
            "postgresql://nobody@127.0.0.1:1/nothing?sslmode=verify-full&sslrootcert=/no/ca.pem",
        )
        .ends_with(3);
    for words in [
        "error: cannot read `/no/ca.pem`, the `sslrootcert` of `postgresql://nobody@127.0.0.1:1/nothing`",
        "No such file or directory",
        "hint: `sslrootcert` names a file of this machine",
    ] {
        assert!(ended.stderr.contains(words), "{words}\n{ended}");
    }
}

#[test]
fn a_role_that_may_not_create_is_told_which_right_it_lacks() {
    let database = TestDatabase::empty();
    let elsewhere = TestDatabase::empty();
    let role = format!("gristmill_test_guest_{}", std::process::id());
    elsewhere.execute(&format!("DROP ROLE IF EXISTS {role}; CREATE ROLE {role}"));
    let as_guest = "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET role = ";
    let as_guest = format!("{as_guest}{role}', current_database()); END $$");
    let migrate = || {
        gristmill(["db", "migrate"])
            .database(&database)
            .ends_with(3)
    };
    let says = |ended: &Ended, words: &[String]| {
        for words in words {
            assert!(ended.stderr.contains(words), "{words}\n{ended}");
        }
        assert!(!ended.stderr.contains("selected"), "{ended}");
    };
    database.execute(&as_guest);
    says(
        &migrate(),
        &[
            format!("it is not there, and role `{role}` may not create one in database"),
            format!("hint: `CREATE SCHEMA gristmill AUTHORIZATION {role}`"),
        ],
    );
    database.execute(&format!(
        "SET ROLE NONE; CREATE SCHEMA gristmill; GRANT USAGE ON SCHEMA gristmill TO {role}"
    ));
    says(
        &migrate(),
        &[
            format!("schema `gristmill` cannot be migrated: role `{role}` may not create in it"),
            format!("hint: `GRANT USAGE, CREATE ON SCHEMA gristmill TO {role}`"),
        ],
    );
    database.execute(&format!("SET ROLE NONE; DROP OWNED BY {role}"));
    drop(database);
    elsewhere.execute(&format!("DROP ROLE {role}"));
}

/// The one object on a stream that has nothing else.
#[track_caller]
fn object(text: &str, keys: &[(&str, Value)]) -> Value {
    let object: Value =
        serde_json::from_str(text).unwrap_or_else(|error| panic!("it is no JSON: {error}\n{text}"));
    for (key, value) in keys {
        assert_eq!(object[key], *value, "{key} of {object:#}");
    }
    for key in ["code", "exit_code", "message", "causes", "place", "hint"] {
        assert!(object.get(key).is_some(), "{key} of {object:#}");
    }
    object
}

#[test]
fn check_fails_as_json() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = "[stages.label-filtr]\nconfig = {}\n";
    let ended = gristmill(["check", "--json"])
        .argument(site(folder.path(), text))
        .with_stages()
        .calling(folder.path(), "[FOLDER]")
        .ends_with(2)
        .stderr_is("");
    let keys = [
        ("code", json!("definition")),
        ("exit_code", json!(2)),
        ("place", json!("[FOLDER]/site.toml:2:9")),
        ("hint", json!("did you mean `[stages.label-filter]`?")),
    ];
    let object = object(&ended.stdout, &keys);
    let sentence = "stage `label-filtr` has no `component`";
    assert_eq!(object["failures"][0]["message"], sentence);
}

#[test]
fn every_command_fails_as_one_object() {
    let pipeline = "pipelines/no.toml";
    let away = json!("postgresql://nobody@127.0.0.1:1/nothing");
    for (arguments, code, place) in [
        (
            &["run", pipeline, "x", "--json"][..],
            "definition",
            json!(pipeline),
        ),
        (
            &["check", pipeline, "--json"],
            "definition",
            json!(pipeline),
        ),
        (
            &["watch", pipeline, "x", "--json"],
            "definition",
            json!(pipeline),
        ),
        (&["sources", "list", "--json"], "environment", away.clone()),
        (&["tags", "list", "--json"], "environment", away.clone()),
        (&["status", "--json"], "environment", away.clone()),
        (
            &["quarantine", "list", "--json"],
            "environment",
            away.clone(),
        ),
        (
            &["quarantine", "show", "1", "--json"],
            "environment",
            away.clone(),
        ),
        (
            &["summarize", "--source", "c", "--from", "2026-01", "--json"],
            "environment",
            away.clone(),
        ),
        (&["clean", "--json"], "environment", away.clone()),
        (&["archive", "adopt", "--json"], "environment", away.clone()),
        (
            &["stage", "inspect", "no.wasm", "--json"],
            "environment",
            json!("no.wasm"),
        ),
        (
            &["stage", "bench", "no.wasm", "--json"],
            "environment",
            json!("no.wasm"),
        ),
        (
            &["stage", "test", "no", "--json"],
            "environment",
            json!("no"),
        ),
        (
            &["run", "--json"],
            "definition",
            json!("<PIPELINE>, <PAYLOAD>..."),
        ),
        (
            &["check", "x", "--odd", "--json"],
            "definition",
            json!("--odd"),
        ),
    ] {
        let ended = gristmill(arguments).ends().stderr_is("");
        let exit = match code {
            "definition" => 2,
            _ => 3,
        };
        assert_eq!(ended.code, Some(exit), "{arguments:?}\n{ended}");
        object(&ended.stdout, &[("code", json!(code)), ("place", place)]);
    }
}

/// What a command made is on standard output, so that the failure is on the other one.
#[test]
fn what_failed_beside_a_result_is_one_object_too() {
    let database = TestDatabase::migrated();
    let folder = tempfile::tempdir().expect("a folder");
    let good = Payload::usual(1).write(folder.path(), "good.tar.gz");
    let bad = write(folder.path(), "bad.tar.gz", b"?");
    let ended = run(&database, "pipelines/ocp.toml", &[bad, good])
        .calling(folder.path(), "[FOLDER]")
        .argument("--json")
        .ends_with(1);
    assert_eq!(ended.json()[0]["state"], "failed");
    let keys = [
        ("message", json!("1 of 2 payloads failed")),
        ("place", json!("[FOLDER]/bad.tar.gz")),
        ("code", json!("run")),
    ];
    let object = object(&ended.stderr, &keys);
    assert_eq!(object["failures"].as_array().map(Vec::len), Some(1));
}
