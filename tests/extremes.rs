//! Values at the ends of what tables can hold, and beyond: in every column of every
//! kind of report, and in the names of clusters. What does not fit costs its row and
//! no other, and is told before anything is published.

use crate::support::command::{file, gristmill, run};
use crate::support::payload::{CLUSTER, DAY, Payload, write};
use crate::support::scene::{Scene, check_quarantine};
use crate::support::server::TestDatabase;
use crate::support::site::Site;

/// A column of a report, as the shipped pipeline declares it.
struct Column {
    name: String,
    kind: String,
}

/// A kind of report.
struct Kind {
    name: String,
    columns: Vec<Column>,
}

/// Every kind of report that the shipped pipeline loads.
fn kinds() -> Vec<Kind> {
    let text = std::fs::read_to_string(file("pipelines/ocp.toml")).expect("the pipeline");
    let pipeline: toml::Table = toml::from_str(&text).expect("a pipeline");
    let reports = pipeline["reports"].as_table().expect("reports");
    let kinds = reports.iter().map(|(name, report)| Kind {
        name: name.clone(),
        columns: report["columns"]
            .as_table()
            .expect("columns")
            .iter()
            .map(|(name, declared)| Column {
                name: name.clone(),
                kind: declared
                    .as_str()
                    .or_else(|| declared["type"].as_str())
                    .expect("a type")
                    .to_string(),
            })
            .collect(),
    });
    kinds.collect()
}

impl Column {
    /// Its value when another column is tried: rows are of all hours of a day.
    fn usual(&self, row: usize) -> String {
        let hour = row % 24;
        let usual = match (self.kind.as_str(), self.name.as_str()) {
            (_, "report_period_start") => "2026-01-01 00:00:00 +0000 UTC",
            (_, "report_period_end") => "2026-02-01 00:00:00 +0000 UTC",
            (_, "interval_start") => return format!("{DAY} {hour:02}:00:00 +0000 UTC"),
            (_, "interval_end") => return format!("{DAY} {hour:02}:59:59 +0000 UTC"),
            ("float64", "gpu_max_slices") => "",
            ("float64", _) => "1",
            (_, "gpu_model_name") => "A100",
            (_, "mig_profile") => "2g.10gb",
            // One that is there is joined with volumes.
            (_, "persistentvolumeclaim" | "vm_persistentvolumeclaim_name") => "d1",
            (_, name) if name.ends_with("_labels") => "label_app:shop|label_vm_kubevirt_io_name:m1",
            _ => "x",
        };
        usual.to_string()
    }

    fn tried(&self) -> Vec<String> {
        match (self.kind.as_str(), self.name.as_str()) {
            ("timestamp", _) => owned(&TIMES),
            ("float64", _) => owned(&NUMBERS),
            ("text", "mig_profile") => [owned(&PROFILES), texts()].concat(),
            ("text", name) if name.ends_with("_labels") => labels(),
            ("text", _) => texts(),
            (kind, _) => panic!("values of `{kind}` are not tried"),
        }
    }
}

const TIMES: [&str; 10] = [
    "",
    "never",
    "0001-01-01 00:00:00 +0000 UTC",
    "1999-12-31 23:59:59 +0000 UTC",
    "2026-01-10 23:59:59 +0000 UTC",
    "2026-02-29 00:00:00 +0000 UTC",
    "2099-12-31 23:59:59 +0000 UTC",
    "2100-01-01 00:00:00 +0000 UTC",
    "9999-12-31 23:59:59 +0000 UTC",
    "294277-01-01 00:00:00 +0000 UTC",
];

const NUMBERS: [&str; 29] = [
    "",
    "-0",
    "0.1234567890123456789",
    "5e-324",
    "32767.5",
    "32768",
    "2147483647",
    "2147483647.4999",
    "2147483647.5",
    "2147483648",
    "-2147483648",
    "-2147483649",
    "3000000000",
    "4294967296",
    // A probe writes this where it knows nothing.
    "140737488355328",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "9223372",
    "9223373",
    "-9223373",
    "9223372036854",
    "9223372036855",
    "1e18",
    "1e308",
    "-1e308",
    "1e309",
    "NaN",
    "inf",
];

const PROFILES: [&str; 12] = [
    "999999999g.999999999gb",
    "2147483648g.5gb",
    "1g.3000000gb",
    "1g.2147483648gb",
    "99999999999999999999g.1gb",
    "1g.99999999999999999999gb",
    "0g.0gb",
    "-1g.5gb",
    "1.5g.5gb",
    "g.gb",
    "1G.5GB+me",
    "\u{ff11}g.\u{ff15}gb",
];

/// Keys that are enabled: as long as there can be, in characters and in bytes.
fn keys() -> [String; 3] {
    ["app".into(), "k".repeat(512), noise(160, 4)]
}

fn texts() -> Vec<String> {
    let mut texts = owned(&[
        "",
        " ",
        "null",
        "%_\\",
        "a\\",
        "\u{1}\u{1b}[31m\u{7f}",
        "two\nlines",
        "\"quoted\", and more",
        "\u{feff}\u{202e}e\u{301}",
        "nul\0byte",
    ]);
    texts.push("x".repeat(100_000));
    for characters in [253, 254, 256, 257, 4_000] {
        texts.push("x".repeat(characters));
        // Of as many bytes as there can be, and no two places alike: nothing makes it
        // shorter on its way into an index.
        texts.push(noise(characters, 4));
        texts.push(noise(characters, 2));
    }
    texts
}

fn labels() -> Vec<String> {
    let keys = keys();
    let mut labels = owned(&[
        "",
        "|",
        ":",
        "label_app:",
        "label_app:\"\\\u{1}",
        "label_:v",
        "no labels",
    ]);
    for key in &keys {
        for bytes in [63, 512, 513, 4_000] {
            labels.push(format!("label_{key}:{}", "v".repeat(bytes)));
            labels.push(format!("label_{key}:{}", noise(bytes / 4, 4)));
        }
    }
    labels.push(format!("label_{}:x", "k".repeat(100_000)));
    labels.push(
        (0..5_000)
            .map(|number| format!("label_k{number}:{number}|"))
            .collect(),
    );
    labels
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(ToString::to_string).collect()
}

/// Letters of two or four bytes, in no order that anything could make shorter.
fn noise(characters: usize, bytes: usize) -> String {
    let (first, count) = match bytes {
        2 => (0x400_u64, 0x100),
        _ => (0x2_0000, 0xa000),
    };
    let mut state = 0x9e37_79b9_7f4a_7c15_u64 ^ characters as u64;
    std::iter::repeat_with(|| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        u32::try_from(first + (state >> 33) % count)
            .ok()
            .and_then(char::from_u32)
    })
    .flatten()
    .take(characters)
    .collect()
}

/// A report of one row for each value of each column, and how many rows that is.
fn report(kind: &Kind) -> (String, usize) {
    let mut rows: Vec<Vec<String>> = vec![names(kind)];
    for (position, column) in kind.columns.iter().enumerate() {
        for value in column.tried() {
            let mut row = usual(kind, rows.len());
            row[position] = value;
            rows.push(row);
        }
    }
    // All that makes an index entry of a tag's place long, in one row.
    let [_, _, key] = keys();
    let mut row = usual(kind, rows.len());
    for (cell, column) in row.iter_mut().zip(&kind.columns) {
        match column.name.as_str() {
            "namespace" | "node" | "resource_id" => *cell = noise(253, 4),
            name if name.ends_with("_labels") => {
                *cell = format!("label_{key}:{}", noise(128, 4));
            }
            _ => {}
        }
    }
    rows.push(row);
    let mut text = String::new();
    for row in &rows {
        let cells: Vec<String> = row
            .iter()
            .map(|cell| format!("\"{}\"", cell.replace('"', "\"\"")))
            .collect();
        text += &(cells.join(",") + "\n");
    }
    (text, rows.len() - 1)
}

fn names(kind: &Kind) -> Vec<String> {
    kind.columns
        .iter()
        .map(|column| column.name.clone())
        .collect()
}

fn usual(kind: &Kind, row: usize) -> Vec<String> {
    kind.columns
        .iter()
        .map(|column| column.usual(row))
        .collect()
}

#[test]
fn no_value_of_any_column_keeps_the_others_from_being_published() {
    let patient =
        "[limits]\nrejected-rows = \"100 %\"\nmemory = \"512 MiB\"\ntime-per-batch = \"60 s\"";
    let scene = Scene::with_pipeline(patient);
    let keys = keys()
        .map(|key| format!("('{key}', true, 'OCP')"))
        .join(", ");
    scene.database.execute(&format!(
        "INSERT INTO reporting_enabledtagkeys (key, enabled, provider_type) VALUES {keys}
        ON CONFLICT (key, provider_type) DO UPDATE SET enabled = true"
    ));
    let mut payload = Payload::numbered(2).manifest("date", "2026-01-12T00:00:00Z");
    let mut rows = 0;
    for kind in kinds() {
        let (text, tried) = report(&kind);
        payload = payload.file(&format!("{}.csv", kind.name), &text);
        rows += tried;
    }
    let ended = scene.load(&payload.tarball());
    assert_eq!(ended.code, Some(0), "{ended}");

    let staged: usize = "pod storage node_labels namespace_labels vm gpu"
        .split(' ')
        .map(|table| {
            let count = format!(
                "SELECT count(*)
                FROM reporting_ocpusagelineitem_{table}_staging
                JOIN gristmill_generation ON id = generation AND run_id = 2"
            );
            scene
                .database
                .query_value(&count)
                .expect("a number")
                .parse::<usize>()
                .expect("a number")
        })
        .sum();
    let quarantined = scene.database.query_rows(
        "SELECT file, coalesce(line, 0), column_name, code, message FROM gristmill_quarantine ORDER BY file, line",
    );
    assert_eq!(staged + quarantined.len(), rows, "a row is missing");
    assert!(
        staged > rows / 2 && quarantined.len() > 200,
        "{staged} of {rows}"
    );
    for row in &quarantined {
        assert!(row[2].is_some(), "no column is named: {row:?}");
    }
    // A value that the table holds is no reason to refuse its row.
    let summaries =
        "SELECT count(*), count(mig_slice_count), max(mig_slice_count), max(gpu_max_slices)
        FROM reporting_ocp_gpu_summary_p";
    let summaries = scene.database.query_rows(summaries);
    assert_eq!(
        summaries[0][2].as_deref(),
        Some("999999999"),
        "{summaries:?}"
    );
    assert_eq!(
        summaries[0][3].as_deref(),
        Some("2147483647"),
        "{summaries:?}"
    );

    gristmill(["summarize", "--source", CLUSTER, "--from", DAY])
        .database(&scene.database)
        .succeeds();
}

/// A hundred rows of cards, and one more with such slices and such a profile.
fn cards(slices: &str, profile: &str) -> Payload {
    let kind = kinds().into_iter().find(|kind| kind.name == "gpu-usage");
    let kind = kind.expect("a kind of report");
    let mut text = names(&kind).join(",") + "\n";
    for card in 0..=100 {
        let mut row = usual(&kind, card);
        for (cell, column) in row.iter_mut().zip(&kind.columns) {
            match (column.name.as_str(), card) {
                ("gpu_uuid", _) => *cell = format!("card-{card}"),
                ("gpu_max_slices", 100) => *cell = slices.into(),
                ("mig_profile", 100) => *cell = profile.into(),
                _ => {}
            }
        }
        text += &(row.join(",") + "\n");
    }
    Payload::usual(1).file("cards.csv", &text)
}

#[test]
fn a_card_with_more_slices_than_a_number_holds_costs_its_row_alone() {
    for (slices, shown) in [
        ("2147483648", "2147483648"),
        ("-3e9", "-3000000000"),
        ("9.2e12", "9200000000000"),
    ] {
        let site = Site::new();
        let payloads = site.write(&[cards(slices, "")]);
        site.run(&payloads).succeeds();
        let quarantined = site
            .database
            .query_rows("SELECT file, line, column_name, code, message FROM gristmill_quarantine");
        let message = format!(
            "{shown} does not fit `gpu_max_slices_e6`, which holds -2147483648 to 2147483647"
        );
        let expected = [
            "cards.csv",
            "102",
            "gpu_max_slices",
            "out-of-range",
            &message,
        ];
        assert_eq!(quarantined, [expected.map(|cell| Some(cell.to_string()))]);
        let published = "SELECT count(*) FROM reporting_ocp_gpu_summary_p";
        assert_eq!(site.database.query_value(published).as_deref(), Some("100"));
    }
}

#[test]
fn a_profile_that_says_no_sizes_leaves_them_unknown() {
    for (profile, expected) in [
        ("7g.40gb", ["7g.40gb", "7", "42.94967296"]),
        ("2147483648g.5gb", ["2147483648g.5gb", "null", "null"]),
        ("1g.99999999999gb", ["1g.99999999999gb", "null", "null"]),
        ("1g.3000000gb", ["1g.3000000gb", "1", "3221225.472"]),
        ("1g.5gb+me", ["1g.5gb+me", "null", "null"]),
    ] {
        let site = Site::new();
        let payloads = site.write(&[cards("7", profile)]);
        site.run(&payloads).succeeds();
        check_quarantine(&site.database, &[]);
        let found = site.database.query_rows(
            "SELECT mig_profile, coalesce(mig_slice_count::text, 'null'),
                coalesce(trim_scale(mig_memory_capacity_gb)::text, 'null')
            FROM reporting_ocp_gpu_summary_p
            WHERE gpu_uuid = 'card-100'",
        );
        assert_eq!(found, [expected.map(|cell| Some(cell.to_string()))]);
    }
}

#[test]
fn a_name_that_the_tables_cannot_hold_is_refused_where_it_is_said() {
    let database = TestDatabase::migrated();
    let long = |characters: usize| "é".repeat(characters);
    let shown = long(80);
    let sources = |arguments: &[&str], code: i32| {
        gristmill(["sources"])
            .arguments(arguments)
            .database(&database)
            .ends_with(code)
    };
    sources(
        &["add", "--cluster-id", &long(50), "--alias", &long(256)],
        0,
    );
    sources(&["add", "--cluster-id", CLUSTER, "--alias", "a"], 0);
    let alias = format!(
        "error: `--alias` is `{shown}…` of 257 characters, not one line of 1 to 256 characters"
    );
    sources(&["add", "--cluster-id", "other", "--alias", &long(257)], 2).stderr_is(&alias);
    sources(
        &["rename", "--cluster-id", CLUSTER, "--alias", &long(257)],
        2,
    )
    .stderr_is(&alias);
    sources(&["rename", "--cluster-id", CLUSTER, "--alias", ""], 2)
        .stderr_is("error: `--alias` is ``, not one line of 1 to 256 characters");
    sources(
        &["rename", "--cluster-id", CLUSTER, "--alias", "two\nlines"],
        2,
    )
    .stderr_is("error: `--alias` is `two\\nlines`, not one line of 1 to 256 characters");
    let id = format!(
        "error: `--cluster-id` is `{}`, not a plain name of at most 50 characters\n\n\
        hint: the payloads of a cluster say its id as `cluster_id` of their manifest",
        long(51)
    );
    sources(&["add", "--cluster-id", &long(51)], 2).stderr_is(&id);

    let folder = tempfile::tempdir().expect("a folder");
    let report = write(folder.path(), "pods.csv", b"node\n");
    run(&database, "pipelines/ocp.toml", &[report])
        .arguments(["--cluster-id", &long(51)])
        .ends_with(2)
        .stderr_is(&id);
    let payload = Payload::usual(1).manifest("cluster_id", long(51));
    run(&database, "pipelines/ocp.toml", &[payload.write(folder.path(), "p.tar.gz")])
        .calling(folder.path(), "[FOLDER]")
        .ends_with(1)
        .stderr_is(&format!(
            "error: payload `[FOLDER]/p.tar.gz` is refused\n  \
            its manifest is wrong: `cluster_id` is `{}`, not a plain name of at most 50 characters\n\n\
            hint: nothing of it was loaded; ask the operator of the cluster for a new upload",
            long(51)
        ));

    // As long as there can be, they are in every row that is made.
    sources(
        &["rename", "--cluster-id", CLUSTER, "--alias", &long(256)],
        0,
    );
    let payload = Payload::usual(2).write(folder.path(), "p.tar.gz");
    run(&database, "pipelines/ocp.toml", &[payload]).succeeds();
    for called in [
        "register_source(gen_random_uuid(), 'x', repeat('x', 257))",
        "rename_source(source_uuid, repeat('x', 257))",
    ] {
        let refused = database.query_value(&format!(
            "CREATE FUNCTION pg_temp.refused() RETURNS text LANGUAGE plpgsql AS $$
            BEGIN
                PERFORM {called} FROM gristmill_source;
                RETURN 'taken';
            EXCEPTION WHEN string_data_right_truncation THEN
                RETURN SQLERRM;
            END $$;
            SELECT pg_temp.refused()"
        ));
        assert_eq!(
            refused.as_deref(),
            Some("an alias has 257 characters, expected 1 to 256")
        );
    }
}

#[test]
fn a_tag_key_that_no_index_can_hold_is_refused() {
    let database = TestDatabase::migrated();
    let tags = |key: &str, code: i32| {
        gristmill(["tags", "enable", key])
            .database(&database)
            .ends_with(code)
    };
    tags(&noise(160, 4), 0);
    tags(&noise(161, 4), 2)
        .stderr_is("error: a tag key has at most 640 bytes, and this one has 644");
    // One that a payload shows is passed over.
    let folder = tempfile::tempdir().expect("a folder");
    let labels = format!("label_{}:x|label_app:y", noise(161, 4));
    let report = crate::support::payload::Report::pods().row(0, &[("pod_labels", &labels)]);
    let payload = Payload::numbered(1)
        .file("pods.csv", report.text())
        .write(folder.path(), "p.tar.gz");
    run(&database, "pipelines/ocp.toml", &[payload]).succeeds();
    let keys = database.query_value("SELECT count(*) FILTER (WHERE key = 'app') || ' of ' || count(*) FROM reporting_enabledtagkeys");
    assert_eq!(keys.as_deref(), Some("1 of 2"));
}

#[test]
fn a_category_that_ends_in_a_backslash_matches_what_does_so() {
    let database = TestDatabase::migrated();
    let found = database.query_rows(
        r"INSERT INTO reporting_ocp_cost_category (name, description, source_type, system_default, label)
        VALUES ('mine', '', 'OCP', false, '{}');
        INSERT INTO reporting_ocp_cost_category_namespace (namespace, system_default, cost_category_id)
        SELECT pattern, false, id
        FROM reporting_ocp_cost_category
        CROSS JOIN unnest(ARRAY['a\', 'b\\', 'c\%\\\']) AS patterns (pattern)
        WHERE name = 'mine';
        SELECT namespace, cost_category_of(namespace) IS NOT NULL
        FROM unnest(ARRAY['a', 'a\', 'b\', 'b\\', 'c%\\', 'cc\\']) AS namespaces (namespace)",
    );
    let matching: Vec<&str> = found
        .iter()
        .filter(|row| row[1].as_deref() == Some("t"))
        .filter_map(|row| row[0].as_deref())
        .collect();
    assert_eq!(matching, [r"a\", r"b\", r"c%\\"]);
    assert_eq!(found.len(), 6);
}
