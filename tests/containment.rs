//! Stages that break at some rows: these are quarantined, with what the stage said,
//! and all others are loaded. Which ones depends on nothing but the rows.

use crate::support::command::{gristmill, run};
use crate::support::component;
use crate::support::payload::{Payload, Report, write};
use crate::support::scene::{Scene, check_quarantine, later};
use crate::support::torture::contained;

/// The pipeline with the clumsy stage behind the parser.
pub(crate) fn clumsy(how: &str, more: &str) -> String {
    // A busy machine shall not make another fault look like this one.
    let time = match how {
        "spins" => "1 s",
        _ => "20 s",
    };
    format!(
        "[stages.clumsy]
        component = {:?}
        config = {{ how = {how:?}, at = \"bad\" }}
        limits = {{ memory = \"16 MiB\", time-per-batch = {time:?} }}
        {more}

        [reports.pod-usage]
        stages = [\"csv-parse\", \"clumsy\", \"effective-usage\", \"label-filter\", \"unit-conversion\"]
        ",
        component::clumsy().join("clumsy.wasm")
    )
}

/// Rows of pod `bad` among many of pod `a`, by their number from 0.
pub(crate) fn with_bad(rows: usize, bad: &[usize]) -> Report {
    (0..rows).fold(Report::pods(), |report, row| {
        let pod = if bad.contains(&row) { "bad" } else { "a" };
        report.row((row % 24) as u32, &[("pod", pod)])
    })
}

#[test]
fn the_row_that_breaks_a_stage_is_quarantined_and_the_rest_is_loaded() {
    let panicking_line = 1 + include_str!("clumsy/src/lib.rs")
        .lines()
        .take_while(|line| !line.contains("slipped out"))
        .count();
    for (how, reason) in [
        (
            "panics",
            format!(
                "stage-trapped|trapped: `unreachable` instruction executed; \
                it said: panicked at src/lib.rs:{panicking_line}: it slipped out of my hands"
            ),
        ),
        (
            "exits",
            "stage-trapped|trapped: the stage exited, which a stage may not".into(),
        ),
        (
            "spins",
            "stage-timed-out|took longer than 1s for one batch (`time-per-batch`)".into(),
        ),
        (
            "eats-memory",
            "stage-out-of-memory|wanted more than 16777216 bytes of memory (`memory`)".into(),
        ),
        (
            "lies",
            "stage-malformed-output|returned something that the contract does not allow: \
            column `pod_usage_cpu_core_seconds`: it has 2 values for 1 rows"
                .into(),
        ),
    ] {
        let scene = Scene::with_pipeline(&clumsy(how, ""));
        scene
            .load(&later(&with_bad(120, &[71])))
            .stderr_is("warning: bad.tar.gz: stage `clumsy`: broke at 1 of 120 rows (lines 2 to 121), which go to quarantine\n\
                1 row is in quarantine and does not count; `gristmill quarantine list` shows it");
        check_quarantine(
            &scene.database,
            &[&format!(
                "pods.csv|73|clumsy|64|null|{reason}|t|t|published"
            )],
        );
        // Half a core-hour of each of the other rows.
        scene.has_usage("59.5");
        let next = Payload::numbered(50).file("pods.csv", Report::pods().hours(0..10).text());
        let ended = scene.load(&next.tarball());
        assert_eq!(ended.code, Some(0), "{ended}");
        contained();
    }
}

/// Guilty rows do not depend on how the file is cut, nor on what came before.
#[test]
fn which_rows_are_to_blame_does_not_depend_on_batches() {
    let patient = "\n[limits]\nrejected-rows = \"5 %\"\nchunk = ";
    let bad = [0, 1, 199, 333, 334, 599];
    for chunk in ["64 KiB", "100 KiB", "4 MiB"] {
        let scene = Scene::with_pipeline(&clumsy("panics", &format!("{patient}{chunk:?}")));
        let ended = scene.load(&later(&with_bad(600, &bad)));
        assert_eq!(ended.code, Some(0), "{ended}");
        let lines = scene.database.query_value(
            "SELECT string_agg(line::text, ',' ORDER BY id) FROM gristmill_quarantine",
        );
        assert_eq!(lines.as_deref(), Some("2,3,201,335,336,601"), "{chunk}");
        scene.has_usage("297");
        let accounts = scene.database.query_rows(
            "SELECT stage, rows_in, rows_out, rows_filtered, rows_rejected, rows_repeated
            FROM gristmill_row_account
            WHERE run_id = 2
            ORDER BY position",
        );
        let accounts: Vec<String> = accounts
            .into_iter()
            .map(|row| row.into_iter().flatten().collect::<Vec<_>>().join(" "))
            .collect();
        assert_eq!(
            accounts,
            [
                "csv-parse 600 600 0 0 0",
                "clumsy 600 594 0 6 0",
                "effective-usage 594 594 0 0 0",
                "label-filter 594 594 0 0 0",
                "unit-conversion 594 594 0 0 0",
                "load 594 594 0 0 0",
            ]
        );
        contained();
    }
}

#[test]
fn row_accounting_is_in_the_result() {
    let folder = tempfile::tempdir().expect("a folder");
    let scene = Scene::new();
    let payload = write(folder.path(), "p.tar.gz", &later(&with_bad(10, &[])));
    let shown = run(&scene.database, "pipelines/ocp.toml", &[payload])
        .argument("--json")
        .succeeds()
        .json();
    // The payload of the scene had the first three hours.
    let accounts = &shown[0]["row_accounting"];
    assert_eq!(accounts[0]["file"], "pods.csv");
    assert_eq!(
        accounts[0]["stages"][0],
        serde_json::json!({
            "stage": "csv-parse",
            "rows_in": 10,
            "rows_repeated": 0,
            "rows_out": 7,
            "rows_reused": 3,
            "rows_filtered": 0,
            "rows_rejected": 0,
        })
    );
    assert_eq!(accounts[0]["stages"][4]["stage"], "load");
    assert_eq!(accounts[0]["stages"][4]["rows_out"], 7);
}

#[test]
fn a_stage_that_breaks_at_everything_fails_the_payload_at_once() {
    let everything = clumsy("spins", "")
        .replace(", at = \"bad\"", "")
        .replace("1 s", "200 ms");
    let scene = Scene::with_pipeline(&everything);
    scene.fails(
        &later(&with_bad(2_000, &[])),
        "error: cannot ingest report `pods.csv`\n  \
        stage `clumsy` broke at batch 1 (lines 2 to 2001): \
        took longer than 200ms for one batch (`time-per-batch`)\n  \
        it broke at each of 5 rows tried alone, so at more than some bad rows\n\n\
        hint: nothing of the payload was published",
    );
    contained();
}

#[test]
fn a_stage_may_not_run_out_of_time_for_ever() {
    // Few enough that each would be found, and each costs the whole time.
    let patient = clumsy("spins", "\n[limits]\nrejected-rows = \"100 %\"").replace("1 s", "50 ms");
    let scene = Scene::with_pipeline(&patient);
    let every_second: Vec<usize> = (0..90).step_by(2).collect();
    let ended = scene.load(&later(&with_bad(90, &every_second)));
    assert_eq!(ended.code, Some(1), "{ended}");
    assert!(
        ended
            .stderr
            .contains("it ran out of time more than 30 times at this file"),
        "{ended}"
    );
    contained();
}

const KEYS: &str = "SELECT string_agg(key, ',' ORDER BY key) FROM reporting_enabledtagkeys";

/// More batches than there can be workers, of pods of their own, one of which is bad.
fn of_many_pods() -> Report {
    (0..1_200).fold(Report::pods(), |report, row| {
        let pod = match row {
            450 => "bad".to_string(),
            row => format!("p{}", row / 200),
        };
        report.row((row % 24) as u32, &[("pod", &pod)])
    })
}

#[test]
fn what_a_stage_learned_outlives_its_instance() {
    let learns = "learn = { pods = \"tag-keys\" }\n[limits]\nchunk = \"64 KiB\"";
    let scene = Scene::with_pipeline(&clumsy("panics", learns));
    let ended = scene.load(&later(&of_many_pods()));
    assert_eq!(ended.code, Some(0), "{ended}");
    let keys = scene.database.query_value(KEYS);
    assert_eq!(keys.as_deref(), Some("p0,p1,p2,p3,p4,p5"));
    contained();
}

#[test]
fn facts_that_cannot_be_learned_anew_fail_the_payload() {
    let chunks = "[limits]\nchunk = \"64 KiB\"";
    let forgetful = clumsy("tires", chunks);
    let scene = Scene::with_pipeline(&forgetful);
    let ended = scene.load(&later(&of_many_pods()));
    // It broke, but at no row that was to blame.
    assert_eq!(ended.code, Some(0), "{ended}");
    check_quarantine(&scene.database, &[]);
    scene.has_usage("600");

    let scene = Scene::with_pipeline(&clumsy(
        "tires",
        &format!("learn = {{ pods = \"tag-keys\" }}\n{chunks}"),
    ));
    let ended = scene.load(&later(&of_many_pods()));
    assert_eq!(ended.code, Some(1), "{ended}");
    assert!(
        ended.stderr.contains(
            "what it had learned was lost with it; \
            it broke again at rows that it had taken, so it cannot learn that anew"
        ),
        "{ended}"
    );
    scene.has_usage("1.5");
    contained();
}

#[test]
fn a_stage_may_have_a_threshold_of_its_own() {
    let bad = later(&with_bad(300, &[7, 8]));
    let scene = Scene::with_pipeline(&clumsy("panics", "").replace(
        "memory = \"16 MiB\"",
        "memory = \"16 MiB\", rejected-rows = \"0.5 %\", rejected-rows-floor = 0",
    ));
    let ended = scene.load(&bad);
    assert_eq!(ended.code, Some(1), "{ended}");
    assert!(
        ended
            .stderr
            .contains("error: 2 of 300 rows were rejected by stage `clumsy`, more than 0.5 %\n"),
        "{ended}"
    );
    assert!(
        ended
            .stderr
            .contains("`rejected-rows` in `[stages.clumsy.limits]` is the threshold"),
        "{ended}"
    );
    // The pipeline's own would let them pass.
    let scene = Scene::with_pipeline(&clumsy("panics", ""));
    let ended = scene.load(&bad);
    assert_eq!(ended.code, Some(0), "{ended}");
}

#[test]
fn what_a_stage_logs_is_bounded_over_its_instances() {
    let talks = clumsy("panics", "")
        .replace("at = \"bad\"", "at = \"bad\", talks = true")
        .replace("memory = \"16 MiB\"", "memory = \"16 MiB\", log-lines = 2");
    let scene = Scene::with_pipeline(&talks);
    let ended = scene.load(&later(&with_bad(400, &[3, 300])));
    assert_eq!(ended.code, Some(0), "{ended}");
    let said = ended.stderr.matches("I am here").count();
    assert!(said <= 2, "{ended}");
    assert_eq!(
        ended
            .stderr
            .matches("more than 2 messages (`log-lines`); the rest is dropped")
            .count(),
        1,
        "{ended}"
    );
}

/// As many as are shown of one that has all batches to itself.
#[test]
fn what_a_stage_logs_is_bounded_over_its_workers() {
    let talks = clumsy("panics", "[limits]\nchunk = \"64 KiB\"")
        .replace("at = \"bad\"", "at = \"nobody\", talks = true")
        .replace("memory = \"16 MiB\"", "memory = \"16 MiB\", log-lines = 2");
    let scene = Scene::with_pipeline(&talks);
    scene.load(&later(&of_many_pods())).stderr_is(
        "warning: bad.tar.gz: stage `clumsy`: I am here, with p0\n\
        warning: bad.tar.gz: stage `clumsy`: I am here, with bad\n\
        warning: bad.tar.gz: stage `clumsy`: more than 2 messages (`log-lines`); the rest is dropped",
    );
    contained();
}

#[test]
fn a_component_may_be_too_large_or_take_too_long_to_compile() {
    let folder = tempfile::tempdir().expect("a folder");
    let bytes = std::fs::read(component::clumsy().join("clumsy.wasm")).expect("a component");
    write(folder.path(), "other.wasm", &bytes);
    let check = |limit: &str| {
        let base = crate::support::command::file("pipelines/ocp.toml");
        let text = format!(
            "extends = {base:?}\n[stages.clumsy]\ncomponent = \"other.wasm\"\n\
            config = {{ how = \"exits\" }}\nlimits = {{ {limit} }}\n"
        );
        let pipeline = write(folder.path(), "pipeline.toml", text.as_bytes());
        gristmill(["check"])
            .argument(pipeline)
            .with_stages()
            .calling(folder.path(), "[FOLDER]")
            // Nobody has compiled it before.
            .env("GRISTMILL_CACHE", folder.path().join("cache"))
            .ends_with(2)
            .stderr
    };
    let words = check("component-size = \"2 KiB\"");
    let expected = format!(
        "error: stage `clumsy`: component `[FOLDER]/other.wasm` has {} bytes, more than 2048 (`component-size`)",
        bytes.len()
    );
    assert!(words.contains(&expected), "{words}");
    let words = check("compile-time = \"10 ms\"");
    assert!(
        words.contains(
            "component `[FOLDER]/other.wasm` took longer than 10ms to compile (`compile-time`)"
        ),
        "{words}"
    );
}

#[test]
fn what_a_stage_breaks_at_becomes_a_case_that_breaks_it() {
    for (how, words) in [
        ("panics", "it slipped out of my hands"),
        ("spins", "took longer than 200ms for one batch"),
        ("refuses", "I will not touch that"),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let base = crate::support::command::file("pipelines/ocp.toml");
        let stage = clumsy(how, "").replace("1 s", "200 ms");
        let text = format!("extends = {base:?}\n{stage}");
        let pipeline = write(folder.path(), "pipeline.toml", text.as_bytes());
        let payload = write(folder.path(), "p.tar.gz", &later(&with_bad(120, &[71])));
        let database = crate::support::server::TestDatabase::migrated();
        let ended = run(&database, &pipeline, &[payload])
            .argument("--capture")
            .argument(folder.path().join("captured"))
            .calling(folder.path(), "[FOLDER]")
            .ends();
        assert!(
            ended.stderr.contains(
                "captured the rows that stage `clumsy` stopped at; \
                `gristmill stage test [FOLDER]/captured/clumsy` shows it again"
            ),
            "{ended}"
        );
        let captured = folder.path().join("captured/clumsy");
        let ended = gristmill(["stage", "test"])
            .argument(&captured)
            .ends_with(1);
        assert!(
            ended.stdout.contains("FAILED  clumsy: captured 1, line "),
            "{ended}"
        );
        assert!(ended.stdout.contains(words), "{ended}");
        let cases = std::fs::read_to_string(captured.join("cases.toml")).expect("cases");
        // The guilty row alone, unless the batch was refused as a whole.
        let rows = cases.lines().filter(|line| line.contains(",app,")).count();
        assert_eq!(rows, if how == "refuses" { 120 } else { 1 }, "{cases}");
        assert!(cases.contains(&format!("how = \"{how}\"")), "{cases}");
    }
}
