//! `docs/writing-a-stage.md` as it stands: its commands run in order, and say what it
//! says that they do.

use crate::support::page::Page;
use crate::support::walk::{Reader, fits};

#[test]
fn every_command_works_and_says_what_the_page_says() {
    let mut reader = Reader::beside();
    let run = reader.follows(&Page::read("docs/writing-a-stage.md"));
    assert!(run > 10, "the page has {run} commands");
    let runs = reader
        .database
        .query_value("SELECT count(*) FROM night.gristmill_run");
    assert_eq!(runs.as_deref(), Some("1"));
}

#[test]
fn a_page_that_is_wrong_is_noticed() {
    assert!(fits("built in … s", "built in 1.5 s"));
    assert!(!fits("built in … s", "built in 1.5 ms"));
    assert!(!fits("built", "built more"));
    assert!(fits("…published…", "a published b"));
}
