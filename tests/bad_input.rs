//! Payloads and rows that are wrong. Whatever it is, the message says
//! what and where, nothing of it is published or left in staging, and the next
//! good payload loads.

use tar::EntryType;

use crate::support::payload::{DAY, Payload, Report};
use crate::support::scene::{Scene, check_quarantine, later, loadable_months};

#[test]
fn a_damaged_tarball_is_refused() {
    let scene = Scene::new();
    let whole = Payload::usual(2).tarball();
    let unreadable =
        |reason: &str| format!("it is not a whole gzip-compressed tar archive: {reason}");

    scene.refuses(b"this is no tarball", &unreadable("invalid gzip header"));
    scene.refuses(b"", &unreadable("unexpected end of file"));
    for (part, reason) in [
        (20, "incomplete deflate stream"),
        (whole.len() / 2, "incomplete deflate stream"),
        (whole.len() - 9, "incomplete deflate stream"),
        (whole.len() - 1, "unexpected end of file"),
    ] {
        scene.refuses(&whole[..part], &unreadable(reason));
    }
    let flipped = |place: usize| {
        let mut flipped = whole.clone();
        flipped[place] ^= 1;
        flipped
    };
    scene.refuses(
        &flipped(whole.len() - 6),
        &unreadable("corrupt gzip stream does not have a matching checksum"),
    );
    // Which of many complaints it is depends on what the bit meant.
    let ended = scene.load(&flipped(whole.len() / 2));
    assert_eq!(ended.code, Some(1), "{ended}");
    assert!(ended.stderr.contains("is refused"), "{ended}");
    scene.has_usage("1.5");
    scene.still_loads();
}

#[test]
fn a_member_that_no_payload_holds_is_refused() {
    let scene = Scene::new();
    let usual = || Payload::usual(2);
    for (payload, reason) in [
        (
            usual().member("../passwd", "x"),
            "member `../passwd` does not have a flat name",
        ),
        (
            usual().member("/etc/passwd", "x"),
            "member `/etc/passwd` does not have a flat name",
        ),
        (
            usual().member("folder/pods.csv", "x"),
            "member `folder/pods.csv` does not have a flat name",
        ),
        (
            usual().member_of(EntryType::Symlink, "more.csv", ""),
            "member `more.csv` is a Symlink, not a plain file",
        ),
        (
            usual().member_of(EntryType::Char, "device", ""),
            "member `device` is a Char, not a plain file",
        ),
        (
            usual().member("pods.csv", "x"),
            "member `pods.csv` is there twice",
        ),
        (
            usual().member("./pods.csv", "x"),
            "member `pods.csv` is there twice",
        ),
    ] {
        scene.refuses(&payload.tarball(), reason);
    }
    let unlisted = usual().member("more.csv", "x").tarball();
    scene.fails(
        &unlisted,
        "error: payload `[FOLDER]/bad.tar.gz` is refused\n  \
        it holds `more.csv`, which its manifest does not list\n\n\
        hint: nothing of the payload was published",
    );
    scene.still_loads();
}

#[test]
fn a_missing_or_lying_manifest_is_refused() {
    let scene = Scene::new();
    scene.refuses(
        &Payload::usual(2).tarball_with(None),
        "it has no `manifest.json`",
    );
    let wrong =
        |key: &str, value: serde_json::Value| Payload::usual(2).manifest(key, value).tarball();
    let null = serde_json::Value::Null;
    for (payload, reason) in [
        (
            Payload::usual(2).tarball_with(Some("{")),
            "`manifest.json`: EOF while parsing an object at line 1 column 1",
        ),
        (
            Payload::usual(2).tarball_with(Some("{}")),
            "`manifest.json`: missing field `uuid` at line 1 column 2",
        ),
        (
            wrong("uuid", "pods".into()),
            "`uuid` is `pods`, not a version 4 UUID",
        ),
        (
            wrong("uuid", "00000000-0000-1000-8000-000000000001".into()),
            "`uuid` is `00000000-0000-1000-8000-000000000001`, not a version 4 UUID",
        ),
        (
            wrong("cluster_id", "../../etc".into()),
            "`cluster_id` is `../../etc`, not a plain name of at most 50 characters",
        ),
        (
            wrong("files", vec!["../pods.csv"].into()),
            "`files` names `../pods.csv`, which is not a flat name of at most 128 characters",
        ),
        (
            wrong("files", vec!["pods.csv", "pods.csv"].into()),
            "`files` names `pods.csv` twice",
        ),
    ] {
        scene.fails(
            &payload,
            &format!(
                "error: payload `[FOLDER]/bad.tar.gz` is refused\n  \
                its manifest is wrong: {reason}\n\n\
                hint: nothing of it was loaded; \
                ask the operator of the cluster for a new upload"
            ),
        );
    }
    for (key, value) in [
        ("date", null.clone()),
        ("date", "yesterday".into()),
        ("cluster_id", null),
    ] {
        let ended = scene.load(&wrong(key, value.clone()));
        assert_eq!(ended.code, Some(1), "{key} {value}: {ended}");
        assert!(
            ended.stderr.contains("its manifest is wrong"),
            "{key} {value}: {ended}"
        );
    }
    scene.still_loads();
}

/// The parts of a split payload agree on what they are parts of.
#[test]
fn an_upload_with_two_lists_of_files_is_refused() {
    let scene = Scene::new();
    let other = Payload::numbered(1).file("other.csv", Report::pods().hours(0..9).text());
    scene.fails(
        &other.tarball(),
        "error: an upload 00000000-0000-4000-8000-000000000001 is known with another list of files\n\n\
        hint: one of the two is not from the operator; nothing of this one was loaded",
    );
    scene.still_loads();
}

#[test]
fn a_payload_that_failed_may_come_again() {
    let scene = Scene::without_floor("");
    let report = Report::pods().hours(0..8);
    let broken = report.text().replace("3600.000000", "many");
    let upload = |text: &str| Payload::numbered(2).file("pods.csv", text).tarball();
    let ended = scene.load(&upload(&broken));
    assert_eq!(ended.code, Some(1), "{ended}");
    let status = "
        SELECT status, failed_status, completed_datetime IS NULL
        FROM reporting_common_costusagereportstatus
        ORDER BY id DESC LIMIT 1";
    let is = |cells: [Option<&str>; 3]| {
        let cells = cells.map(|cell| cell.map(String::from));
        assert_eq!(scene.database.query_rows(status), [cells]);
    };
    is([Some("2"), Some("4"), Some("t")]);

    let ended = scene.load(&upload(report.text()));
    assert_eq!(ended.code, Some(0), "{ended}");
    is([Some("1"), None, Some("f")]);
    scene.has_usage("4");
}

#[test]
fn a_report_that_cannot_be_read_fails_the_payload() {
    let scene = Scene::with_pipeline("publish.unknown-reports = \"refuse\"\n");
    let volumes = Report::volumes().hours(0..3);
    let beside = |number| Payload::numbered(number).file("volumes.csv", volumes.text());
    for (payload, words) in [
        (
            beside(2).file("steps.csv", "day,person,steps\n2026-01-10,x,7\n"),
            "error: report `steps.csv` is of no kind that pipeline `ocp` knows: \
            its header begins with `day,person,steps`\n\n\
            hint: the kinds are pod-usage, storage-usage, node-labels, namespace-labels, \
            vm-usage, gpu-usage; add a `[reports.NAME]` for it, with `ignore = true` to read past it",
        ),
        (
            beside(3).file(
                "pods.csv",
                Report::pods().without("namespace").hours(0..3).text(),
            ),
            "error: cannot ingest report `pods.csv`\n  \
            stage `csv-parse` refused batch 1: \
            line 1, column `namespace`: is required, but not in the header\n\n\
            hint: nothing of the payload was published",
        ),
    ] {
        scene.fails(&payload.tarball(), words);
    }
    scene.still_loads();
}

/// 200 rows of four hours, of which the last ones have these cells.
fn mostly_good(bad: &[&[(&str, &str)]]) -> Report {
    let good = (0..200 - bad.len()).fold(Report::pods(), |report, pod| {
        report.row(pod as u32 % 4, &[("pod", &format!("pod-{pod}"))])
    });
    bad.iter().fold(good, |report, cells| report.row(0, cells))
}

#[test]
fn few_bad_rows_go_to_quarantine_and_the_rest_counts() {
    for (cells, quarantined) in [
        (
            ("pod_usage_cpu_core_seconds", "abc"),
            "csv-parse|64|pod_usage_cpu_core_seconds|not-a-number|expected a number, found `abc`",
        ),
        (
            ("pod_usage_cpu_core_seconds", "NaN"),
            "csv-parse|64|pod_usage_cpu_core_seconds|not-a-number|expected a number, found `NaN`",
        ),
        (
            ("pod_request_cpu_core_seconds", "1e400"),
            "csv-parse|64|pod_request_cpu_core_seconds|out-of-range|\
            expected a number of double precision, found `1e400`",
        ),
        (
            ("interval_start", "yesterday"),
            "csv-parse|64|interval_start|not-a-timestamp|expected a timestamp, found `yesterday`",
        ),
        (
            ("interval_start", "2026-01-10 00:00:00 +0000 UTC m=+0.1"),
            "csv-parse|64|interval_start|not-utc|\
            expected a timestamp such as `2026-01-10 05:00:00 +0000 UTC`, \
            found `2026-01-10 00:00:00 +0000 UTC m=+0.1`",
        ),
        (
            ("node_role", "worker,one,too,many"),
            "csv-parse|64|null|wrong-field-count|expected 20 fields, found 23",
        ),
        (
            ("node_role", "\"worker\" or so"),
            "csv-parse|64|node_role|malformed-quotes|there is text after a closing quote",
        ),
        (
            ("pod_limit_cpu_core_seconds", "1e30"),
            "load|null|pod_limit_cpu_core_hours|out-of-range|277777777777777800000000000 does not fit \
            `pod_limit_cpu_core_hours_e12`, which holds up to 9223372",
        ),
        (
            ("interval_start", "1812-06-24 00:00:00 +0000 UTC"),
            &format!(
                "load|null|interval_start|out-of-range|1812-06-24T00:00:00Z is not in the months {}: \
                `months-back` in `[limits]` is 120",
                loadable_months()
            ),
        ),
    ] {
        let scene = Scene::new();
        let report = mostly_good(&[&[("pod", "bad"), cells]]);
        let ended = scene.load(&later(&report));
        assert_eq!(ended.code, Some(0), "{ended}");
        check_quarantine(
            &scene.database,
            &[&format!("pods.csv|201|{quarantined}|t|t|published")],
        );
        // Half a core-hour of each of the other rows.
        scene.has_usage("99.5");
    }
}

#[test]
fn many_bad_rows_fail_the_payload_and_are_kept() {
    let scene = Scene::without_floor("");
    let bad: [&[(&str, &str)]; 3] = [
        &[("pod", "bad"), ("pod_usage_cpu_core_seconds", "abc")],
        &[("pod", "bad"), ("interval_start", "yesterday")],
        &[("pod", "bad"), ("pod_limit_cpu_core_seconds", "1e30")],
    ];
    scene.fails(
        &later(&mostly_good(&bad)),
        "error: 3 of 200 rows were rejected, more than 1 %\n  \
        report `pods.csv`, line 199, stage `csv-parse`: \
        column `pod_usage_cpu_core_seconds`: expected a number, found `abc`\n  \
        report `pods.csv`, line 200, stage `csv-parse`: \
        column `interval_start`: expected a timestamp, found `yesterday`\n  \
        report `pods.csv`, line 201, stage `load`: column `pod_limit_cpu_core_hours`: \
        277777777777777800000000000 does not fit `pod_limit_cpu_core_hours_e12`, \
        which holds up to 9223372\n\n\
        hint: the rows are in quarantine under run 2; \
        `rejected-rows` in `[limits]` is the threshold",
    );
    check_quarantine(
        &scene.database,
        &[
            "pods.csv|199|csv-parse|64|pod_usage_cpu_core_seconds|not-a-number|\
            expected a number, found `abc`|t|f|failed",
            "pods.csv|200|csv-parse|64|interval_start|not-a-timestamp|\
            expected a timestamp, found `yesterday`|t|f|failed",
            "pods.csv|201|load|null|pod_limit_cpu_core_hours|out-of-range|\
            277777777777777800000000000 does not fit `pod_limit_cpu_core_hours_e12`, \
            which holds up to 9223372|t|f|failed",
        ],
    );
    scene.has_usage("1.5");

    // The site may take them.
    let patient = Scene::without_floor("limits.rejected-rows = \"2 %\"\n");
    let ended = patient.load(&later(&mostly_good(&bad)));
    assert_eq!(ended.code, Some(0), "{ended}");
    patient.has_usage("98.5");
}

/// One of 48 is 2 %, as many are in a report of a small cluster.
#[test]
fn a_few_bad_rows_of_a_small_report_are_borne() {
    let with_bad = |bad: usize| {
        let good = (0..48 - bad).fold(Report::pods(), |report, pod| {
            report.row(pod as u32 % 4, &[("pod", &format!("pod-{pod}"))])
        });
        let much = [("pod", "bad"), ("pod_limit_cpu_core_seconds", "1e30")];
        (0..bad).fold(good, |report, _| report.row(0, &much))
    };
    for (bad, usage) in [(1, "23.5"), (10, "19")] {
        let scene = Scene::new();
        let ended = scene.load(&later(&with_bad(bad)));
        assert_eq!(ended.code, Some(0), "{ended}");
        scene.has_usage(usage);
        let kept = "SELECT count(*) FROM gristmill_quarantine WHERE state = 'open'";
        assert_eq!(scene.database.query_value(kept), Some(bad.to_string()));
    }
    // More than both.
    let scene = Scene::new();
    let ended = scene.load(&later(&with_bad(11)));
    assert_eq!(ended.code, Some(1), "{ended}");
    for words in [
        "error: 11 of 48 rows were rejected, more than 1 % and more than 10 rows\n",
        "`rejected-rows` and `rejected-rows-floor` in `[limits]` are the threshold",
    ] {
        assert!(ended.stderr.contains(words), "{ended}");
    }
    scene.has_usage("1.5");
    // More than the floor alone, and the share alone.
    for limits in [
        "limits.rejected-rows = \"25 %\"\n",
        "limits.rejected-rows-floor = 11\n",
    ] {
        let scene = Scene::with_pipeline(limits);
        let ended = scene.load(&later(&with_bad(11)));
        assert_eq!(ended.code, Some(0), "{ended}");
    }
    // Whoever allows none allows none of a few, unless a floor is said.
    let none = Scene::with_pipeline("limits.rejected-rows = \"0 %\"\n");
    assert_eq!(none.load(&later(&with_bad(1))).code, Some(1));
    let one = "limits = { rejected-rows = \"0 %\", rejected-rows-floor = 1 }\n";
    assert_eq!(
        Scene::with_pipeline(one).load(&later(&with_bad(1))).code,
        Some(0)
    );
}

/// Each file is held to the threshold, and all of them together.
#[test]
fn bad_rows_of_many_small_reports_add_up() {
    let scene = Scene::new();
    let much = [("pod_usage_cpu_core_seconds", "much")];
    let claim = [("volume_request_storage_byte_seconds", "much")];
    let pods = (0..6).fold(Report::pods().hours(0..4), |report, _| report.row(0, &much));
    let volumes = (0..6).fold(Report::volumes().hours(0..4), |report, _| {
        report.row(0, &claim)
    });
    let payload = Payload::numbered(2)
        .manifest("date", "2026-01-12T00:00:00Z")
        .file("pods.csv", pods.text());
    let ended = scene.load(&payload.tarball());
    assert_eq!(ended.code, Some(0), "{ended}");
    let payload = Payload::numbered(3)
        .manifest("date", "2026-01-13T00:00:00Z")
        .file("pods.csv", pods.text())
        .file("volumes.csv", volumes.text());
    let ended = scene.load(&payload.tarball());
    assert_eq!(ended.code, Some(1), "{ended}");
    let words = "error: 12 of 20 rows were rejected, more than 1 % and more than 10 rows\n";
    assert!(ended.stderr.contains(words), "{ended}");
}

#[test]
fn a_crash_in_the_middle_is_cleared_away_by_the_next_run() {
    let scene = Scene::new();
    let source = "SELECT source_uuid FROM gristmill_source";
    // As a killed process leaves it: rows of a generation that nobody completes.
    scene.database.execute(&format!(
        "INSERT INTO gristmill_run (pipeline, payload) VALUES ('ocp', 'killed');
        INSERT INTO gristmill_generation (manifest_id, run_id, source_uuid)
        SELECT max(manifest.id), max(run.id), ({source})
        FROM reporting_common_costusagereportmanifest AS manifest, gristmill_run AS run;
        INSERT INTO reporting_ocpusagelineitem_pod_staging (
            generation, source_uuid, report_period_id, interval_start, namespace_name_id, node_name_id, pod
        )
        SELECT max(id), ({source}), 1, '2026-01-10 00:00:00+00', 1, 2, 'orphan'
        FROM gristmill_generation"
    ));
    scene.still_loads();
    let orphans = "
        SELECT
            (SELECT count(*) FROM reporting_ocpusagelineitem_pod_staging WHERE pod = 'orphan')
            + (SELECT count(*) FROM gristmill_generation WHERE state <> 'complete')";
    assert_eq!(scene.database.query_value(orphans).as_deref(), Some("0"));
}

/// What is loaded is in a transaction then, and its locks must go before it is
/// taken back.
#[test]
fn a_publish_that_fails_ends_and_leaves_nothing() {
    let scene = Scene::new();
    scene.database.execute(
        "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql
        AS $$ BEGIN RAISE EXCEPTION 'the disk is full'; END $$;
        CREATE TRIGGER fail BEFORE INSERT ON reporting_ocpusagelineitem_daily_summary
        FOR EACH ROW EXECUTE FUNCTION fail()",
    );
    let before = scene.database.digests_of_published();
    let ended = scene.load(&Payload::usual(2).tarball());
    assert_eq!(ended.code, Some(1), "{ended}");
    assert!(ended.stderr.contains("the disk is full"), "{ended}");
    assert_eq!(scene.database.digests_of_published(), before);

    scene
        .database
        .execute("DROP TRIGGER fail ON reporting_ocpusagelineitem_daily_summary");
    let ended = scene.load(&Payload::usual(2).tarball());
    assert_eq!(ended.code, Some(0), "{ended}");
}

#[test]
fn a_statement_that_fails_is_named_with_the_upload_and_its_days() {
    let scene = Scene::new();
    scene.database.execute(
        "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql
        AS $$ BEGIN RAISE EXCEPTION 'the disk is full'; END $$",
    );
    for (event, statement) in [
        ("INSERT ON gristmill_coverage", "record its files"),
        (
            "INSERT ON reporting_enabledtagkeys",
            "record the tag keys of its rows",
        ),
        (
            "INSERT ON gristmill_hour_read",
            "record the hours that were read",
        ),
        (
            "UPDATE OF fingerprint ON gristmill_generation",
            "complete its generation",
        ),
        (
            "UPDATE OF manifest_id ON gristmill_generation",
            "reuse the generations of earlier uploads",
        ),
        ("INSERT ON gristmill_day_manifest", "claim its days"),
        (
            "UPDATE OF completed_datetime ON reporting_common_costusagereportmanifest",
            "complete its manifest",
        ),
    ] {
        // Three of its hours are reused, and two are new.
        let payload = Payload::numbered(2).file("pods.csv", Report::pods().hours(0..5).text());
        scene.database.execute(&format!(
            "CREATE TRIGGER fail BEFORE {event} FOR EACH STATEMENT EXECUTE FUNCTION fail()"
        ));
        scene.fails(
            &payload.tarball(),
            &format!(
                "error: cannot publish upload 00000000-0000-4000-8000-000000000002 of {DAY}\n  \
                cannot {statement}\n  the disk is full"
            ),
        );
        let (_, table) = event.split_once(" ON ").expect("a table");
        scene
            .database
            .execute(&format!("DROP TRIGGER fail ON {table}"));
    }
    scene.still_loads();
}
