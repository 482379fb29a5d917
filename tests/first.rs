//! The test that `docs/your-first-test.md` writes, step by step.

use crate::support::command::run;
use crate::support::payload::{Payload, Report};
use crate::support::server::TestDatabase;

#[test]
fn a_pod_is_charged_for_the_smaller_of_usage_and_request() {
    // The pod requests a core. It uses two in the first hour and half of one in the second.
    let report = Report::pods()
        .row(0, &[("pod_usage_cpu_core_seconds", "7200")])
        .row(1, &[("pod_usage_cpu_core_seconds", "1800")]);
    let payload = Payload::numbered(1).file("pods.csv", report.text());

    let folder = tempfile::tempdir().expect("a folder");
    let path = payload.write(folder.path(), "payload.tar.gz");
    let database = TestDatabase::migrated();
    run(&database, "pipelines/ocp.toml", &[path]).succeeds();

    let charged = database.query_value(
        "SELECT trim_scale(sum(pod_effective_usage_cpu_core_hours))
        FROM reporting_ocpusagelineitem_daily_summary
        WHERE namespace = 'app'",
    );
    assert_eq!(charged.as_deref(), Some("1.5"));
}
