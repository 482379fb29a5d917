//! README and the pages of the book as their readers follow them: every command of a
//! page runs, in order, and says what the page says. `writing_a_stage` has a page of
//! its own.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;

use crate::support::component;
use crate::support::page::{Page, book};
use crate::support::tools;
use crate::support::walk::{Reader, has_steps};

/// Follows a page of at least so many commands.
#[track_caller]
fn follow(path: &str, mut reader: Reader, commands_min: usize) -> Reader {
    let commands = reader.follows(&Page::read(path));
    assert!(commands >= commands_min, "{path} has {commands} commands");
    reader
}

/// The site with a stage in Python has been built.
#[test]
fn readme() {
    let reader = Reader::within();
    let built = tools::example("floor", "floor-usage");
    symlink(built, reader.folder().join("pipelines/examples/floor")).expect("a link");
    follow("README.md", reader, 3);
}

#[test]
fn pipeline_file() {
    follow("docs/pipeline-file.md", Reader::within(), 3);
}

/// Its stages break as the page needs it.
#[test]
fn sandbox_and_limits() {
    let reader = Reader::within();
    for (name, how, at) in [
        (
            "night.toml",
            "panics",
            "at = \"orders-web-b93276976-5987f\"",
        ),
        ("slow.toml", "spins", ""),
    ] {
        let text = format!(
            "extends = \"pipelines/ocp.toml\"
            [stages.night-discount]
            component = {:?}
            config = {{ how = {how:?}, {at} }}
            limits = {{ time-per-batch = \"1 s\" }}
            [limits]
            rejected-rows = \"2 %\"
            [reports.pod-usage]
            stages = [\"csv-parse\", \"night-discount\", \"effective-usage\", \"label-filter\", \"unit-conversion\"]
            ",
            component::clumsy().join("clumsy.wasm")
        );
        fs::write(reader.folder().join(name), text).expect("a pipeline");
    }
    follow("docs/sandbox-and-limits.md", reader, 2);
}

#[test]
fn the_shipped_stages() {
    follow("docs/stages.md", Reader::within(), 0);
}

#[test]
fn operating() {
    follow("docs/operating.md", Reader::within(), 5);
}

#[test]
fn payloads_and_bad_input() {
    follow("docs/payloads-and-bad-input.md", Reader::within(), 2);
}

/// A page with commands, or files to write, has a test.
#[test]
fn every_page_is_followed() {
    let followed: BTreeSet<String> = include_str!("pages.rs")
        .split("follow(\"")
        .skip(1)
        .filter_map(|rest| Some(rest.split_once('"')?.0.to_string()))
        .chain(["docs/writing-a-stage.md".to_string()])
        .collect();
    let to_follow: BTreeSet<String> = book()
        .into_iter()
        .filter(has_steps)
        .map(|page| page.path)
        .collect();
    assert_eq!(followed, to_follow);
}
