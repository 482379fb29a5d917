//! `gristmill check --connect`, against real servers.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::corner::Corner;
use super::stand_in::StandIn;
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

#[test]
fn a_signal_ends_the_command_and_cancels_the_statement() {
    // It is always at work.
    let stand_in = StandIn::new(|request| {
        let at_work = r#"{"id":"q","nextUri":"http://t/v1/statement/queued/q/1"}"#;
        match (request.method.as_str(), request.path.as_str()) {
            ("GET", "/v1/info") => Some((200, r#"{"nodeVersion":{"version":"9"}}"#.to_owned())),
            ("DELETE", _) => Some((204, String::new())),
            _ => {
                thread::sleep(Duration::from_millis(50));
                Some((200, at_work.to_owned()))
            }
        }
    });
    let folder = scratch().join("check-signal");
    fs::create_dir_all(&folder).expect("a folder");
    let pipeline = folder.join("pipeline.toml");
    let text = format!(
        "extends = {:?}\n\n[lake]\nlocation = \"file://{}/lake\"\n\n\
        [trino]\nurl = \"http://127.0.0.1:{}\"\ncatalog = \"lake\"\n",
        file("pipelines/ocp.toml"),
        folder.display(),
        stand_in.port
    );
    fs::write(&pipeline, text).expect("a pipeline");
    let running = gristmill(["check", "--connect"])
        .argument(pipeline)
        .with_stages()
        .begins();
    let is_at_work = || {
        stand_in
            .asked()
            .iter()
            .any(|asked| asked.path.ends_with("/q/1"))
    };
    let begun = Instant::now();
    while !is_at_work() {
        assert!(
            begun.elapsed() < Duration::from_mins(2),
            "a statement begins"
        );
        thread::sleep(Duration::from_millis(50));
    }
    running.signal(Signal::INT);
    let ended = running.ends();
    assert_eq!(ended.code, Some(130), "{ended}");
    let asked = stand_in.asked();
    let cancelled = asked.iter().find(|asked| asked.method == "DELETE");
    let cancelled = cancelled.map(|asked| asked.path.as_str());
    assert_eq!(cancelled, Some("/v1/statement/queued/q/1"));
}
