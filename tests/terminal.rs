//! Text of others in every place where there is any, and what becomes of it on the way to
//! people: nothing that they look at steers their terminal, or hides from them.

use std::fs;
use std::path::{Path, PathBuf};

use gristmill::diagnostics::printable::is_hidden;

use crate::support::command::{Ended, Gristmill, file, gristmill, run, stages};
use crate::support::component;
use crate::support::payload::{Payload, Report, write};
use crate::support::server::TestDatabase;

/// Sequences of ESC and CSI, a bell, a line that begins again, marks of direction, and
/// characters of no width.
const NASTY: &str = "\u{1b}]0;x\u{7}\u{1b}[31m\u{9b}2J\r\u{202e}\u{2066}\u{2069}\u{200e}\u{200f}\u{61c}\u{200b}\u{feff}";

/// As much of it as CSV, TOML and the names of clusters take.
const HIDDEN: &str = "\u{9b}2J\u{202e}\u{2067}\u{2069}\u{200f}\u{61c}\u{200b}\u{e0041}";

/// As much of it as a cluster's id may have, which holds no control characters.
const OF_CLUSTERS: &str = "\u{202e}\u{2067}\u{200f}\u{200b}";

/// Fails when a text for people has a character that is not to be seen.
#[track_caller]
fn is_clean(what: &str, text: &str) {
    let hidden = |character: char| is_hidden(character) && character != '\n' && character != '\t';
    if let Some(position) = text.find(hidden) {
        let start = text.floor_char_boundary(position.saturating_sub(80));
        let end = text.ceil_char_boundary((position + 80).min(text.len()));
        panic!("{what}: {:?}", &text[start..end]);
    }
}

/// Runs a command that shows this, and looks at all that it says.
#[track_caller]
fn shows(command: Gristmill, words: &str) -> Ended {
    let ended = command.ends();
    is_clean("standard output", &ended.stdout);
    is_clean("standard error", &ended.stderr);
    assert!(
        ended.stdout.contains(words) || ended.stderr.contains(words),
        "it does not say {words:?}\n{ended}"
    );
    ended
}

/// A site whose pipeline has a stage and a chain of that name, which rejects a row.
fn pipeline(folder: &Path) -> PathBuf {
    let text = format!(
        "extends = {:?}
        pipeline.name = \"night{HIDDEN}\"
        limits.rejected-rows = \"90 %\"

        [stages.\"spy{HIDDEN}\"]
        component = {:?}
        config = {{ behaviour = \"rejects-in-escapes\" }}

        [reports.pod-usage]
        stages = [\"csv-parse\", \"spy{HIDDEN}\", \"effective-usage\", \"label-filter\", \"unit-conversion\"]
        ",
        file("pipelines/ocp.toml"),
        component::hostile().join("hostile.wasm")
    );
    write(folder, &format!("pipe{NASTY}line.toml"), text.as_bytes())
}

/// A payload of a cluster of that name, with pods and labels of that name.
fn payload(number: u32) -> Payload {
    let pod = format!("pod{HIDDEN}");
    let labels = format!("label_app{HIDDEN}:web{HIDDEN}");
    let cells = [("pod", pod.as_str()), ("pod_labels", labels.as_str())];
    let report = (0..3).fold(Report::pods(), |report, hour| report.row(hour, &cells));
    Payload::numbered(number)
        .file("pods.csv", report.text())
        .manifest("cluster_id", format!("cluster{OF_CLUSTERS}"))
}

#[test]
fn what_is_in_payloads_and_names_is_shown_and_not_obeyed() {
    let folder = tempfile::tempdir().expect("a folder");
    let pipeline = pipeline(folder.path());
    let database = TestDatabase::migrated();
    let upload = payload(1).write(folder.path(), &format!("up{NASTY}load.tar.gz"));
    let command = |arguments: &[&str]| gristmill(arguments).database(&database);
    let cluster = format!("cluster{OF_CLUSTERS}");

    for arguments in [&["--show-summary"][..], &["--json"]] {
        let ended = shows(
            run(&database, &pipeline, std::slice::from_ref(&upload)).arguments(arguments),
            "up",
        );
        assert_eq!(ended.code, Some(0), "{ended}");
    }
    for (arguments, words) in [
        (&["sources", "list"][..], "cluster\\u{202e}"),
        (&["sources", "list", "--json"], "cluster\\u202e"),
        (&["status"], "cluster\\u{202e}"),
        (&["status", "--json"], "cluster\\u202e"),
        (&["tags", "list"], "app"),
        (&["tags", "list", "--json"], "app"),
        (&["tags", "enable", NASTY], ""),
        (&["tags", "map", HIDDEN, NASTY], ""),
        (&["quarantine", "list"], "spy"),
        (&["quarantine", "list", "--json"], "spy"),
        (&["quarantine", "show", "1"], "pod"),
        (&["quarantine", "show", "1", "--json"], "pod"),
        (&["quarantine", "list", "--source", NASTY], ""),
        (&["clean", "--dry-run"], ""),
        (&["clean", "--dry-run", "--json"], ""),
        (
            &[
                "sources",
                "rename",
                "--cluster-id",
                &cluster,
                "--alias",
                "\u{1b}[2Jnight\u{202e}",
            ],
            "not one line of 1 to 256 characters",
        ),
        (
            &[
                "sources",
                "rename",
                "--cluster-id",
                &cluster,
                "--alias",
                "night\u{202e}",
            ],
            "night\\u{202e}",
        ),
        (&["sources", "list"], "night\\u{202e}"),
        (
            &["sources", "rename", "--cluster-id", NASTY, "--alias", NASTY],
            "",
        ),
        (
            &["summarize", "--source", NASTY, "--from", "2026-01-10"],
            "",
        ),
        (
            &["summarize", "--source", &cluster, "--from", "2026-01-10"],
            "",
        ),
        (&["summarize", "--source", &cluster, "--from", NASTY], ""),
        (&["quarantine", "discard", "1", "--reason", NASTY], ""),
        (&["quarantine", "show", "1"], "reason"),
    ] {
        shows(command(arguments), words);
    }
    for arguments in [&[][..], &["--json"]] {
        let replay = gristmill(["replay"])
            .argument(&pipeline)
            .with_stages()
            .database(&database)
            .arguments(["--source", &cluster, "--from", "2026-01-10"]);
        shows(replay.arguments(arguments), "");
    }
}

#[test]
fn what_is_put_away_by_watch_has_a_reason_that_can_be_looked_at() {
    let folder = tempfile::tempdir().expect("a folder");
    let inbox = folder.path().join(format!("in{NASTY}box"));
    fs::create_dir(&inbox).expect("a folder");
    let pipeline = pipeline(folder.path());
    let database = TestDatabase::migrated();
    // Its header is of no kind that there is.
    let odd = Payload::numbered(1).file("pods.csv", &format!("a{NASTY},b\n1,2\n"));
    odd.write(&inbox, &format!("header{NASTY}.tar.gz"));
    let wrong = payload(2).manifest("cluster_id", format!("../{NASTY}"));
    wrong.write(&inbox, "manifest.tar.gz");
    let lost = payload(3).manifest("files", vec![NASTY]);
    lost.write(&inbox, "files.tar.gz");
    payload(4).write(&inbox, &format!("good{NASTY}.tar.gz"));
    let watch = |more: &[&str]| {
        gristmill(["watch"])
            .argument(&pipeline)
            .argument(&inbox)
            .with_stages()
            .database(&database)
            .arguments(["--once", "--poll-milliseconds", "20"])
            .arguments(more)
    };
    shows(watch(&[]), "error: ");
    let failed = inbox.join("failed");
    let mut reasons = 0;
    for entry in fs::read_dir(&failed).expect("a folder") {
        let path = entry.expect("a file").path();
        if path.to_string_lossy().ends_with(".error.txt") {
            let reason = fs::read_to_string(&path).expect("a reason");
            assert!(reason.starts_with("error: "), "{reason}");
            is_clean("a reason", &reason);
            reasons += 1;
        }
    }
    assert!(reasons >= 2, "{reasons} reasons in {}", failed.display());
    wrong.write(&inbox, "manifest-again.tar.gz");
    shows(watch(&["--json"]), "manifest-again");
}

#[test]
fn what_is_wrong_with_a_pipeline_is_shown_as_it_is_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let base = file("pipelines/ocp.toml");
    let check = |text: &str, arguments: &[&str]| {
        let path = write(folder.path(), &format!("p{NASTY}.toml"), text.as_bytes());
        gristmill(["check"])
            .argument(path)
            .with_stages()
            .arguments(arguments)
    };
    for text in [
        // A file that is no TOML.
        format!("extends = {base:?}\na = \"\u{1b}[2J\u{202e}\"\n"),
        format!("extends = {base:?}\n[limits]\n\"{HIDDEN}\" = \"{HIDDEN}\"\n"),
        format!("extends = {base:?}\nlimits.memory = \"{HIDDEN}\"\n"),
        format!("extends = \"{HIDDEN}.toml\"\n"),
        format!("extends = {base:?}\n[stages.\"a{HIDDEN}\"]\ncomponent = \"{HIDDEN}.wasm\"\n"),
        format!(
            "extends = {base:?}\n[reports.pod-usage]\nstages = [\"csv-parse\", \"{HIDDEN}\"]\n"
        ),
        format!("extends = {base:?}\n[reports.pod-usage.columns]\n\"{HIDDEN}\" = \"float64\"\n"),
        format!("extends = {base:?}\n[reports.pod-usage]\ninto = \"{HIDDEN}\"\n"),
        format!("extends = {base:?}\n[stages.label-filter]\nconfig = {{ \"{HIDDEN}\" = 1 }}\n"),
    ] {
        let ended = shows(check(&text, &[]), "error: ");
        assert_ne!(ended.code, Some(0), "{ended}");
    }
    let path = pipeline(folder.path());
    for arguments in [&[][..], &["--json"]] {
        let good = gristmill(["check"]).argument(&path).with_stages();
        let ended = shows(good.arguments(arguments), "spy");
        assert_eq!(ended.code, Some(0), "{ended}");
    }
    let lock = gristmill(["lock"]).argument(&path).with_stages();
    shows(lock, "added    spy 2J");
}

#[test]
fn what_a_component_says_of_itself_is_shown_as_text() {
    let folder = tempfile::tempdir().expect("a folder");
    let hostile = component::hostile().join("hostile.wasm");
    let named = folder.path().join(format!("st{NASTY}age.wasm"));
    fs::copy(&hostile, &named).expect("a component");
    let broken = write(
        folder.path(),
        &format!("b{NASTY}.wasm"),
        b"\0asm and no more",
    );
    let rows = format!("pod,pod_usage_cpu_core_seconds\na{HIDDEN},1\nb{NASTY},2\n");
    let rows = write(folder.path(), &format!("rows{NASTY}.csv"), rows.as_bytes());
    let config = |behaviour: &str| ["--config".to_string(), format!("behaviour = {behaviour:?}")];
    for json in [&[][..], &["--json"]] {
        for path in [&named, &broken] {
            let inspect = gristmill(["stage", "inspect"])
                .argument(path)
                .arguments(json);
            shows(inspect, ".wasm");
        }
        for behaviour in ["refuses-at-open-in-escapes", "writes-escapes"] {
            let inspect = gristmill(["stage", "inspect"])
                .argument(&named)
                .arguments(config(behaviour))
                .arguments(["--schema", "pod=text,pod_usage_cpu_core_seconds=float64"]);
            shows(inspect.arguments(json), "");
        }
    }
    for behaviour in [
        "behaves",
        "rejects-in-escapes",
        "fails-in-escapes",
        "chatters",
        "learns-nonsense",
    ] {
        for format in ["table", "list", "json"] {
            let stage_run = gristmill(["stage", "run"])
                .argument(&named)
                .arguments(config(behaviour))
                .argument("--in")
                .argument(&rows)
                .arguments(["--format", format]);
            shows(stage_run, "");
        }
    }
}

/// The rows that a case expects and gets, on the terminal and in the file for a CI.
#[test]
fn results_of_cases_can_be_looked_at() {
    let folder = tempfile::tempdir().expect("a folder");
    let name = "effective_usage.wasm";
    fs::copy(stages().join(name), folder.path().join(name)).expect("a component");
    let cases = format!(
        "[[case]]\nname = \"{HIDDEN}\"\ninput = \"pod{HIDDEN},x\\n\\u001b[2J,\\u202e\\n\"\n\
        output = \"pod{HIDDEN},x\\n\\u0007a,b\\n\"\n"
    );
    write(folder.path(), "cases.toml", cases.as_bytes());
    let junit = folder.path().join("junit.xml");
    let stage_test = || {
        gristmill(["stage", "test"])
            .without_env("DATABASE_URL")
            .argument(folder.path().join(name))
    };
    shows(stage_test().argument("--junit").argument(&junit), "FAILED");
    is_clean("JUnit", &fs::read_to_string(junit).expect("results"));
    shows(stage_test().argument("--json"), "");
}

#[test]
fn arguments_that_cannot_be_understood_are_shown_as_text() {
    for arguments in [
        &[NASTY][..],
        &["run", &format!("--{NASTY}")],
        &["stage", "run", "x.wasm", "--format", NASTY],
        &["clean", "--retention-days", HIDDEN],
        &["run", "pipelines/ocp.toml", NASTY],
        &["check", NASTY],
        &["run", "pipelines/ocp.toml", "x", "--schema", NASTY],
    ] {
        let ended = shows(gristmill(arguments), "error: ");
        assert_ne!(ended.code, Some(0), "{ended}");
    }
    let help = gristmill(["--help"]).succeeds();
    assert!(help.stdout.contains("Usage: gristmill"), "{help}");
}
