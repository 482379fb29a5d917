//! `gristmill check --connect`, against real servers.

use std::fs;

use super::corner::Corner;
use crate::engines;
use crate::support::command::{Ended, file, gristmill};
use crate::support::server::scratch;

#[track_caller]
fn check(corner: &Corner, code: i32) -> Ended {
    let pipeline = scratch().join(format!("{}.toml", corner.name()));
    let text = format!(
        "extends = {:?}\n\n{}",
        file("pipelines/ocp.toml"),
        corner.sections()
    );
    fs::write(&pipeline, text).expect("a pipeline");
    gristmill(["check", "--connect"])
        .argument(pipeline)
        .with_stages()
        .ends_with(code)
}

#[test]
fn servers_are_asked_for_all_that_a_fold_asks() {
    let Some(engines) = engines::shared() else {
        return;
    };
    let on_files = engines.corner_on_files("");
    for corner in [Some(engines.corner()), on_files].into_iter().flatten() {
        let ended = check(&corner, 0);
        let said = &ended.stdout;
        assert!(said.contains("of iceberg, schema `corner_"), "{said}");
        assert!(
            said.contains("a row was written, folded and removed"),
            "{said}"
        );
        if engines.own.is_some() {
            assert_eq!(corner.litter(), [] as [String; 0]);
        }
    }
}

#[test]
fn servers_that_cannot_do_it_say_why() {
    let Some(engines) = engines::shared() else {
        return;
    };
    let mut corner = engines.corner();
    corner.trino.catalog = "no_such_catalog".into();
    let said = check(&corner, 3).stderr;
    assert!(
        said.contains("the servers of the pipeline cannot fold"),
        "{said}"
    );
    assert!(
        said.contains("Trino has no catalog `no_such_catalog`"),
        "{said}"
    );
    assert!(said.contains("hint: `catalog` in `[trino]`"), "{said}");

    // Without servers there is nobody to ask.
    gristmill(["check", "--connect", "pipelines/ocp.toml"])
        .with_stages()
        .ends_with(2);
}
