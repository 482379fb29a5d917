//! Stages that break, lie or take too much. The message says which stage, at which
//! batch and what; nothing of the payload is published or left in staging.

use crate::support::command::{file, gristmill};
use crate::support::component;
use crate::support::payload::{Payload, Report, write};
use crate::support::scene::{Scene, check_quarantine, later, loadable_months};
use crate::support::torture::contained;

/// The pipeline with the hostile stage behind the parser.
fn hostile(behaviour: &str) -> String {
    // A busy machine shall not make another fault look like this one.
    let time = match behaviour {
        // The calls before must not run out of time.
        "spins-at-finish" => "2 s",
        _ if behaviour.starts_with("spins") => "200 ms",
        _ => "20 s",
    };
    format!(
        "[stages.hostile]
        component = {:?}
        config = {{ behaviour = {behaviour:?} }}
        limits = {{ memory = \"16 MiB\", time-per-batch = {time:?} }}

        [reports.pod-usage]
        stages = [\"csv-parse\", \"hostile\", \"effective-usage\", \"label-filter\", \"unit-conversion\"]
        ",
        component::hostile().join("hostile.wasm")
    )
}

/// The volumes are loaded when the stage breaks; they must not stay.
fn of_two_reports() -> Vec<u8> {
    Payload::numbered(2)
        .file("volumes.csv", Report::volumes().hours(0..3).text())
        .file("pods.csv", Report::pods().hours(0..3).text())
        .tarball()
}

/// Where in its source the hostile stage says this.
fn line_of(words: &str) -> usize {
    let source = include_str!("hostile/src/lib.rs");
    let before = source.lines().take_while(|line| !line.contains(words));
    before.count() + 1
}

#[test]
fn a_stage_that_refuses_a_batch_fails_the_payload() {
    let scene = Scene::with_pipeline(&hostile("refuses"));
    scene.fails(
        &of_two_reports(),
        "error: cannot ingest report `pods.csv`\n  \
        stage `hostile` refused batch 1 (lines 2 to 4): column `pod`: today is a holiday\n\n\
        hint: nothing of the payload was published",
    );
    contained();
}

/// It breaks at each row alone, so that all of them are to blame, which is too much.
#[track_caller]
fn breaks_at_each_row(scene: &Scene, words: &str) {
    let row = |line| format!("  report `pods.csv`, line {line}, stage `hostile`: {words}\n");
    scene.fails(
        &of_two_reports(),
        &format!(
            "warning: bad.tar.gz: stage `hostile`: broke at 3 of 3 rows (lines 2 to 4), which go to quarantine\n\
            error: 3 of 6 rows were rejected, more than 1 %\n{}{}{}\n\
            hint: the rows are in quarantine under run 2; \
            `rejected-rows` in `[limits]` is the threshold",
            row(2),
            row(3),
            row(4)
        ),
    );
    scene.loads_without_the_stage();
    contained();
}

#[test]
fn a_stage_that_breaks_at_every_row_fails_the_payload() {
    for (behaviour, words) in [
        (
            "panics",
            "trapped: `unreachable` instruction executed; \
            it said: panicked at src/lib.rs:LINE: the dog ate 1 rows",
        ),
        (
            "panics-at-row",
            "trapped: `unreachable` instruction executed; \
            it said: panicked at src/lib.rs:ROW: the cat sat on it, at row 1 of the batch",
        ),
        ("traps", "trapped: `unreachable` instruction executed"),
        ("aborts", "trapped: `unreachable` instruction executed"),
        ("overflows-stack", "trapped: call stack exhausted"),
        ("exits", "trapped: the stage exited, which a stage may not"),
        (
            "spins",
            "took longer than 200ms for one batch (`time-per-batch`)",
        ),
        (
            "sleeps",
            "trapped: the stage waits, but its clock stands still: \
            the wait would outlast `time-per-batch`",
        ),
        (
            "eats-memory",
            "wanted more than 16777216 bytes of memory (`memory`)",
        ),
    ] {
        let scene = Scene::without_floor(&hostile(behaviour));
        let words = words.replace("LINE", &line_of("the dog ate").to_string());
        breaks_at_each_row(
            &scene,
            &words.replace("ROW", &line_of("the cat sat").to_string()),
        );
    }
}

#[test]
fn a_stage_that_lies_about_every_row_fails_the_payload() {
    for (behaviour, lie) in [
        (
            "ragged",
            "column `pod_usage_cpu_core_seconds`: it has 0 values for 1 rows",
        ),
        (
            "wrong-type",
            "column `pod_usage_cpu_core_seconds`: it is int64 where the contract says float64",
        ),
        ("too-few-columns", "1 columns where its contract writes 2"),
        (
            "bad-offsets",
            "column `pod`: its text offsets do not divide its 3 bytes from first to last",
        ),
        ("bad-utf8", "column `pod`: its text is not valid UTF-8"),
        (
            "bad-keys",
            "column `pod`: key 7 is out of range: it has 1 values",
        ),
        (
            "loses-row",
            "1 rows went in, but 0 came out, 0 were rejected and 0 left out",
        ),
        ("too-many-columns", "3 columns where its contract writes 2"),
        (
            "short-validity",
            "column `pod_usage_cpu_core_seconds`: its validity bitmap has 0 bytes for 1 rows",
        ),
        (
            "falling-offsets",
            "column `pod`: its text offsets do not divide its 3 bytes from first to last",
        ),
        (
            "overflowing-offsets",
            "column `pod`: its text offsets do not divide its 3 bytes from first to last",
        ),
        (
            "late-offsets",
            "column `pod`: its text offsets do not divide its 3 bytes from first to last",
        ),
        (
            "no-offsets",
            "column `pod`: its text offsets do not divide its 0 bytes from first to last",
        ),
        (
            "long-data",
            "column `pod`: its text offsets do not divide its 3 bytes from first to last",
        ),
        (
            "huge-row-count",
            "4294967295 rows for 1, more than 16 for each",
        ),
        (
            "source-out-of-range",
            "source row 4294967295 is out of range: the batch has 1 rows",
        ),
        ("too-few-sources", "0 source rows for 1 rows"),
        (
            "lies-about-filtered",
            "1 rows went in, but 1 came out, 0 were rejected and 4294967295 left out",
        ),
        (
            "rearranges-unasked",
            "rearranged rows, but its contract keeps them",
        ),
        (
            "rejects-out-of-range",
            "row 4294967295 is rejected, but the batch has 1 rows",
        ),
        ("rejects-without-end", "row 0 is rejected twice"),
        ("rejects-what-comes-out", "row 0 is rejected and comes out"),
        (
            "no-json",
            "column `pod_labels`: `{ [2J,` is not JSON: key must be a string at line 1 column 2",
        ),
        ("rejects-twice", "row 1 is rejected twice"),
    ] {
        let scene = Scene::without_floor(&hostile(behaviour));
        breaks_at_each_row(
            &scene,
            &format!("returned something that the contract does not allow: {lie}"),
        );
    }
}

#[test]
fn a_stage_cannot_return_more_than_its_limit() {
    let scene = Scene::without_floor(&hostile("floods").replace("16 MiB", "512 MiB"));
    breaks_at_each_row(
        &scene,
        "returned something that the contract does not allow: \
        more than 67108864 bytes for one batch (`output-per-batch`)",
    );
    let tight = hostile("floods").replace("16 MiB", "512 MiB\", output-per-batch = \"1 MiB");
    breaks_at_each_row(
        &Scene::without_floor(&tight),
        "returned something that the contract does not allow: \
        more than 1048576 bytes for one batch (`output-per-batch`)",
    );
}

#[test]
fn what_a_stage_rejects_is_quarantined_with_its_raw_row() {
    let scene = Scene::with_pipeline(&format!(
        "[limits]\nrejected-rows = \"50 %\"\n{}",
        hostile("rejects")
    ));
    let payload = later(
        &Report::pods()
            .row(0, &[])
            .row(1, &[("pod", "bad")])
            .row(2, &[])
            .row(3, &[]),
    );
    let ended = scene.load(&payload);
    assert_eq!(ended.code, Some(0), "{ended}");
    check_quarantine(
        &scene.database,
        &["pods.csv|3|hostile|64|pod|disliked|a name that nobody likes|t|t|published"],
    );
    scene.has_usage("1.5");
    contained();
}

#[test]
fn what_a_stage_says_cannot_control_the_terminal() {
    let scene = Scene::with_pipeline(&hostile("behaves"));
    scene
        .load(&later(&Report::pods().hours(0..3)))
        .stderr_is("warning: bad.tar.gz: stage `hostile`:  [2Jnothing to see here");
    contained();
}

/// Each file opens the stage anew, so its own limit does not bound a payload's run.
#[test]
fn what_a_stage_says_is_bounded_over_a_run_and_shows_what_it_hides() {
    let scene = Scene::with_pipeline(&hostile("chatters"));
    let mut payload = Payload::numbered(2).manifest("date", "2026-01-12T00:00:00Z");
    for (number, hour) in (0..5).enumerate() {
        let pods = Report::pods().hours(hour..hour + 1);
        payload = payload.file(&format!("pods{number}.csv"), pods.text());
    }
    let ended = scene.load(&payload.tarball());
    assert_eq!(ended.code, Some(0), "{ended}");
    let said = "info: bad.tar.gz: stage `hostile`: user\\u{202e}nimda\\u{200b} 2J";
    let cut = "warning: bad.tar.gz: stage `hostile`: more than 100 messages (`log-lines`); the rest is dropped";
    let count = |wanted: &str| {
        let lines = ended.stderr.lines();
        lines.filter(|line| line.starts_with(wanted)).count()
    };
    assert!(count(said) > 150 && count(cut) > 0, "{ended}");
    assert_eq!(count(said) + count(cut), 200, "{ended}");
    assert!(!ended.stderr.contains("a detail"), "{ended}");
    let last = "warning: bad.tar.gz: stage `hostile`: 55 more messages are not shown: \
        `log-lines-of-payload` in `[limits]` is 200\n";
    assert!(ended.stderr.contains(last), "{ended}");
    contained();
}

#[test]
fn what_a_stage_prints_is_in_the_log_with_stage_and_payload() {
    let scene = Scene::with_pipeline(&hostile("prints"));
    let loaded = scene.load(&later(&Report::pods().hours(0..3)));
    assert_eq!(loaded.code, Some(0), "{loaded}");
    for line in [
        "info: bad.tar.gz: stage `hostile`: hello of 3 rows\n\
        info: bad.tar.gz: stage `hostile`: and this\n",
        "warning: bad.tar.gz: stage `hostile`: something\n\
        warning: bad.tar.gz: stage `hostile`: is odd\n",
    ] {
        assert!(loaded.stderr.contains(line), "{line}\n{loaded}");
    }
    let scene = Scene::with_pipeline(&hostile("prints-without-end"));
    let ended = scene.load(&later(&Report::pods().hours(0..3)));
    assert_eq!(ended.code, Some(0), "{ended}");
    let cut = "warning: bad.tar.gz: stage `hostile`: more than 100 messages (`log-lines`)";
    assert!(ended.stderr.contains(cut), "{ended}");
    assert!(ended.stderr.lines().count() < 120, "{ended}");
    contained();
}

/// A stage that breaks before any data is there breaks the pipeline.
#[test]
fn a_stage_that_cannot_be_opened_is_a_problem_of_the_pipeline() {
    for (behaviour, words) in [
        (
            "spins-at-open",
            "took longer than 200ms for one batch (`time-per-batch`)",
        ),
        (
            "spins-at-contract",
            "took longer than 200ms for one batch (`time-per-batch`)",
        ),
        (
            "panics-at-open",
            "trapped: `unreachable` instruction executed",
        ),
        ("panics-at-open", ": the door is stuck"),
        ("panics-at-contract", ": the ink is dry"),
        (
            "refuses-at-open-in-escapes",
            "config key `beha [2Jviour`: not \\u{202e}today",
        ),
        (
            "reads-twice",
            "returned something that the contract does not allow: column `pod` is read twice",
        ),
        (
            "writes-twice",
            "returned something that the contract does not allow: column `pod` is written twice",
        ),
        (
            "writes-no-name",
            "returned something that the contract does not allow: \
            it writes a column with the name ``",
        ),
        (
            "writes-escapes",
            "returned something that the contract does not allow: \
            it writes a column with the name `a\\u{1b}[2J`",
        ),
        (
            "writes-without-end",
            "returned something that the contract does not allow: \
            a contract of more than 1000 columns",
        ),
        (
            "reads-unknown",
            "column `no_such_column`: nothing before this stage provides it",
        ),
        (
            "reads-another-type",
            "column `namespace`: the stage reads it as int64, but it is dictionary",
        ),
        (
            "drops-what-it-writes",
            "returned something that the contract does not allow: \
            it drops column `pod`, which it also writes",
        ),
        (
            "drops-unknown",
            "returned something that the contract does not allow: \
            it drops column `no_such_column`, which is not there",
        ),
        (
            "dances",
            "config key `behaviour`: unknown variant `dances`, expected one of",
        ),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let base = file("pipelines/ocp.toml");
        let text = format!("extends = {base:?}\n{}", hostile(behaviour));
        let pipeline = write(folder.path(), "pipeline.toml", text.as_bytes());
        let ended = gristmill(["check"])
            .argument(pipeline)
            .with_stages()
            .ends_with(2);
        assert!(ended.stderr.contains("stage `hostile`: "), "{ended}");
        assert!(ended.stderr.contains(words), "{ended}");
        contained();
    }
}

#[test]
fn a_stage_that_breaks_at_the_end_of_a_file_fails_the_payload() {
    for (behaviour, words) in [
        (
            "spins-at-finish",
            "broke at the file: took longer than 2s for one batch (`time-per-batch`)".into(),
        ),
        (
            "panics-at-finish",
            format!(
                "broke at the file: trapped: `unreachable` instruction executed\n  \
                it said: panicked at src/lib.rs:{}: so close",
                line_of("so close")
            ),
        ),
        (
            "refuses-at-finish",
            "refused the file: it was all [2J wrong".into(),
        ),
    ] {
        let scene = Scene::with_pipeline(&hostile(behaviour));
        scene.fails(
            &of_two_reports(),
            &format!(
                "error: cannot ingest report `pods.csv`\n  stage `hostile` {words}\n\n\
                hint: nothing of the payload was published"
            ),
        );
        scene.loads_without_the_stage();
        contained();
    }
}

#[test]
fn a_stage_that_refuses_in_escapes_is_shown_as_text() {
    let scene = Scene::with_pipeline(&hostile("fails-in-escapes"));
    scene.fails(
        &of_two_reports(),
        "error: cannot ingest report `pods.csv`\n  \
        stage `hostile` refused batch 1 (lines 2 to 4): column `b `: a [2J error: \\u{202e}\n\n\
        hint: nothing of the payload was published",
    );
    contained();
}

#[test]
fn what_no_table_holds_is_quarantined_behind_the_stage() {
    let number = |number: &str| {
        format!(
            "column `pod_usage_cpu_core_hours`: {number} does not fit \
            `pod_usage_cpu_core_hours_e12`, which holds up to 9223372"
        )
    };
    for (behaviour, words) in [
        ("not-a-number", number("NaN")),
        ("infinite", number("-inf")),
        (
            "end-of-time",
            format!(
                "column `interval_start`: 9223372036854775807 is not in the months {}: \
                `months-ahead` in `[limits]` is 2",
                loadable_months()
            ),
        ),
    ] {
        let scene = Scene::without_floor(&hostile(behaviour));
        let row = |line| format!("  report `pods.csv`, line {line}, stage `load`: {words}\n");
        scene.fails(
            &of_two_reports(),
            &format!(
                "error: 3 of 6 rows were rejected, more than 1 %\n{}{}{}\n\
                hint: the rows are in quarantine under run 2; \
                `rejected-rows` in `[limits]` is the threshold",
                row(2),
                row(3),
                row(4)
            ),
        );
        scene.loads_without_the_stage();
        contained();
    }
}

#[test]
fn reasons_are_bounded_and_shown_as_text() {
    for (behaviour, message) in [
        ("rejects-in-escapes", " [2Jadmin\\u{202e} ".into()),
        ("rejects-at-length", "x".repeat(1024)),
    ] {
        let scene = Scene::with_pipeline(&format!(
            "[limits]\nrejected-rows = \"50 %\"\n{}",
            hostile(behaviour)
        ));
        let payload = later(
            &Report::pods()
                .row(0, &[])
                .row(1, &[("pod", "bad")])
                .row(2, &[]),
        );
        let ended = scene.load(&payload);
        assert_eq!(ended.code, Some(0), "{ended}");
        check_quarantine(
            &scene.database,
            &[&format!(
                "pods.csv|3|hostile|64|a |bad code|{message}|t|t|published"
            )],
        );
        contained();
    }
}

/// It is called again and again by the stage while the clock runs.
#[test]
fn a_stage_that_logs_without_end_runs_out_of_time() {
    let scene = Scene::without_floor(&hostile("spins-in-log"));
    let ended = scene.load(&of_two_reports());
    assert_eq!(ended.code, Some(1), "{ended}");
    let words = "line 2, stage `hostile`: took longer than 200ms for one batch (`time-per-batch`)";
    assert!(ended.stderr.contains(words), "{ended}");
    assert!(ended.stderr.len() < 4_000, "{ended}");
    contained();
}

#[test]
fn facts_that_nobody_learns_are_dropped() {
    let scene = Scene::with_pipeline(&hostile("facts-without-end"));
    scene.load(&later(&Report::pods().hours(0..3)));
    scene.has_usage("1.5");
    contained();
}

/// It is read anew in each instance, where the bound sets have words in them.
#[test]
fn a_contract_that_changes_from_one_opening_to_the_next_fails_the_payload() {
    for behaviour in ["reads-by-its-sets", "writes-by-its-sets"] {
        let bound = hostile(behaviour).replacen(
            "component = ",
            "bind = { keys = \"enabled-tag-keys\" }\ncomponent = ",
            1,
        );
        let scene = Scene::with_pipeline(&bound);
        scene.database.execute(
            "INSERT INTO reporting_enabledtagkeys (key, enabled, provider_type)
            VALUES ('app', true, 'OCP')
            ON CONFLICT DO NOTHING",
        );
        scene.fails(
            &of_two_reports(),
            "error: cannot ingest report `pods.csv`\n  \
            stage `hostile` broke at the file: \
            returned something that the contract does not allow: \
            its contract is not the one that the pipeline was checked with\n\n\
            hint: nothing of the payload was published",
        );
        scene.loads_without_the_stage();
        contained();
    }
}

/// The stage of a pipeline that learns what it tells.
fn learning(behaviour: &str) -> String {
    hostile(behaviour).replacen(
        "component = ",
        "learn = { label-keys = \"tag-keys\" }\ncomponent = ",
        1,
    )
}

#[test]
fn facts_beyond_the_limit_fail_the_payload() {
    let tight =
        learning("facts-without-end").replace("16 MiB", "64 MiB\", output-per-batch = \"1 MiB");
    let scene = Scene::with_pipeline(&tight);
    scene.fails(
        &of_two_reports(),
        "error: cannot ingest report `pods.csv`\n  \
        stage `hostile` broke at the file: \
        returned something that the contract does not allow: \
        more than 1048576 bytes for one batch (`output-per-batch`)\n\n\
        hint: nothing of the payload was published",
    );
    scene.loads_without_the_stage();
    contained();
}

/// A word that can be a name is kept as it came; the rest is dropped.
#[test]
fn words_of_any_kind_can_be_learned_and_shown() {
    let scene = Scene::with_pipeline(&learning("learns-nonsense"));
    let ended = scene.load(&later(&Report::pods().hours(0..3)));
    assert_eq!(ended.code, Some(0), "{ended}");
    let keys = scene
        .database
        .query_rows("SELECT key FROM reporting_enabledtagkeys ORDER BY key COLLATE \"C\"");
    let keys: Vec<String> = keys.into_iter().flatten().flatten().collect();
    assert_eq!(
        keys,
        ["\u{1b}[2J\u{202e}", "'; DROP TABLE gristmill_run; --"]
    );
    let shown = gristmill(["tags", "list"])
        .database(&scene.database)
        .succeeds()
        .stdout;
    assert!(shown.contains("DROP TABLE"), "{shown}");
    assert!(!shown.contains(['\u{1b}', '\u{202e}']), "{shown:?}");
    contained();
}

#[test]
fn a_stage_has_no_clock_and_no_chance() {
    let usage = || {
        let scene = Scene::with_pipeline(&hostile("gambles"));
        let ended = scene.load(&later(&Report::pods().hours(0..3)));
        assert_eq!(ended.code, Some(0), "{ended}");
        scene.database.query_value(
            "SELECT sum(pod_usage_cpu_core_hours)
            FROM reporting_ocpusagelineitem_daily_summary
            WHERE namespace = 'app'",
        )
    };
    assert_eq!(usage(), usage());
    contained();
}

#[test]
fn a_stage_finds_nothing_of_the_machine() {
    let scene = Scene::with_pipeline(&hostile("snoops"));
    let ended = scene.load(&later(&Report::pods().hours(0..3)));
    assert_eq!(ended.code, Some(0), "{ended}");
    scene.has_usage("1.5");
    contained();
}
