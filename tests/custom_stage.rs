//! A stage that gristmill has never seen: built outside of the workspace, named
//! in a site's own file, at work without a new gristmill.

use std::fs;
use std::path::Path;

use crate::support::command::{file, run};
use crate::support::component;
use crate::support::payload::{Payload, Report};
use crate::support::server::TestDatabase;

/// The whole stage.
const STAGE: &str = r#"
use gristmill_stage::{
    Batch, ColumnType, Contract, Failure, Float64Builder, OpenTransform, Output, Stage,
    export_stage,
};
use serde::Deserialize;

const USAGE: &str = "pod_usage_cpu_core_seconds";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Discount {
    factor: f64,
}

impl Stage for Discount {
    type Config = Self;

    fn open(config: Self, context: OpenTransform) -> Result<Self, Failure> {
        context.schema.require(USAGE, ColumnType::Float64)?;
        Ok(config)
    }

    fn contract(&self) -> Contract {
        Contract::keeps().reads(USAGE, ColumnType::Float64).writes(USAGE, ColumnType::Float64)
    }

    fn process(&mut self, batch: Batch) -> Result<Output, Failure> {
        let mut discounted = Float64Builder::with_capacity(batch.rows());
        for usage in batch.float64(0).iter() {
            discounted.push_option(usage.map(|usage| usage * self.factor));
        }
        Ok(Output::keeps(batch.rows(), vec![discounted.finish()]))
    }
}

export_stage!(Discount);
"#;

/// A site's file: the stage, and the chain that it joins.
fn site(base: &Path) -> String {
    format!(
        r#"extends = "{}"

[stages.discount]
component = "discount.wasm"
config = {{ factor = 0.25 }}

[reports.pod-usage]
stages = ["csv-parse", "discount", "effective-usage", "label-filter", "unit-conversion"]
"#,
        base.display()
    )
}

#[test]
fn a_stage_of_a_site_changes_the_summary() {
    let folder = tempfile::tempdir().expect("a folder");
    let crate_folder = folder.path().join("discount");
    fs::create_dir_all(crate_folder.join("src")).expect("a folder");
    fs::write(crate_folder.join("src/lib.rs"), STAGE).expect("a source file");
    component::manifest("discount", &crate_folder);
    component::build("discount", &crate_folder, folder.path());
    let pipeline = folder.path().join("site.toml");
    fs::write(&pipeline, site(&file("pipelines/ocp.toml"))).expect("a pipeline");

    let payload = Payload::numbered(1)
        .file("pods.csv", Report::pods().hours(0..4).text())
        .write(folder.path(), "payload.tar.gz");
    for (pipeline, expected) in [
        (file("pipelines/ocp.toml"), ["2", "2"]),
        (pipeline, ["0.5", "0.5"]),
    ] {
        let database = TestDatabase::migrated();
        run(&database, &pipeline, std::slice::from_ref(&payload)).succeeds();
        let sums = database.query_rows(
            "SELECT
                trim_scale(sum(pod_usage_cpu_core_hours)),
                trim_scale(sum(pod_effective_usage_cpu_core_hours))
            FROM reporting_ocpusagelineitem_daily_summary
            WHERE namespace = 'app'",
        );
        assert_eq!(sums, [expected.map(|sum| Some(sum.to_string()))]);
    }
}
