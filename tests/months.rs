//! Reports that go over the end of a month.

use crate::support::payload::{Payload, Report};
use crate::support::scene::Scene;

/// Rows of some 250 bytes: more than the smallest chunk has in one month.
const ROWS_OF_A_MONTH: u32 = 400;

#[test]
fn a_month_that_begins_in_the_middle_of_a_report_finds_its_partition() {
    let scene = Scene::with_pipeline("limits.chunk = \"64 KiB\"\n");
    let rows = |report: Report, day: &str| {
        (0..ROWS_OF_A_MONTH).fold(report, |report, row| {
            let start = format!("{day} 05:00:00 +0000 UTC");
            let pod = format!("pod-{row}");
            report.row(
                5,
                &[
                    ("interval_start", &start),
                    ("pod", &pod),
                    ("pod_usage_cpu_core_seconds", "3600"),
                ],
            )
        })
    };
    // Neither month has a partition, and the second is met in a later chunk.
    let report = rows(rows(Report::pods(), "2026-05-31"), "2026-06-01");
    let payload = Payload::numbered(7).file("pods.csv", report.text());
    let ended = scene.load(&payload.tarball());
    assert_eq!(ended.code, Some(0), "{ended}");
    let usage = scene.database.query_rows(
        "SELECT usage_start, trim_scale(pod_usage_cpu_core_hours)
        FROM reporting_ocpusagelineitem_daily_summary
        WHERE namespace = 'app' AND usage_start > '2026-05-01'
        ORDER BY usage_start",
    );
    let row = |day: &str| vec![Some(day.to_string()), Some("400".to_string())];
    assert_eq!(usage, [row("2026-05-31"), row("2026-06-01")]);
}
