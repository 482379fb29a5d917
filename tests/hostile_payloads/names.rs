//! Names that mean something to SQL, a shell, a terminal, a format string or a
//! spreadsheet. They are stored as they came and do nothing.

use super::{Case, good, pods, published, quarantined, refused, survives, upload};
use crate::support::command::run;
use crate::support::payload::{Payload, Report};
use crate::support::scene::Scene;

/// Each is a namespace, a node, a pod, a claim, a volume, a storage class and the
/// value of a label.
const NAMES: [&str; 22] = [
    "'; DROP TABLE reporting_ocpusagelineitem_daily_summary; --",
    "\"; DROP SCHEMA gristmill CASCADE; --",
    "$$; SELECT pg_sleep(99); $$",
    "E'\\x41' || chr(0)",
    "%s%n%d {0} {name} ${HOME}",
    "$(touch /tmp/x) `id` ; reboot & | > <",
    "../../../../etc/passwd",
    "\\.",
    "\\N",
    "null",
    "NaN",
    "=HYPERLINK(\"http://x\")",
    "<script>alert(1)</script>&amp;",
    "{\"a\": [1, 2]}",
    "\u{1b}[2J\u{1b}]0;owned\u{7}",
    "a\tb\rc\u{8}\u{7f}",
    "\u{202e}gnp.exe",
    "ç🦀e\u{301}",
    "\\ud800\\u0000",
    "  blank around  ",
    "\u{feff}mark",
    "line\nend",
];

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Everywhere where a name may stand, and in one payload.
fn everywhere() -> Payload {
    let mut pods = good();
    let mut volumes = Report::volumes();
    for (hour, name) in (0..).zip(NAMES) {
        let name = &quoted(name);
        // A colon or a bar ends a label.
        let label = quoted(&format!(
            "label_vm_kubevirt_io_name:{}",
            NAMES[hour as usize].replace([':', '|'], "")
        ));
        pods = pods.row(
            hour,
            &[
                ("namespace", name),
                ("node", name),
                ("pod", name),
                ("resource_id", name),
                ("node_role", name),
                ("pod_labels", &label),
            ],
        );
        volumes = volumes.row(
            hour,
            &[
                ("namespace", name),
                ("node", name),
                ("pod", name),
                ("persistentvolumeclaim", name),
                ("persistentvolume", name),
                ("storageclass", name),
                ("csi_driver", name),
                ("csi_volume_handle", name),
                ("persistentvolumeclaim_labels", &label),
            ],
        );
    }
    upload(2)
        .file("pods.csv", pods.text())
        .file("volumes.csv", volumes.text())
}

#[test]
fn names_are_stored_as_they_came() {
    let scene = Scene::new();
    let folder = tempfile::tempdir().expect("a folder");
    let payload = everywhere().write(folder.path(), "names.tar.gz");
    let ended = run(&scene.database, "pipelines/ocp.toml", &[payload])
        .argument("--show-summary")
        .succeeds();
    let escapes = |character: char| character.is_control() && character != '\n';
    assert!(!ended.stdout.contains(escapes), "{:?}", ended.stdout);
    assert!(!ended.stderr.contains(escapes), "{:?}", ended.stderr);

    let mut expected: Vec<&str> = NAMES.to_vec();
    expected.sort_unstable();
    for (column, table, filter) in [
        ("namespace", "daily_summary", "data_source = 'Pod'"),
        ("node", "daily_summary", "data_source = 'Pod'"),
        ("resource_id", "daily_summary", "data_source = 'Pod'"),
        (
            "persistentvolumeclaim",
            "daily_summary",
            "data_source = 'Storage'",
        ),
        (
            "persistentvolume",
            "daily_summary",
            "data_source = 'Storage'",
        ),
        ("storageclass", "daily_summary", "data_source = 'Storage'"),
        ("pod", "pod_staging", "true"),
        ("node_role", "pod_staging", "true"),
        ("csi_volume_handle", "storage_staging", "true"),
    ] {
        let found = scene.database.query_rows(&format!(
            "SELECT DISTINCT {column}
            FROM reporting_ocpusagelineitem_{table}
            WHERE {filter}"
        ));
        let mut found: Vec<String> = found.into_iter().flatten().flatten().collect();
        found.retain(|name| expected.contains(&name.as_str()));
        found.sort_unstable();
        assert_eq!(found, expected, "{column} of {table}");
    }
    let labels = scene.database.query_rows(
        "SELECT DISTINCT pod_labels ->> 'vm_kubevirt_io_name'
        FROM reporting_ocpusagelineitem_daily_summary
        WHERE pod_labels ? 'vm_kubevirt_io_name'",
    );
    assert_eq!(labels.len(), NAMES.len());
    survives(&scene, Vec::new());
}

/// The same names as report files of one payload.
#[test]
fn files_are_called_what_they_like() {
    let scene = Scene::new();
    let flat = NAMES.iter().filter(|name| {
        !name.contains(|character: char| character.is_control() || matches!(character, '/' | '\\'))
    });
    let named = flat.fold(upload(2), |payload, name| {
        payload.file(
            name,
            Report::pods().row(0, &[("pod", &quoted(name))]).text(),
        )
    });
    let expected = named.files().len();
    survives(&scene, vec![published("all of them", named.tarball())]);
    let files = scene.database.query_rows(
        "SELECT report_name
        FROM reporting_common_costusagereportstatus
        WHERE report_name NOT LIKE 'pods.csv'",
    );
    assert_eq!(files.len(), expected);
}

/// A name without a bound meets the bound of its column, or of an index.
#[test]
fn names_that_are_too_long_are_quarantined() {
    let long = "n".repeat(254);
    let crabs = "🦀".repeat(253);
    // Not compressible, so that an index cannot make it small.
    let noise: String = (0..4_000u32)
        .map(|place| char::from(b'a' + (place.wrapping_mul(2_654_435_761) >> 27) as u8 % 26))
        .collect();
    let label = format!("label_vm_kubevirt_io_name:{noise}");
    let row = |number: u32, cells: &[(&str, &str)]| pods(number, good().row(0, cells).text());
    survives(
        &Scene::new(),
        vec![
            quarantined(
                "namespace",
                row(2, &[("namespace", &long)]),
                &["202 load namespace too-long"],
            ),
            quarantined(
                "node",
                row(3, &[("node", &long)]),
                &["202 load node too-long"],
            ),
            quarantined(
                "machine",
                row(4, &[("resource_id", &long)]),
                &["202 load resource_id too-long"],
            ),
            published("pod, which has no bound", row(5, &[("pod", &noise)])),
            published("role, which has no bound", row(6, &[("node_role", &noise)])),
            quarantined(
                "value of a tag",
                row(7, &[("pod_labels", &label)]),
                &["202 load pod_labels too-long"],
            ),
            published(
                "as many bytes as fit",
                row(
                    8,
                    &[
                        ("namespace", &crabs),
                        ("node", &crabs),
                        ("resource_id", &crabs),
                    ],
                ),
            ),
            published("claims of as many bytes", {
                let cells = [
                    "namespace",
                    "node",
                    "persistentvolumeclaim",
                    "persistentvolume",
                    "storageclass",
                ]
                .map(|column| (column, crabs.as_str()));
                upload(9)
                    .file("pods.csv", Report::pods().hours(0..6).text())
                    .file("volumes.csv", Report::volumes().row(0, &cells).text())
                    .tarball()
            }),
        ],
    );
}

#[test]
fn label_sets_of_any_shape_are_read_or_quarantined() {
    let row = |name: &'static str, number: u32, labels: &str| {
        let report = good().row(0, &[("pod_labels", &quoted(labels))]);
        published(name, pods(number, report.text()))
    };
    let pairs: String = (0..10_000)
        .map(|key| format!("label_k{key}:v{key}|"))
        .collect();
    let key = format!("label_{}:v", "k".repeat(600));
    let cases: Vec<Case> = vec![
        row("ten thousand pairs", 2, &pairs),
        row("key of 600", 3, &key),
        row("empty key", 4, "label_:v|:w|label_:"),
        row("flood of bars", 5, &"|".repeat(500_000)),
        row("flood of colons", 6, &":".repeat(500_000)),
        row("flood of prefixes", 7, &"label_".repeat(80_000)),
        row("JSON", 8, "{\"vm_kubevirt_io_name\":\"x\"}"),
        row(
            "escapes of half characters",
            9,
            "label_vm_kubevirt_io_name:\\ud800\\u0000",
        ),
        row(
            "quotes and braces",
            10,
            "label_vm_kubevirt_io_name:\"}]}',\\",
        ),
        row("not a label", 11, "nonsense"),
        quarantined(
            "NUL",
            pods(12, good().row(0, &[("pod_labels", "label_a:\0")]).text()),
            &["202 csv-parse pod_labels nul-byte"],
        ),
        refused(
            "longer than a record",
            pods(
                13,
                good()
                    .row(0, &[("pod_labels", &"x".repeat(2 << 20))])
                    .text(),
            ),
            "line 202: the record is longer than 1048576 bytes",
        ),
    ];
    survives(&Scene::new(), cases);
}
