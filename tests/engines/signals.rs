//! Commands that a signal ends while Trino is at work for them: against a stand-in.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use super::stand_in::StandIn;
use crate::local_server::wait_until;
use crate::support::command::{Ended, Gristmill, gristmill};
use crate::support::engine;
use crate::support::payload::{CLUSTER, DAY, Payload, Report};
use crate::support::server::scratch;
use crate::support::site::Site;

/// A Trino whose statements never end, and a pipeline that folds by it.
struct AtWork {
    stand_in: StandIn,
    pipeline: PathBuf,
}

impl AtWork {
    /// `name` is for its files.
    fn new(name: &str) -> AtWork {
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
        let lake = scratch().join(format!("signals-{name}"));
        fs::create_dir_all(&lake).expect("a folder");
        let text = format!(
            "[summarize]\nengine = \"trino\"\n\n[lake]\nlocation = \"file://{}\"\n\n\
            [trino]\nurl = \"http://127.0.0.1:{}\"\ncatalog = \"lake\"\n",
            lake.display(),
            stand_in.port
        );
        AtWork {
            stand_in,
            pipeline: engine::with("pipelines/ocp.toml", &format!("signals-{name}"), &text),
        }
    }

    /// Sends the command signals once Trino is at work for it; the last one ends it.
    #[track_caller]
    fn ends(&self, command: Gristmill, signals: &[Signal]) -> Ended {
        let running = command.begins();
        wait_until("a statement is at work", || {
            let asked = self.stand_in.asked();
            asked.iter().any(|asked| asked.path.ends_with("/q/1"))
        });
        for signal in signals {
            assert!(!self.has_cancelled(), "before the last signal");
            running.signal(*signal);
            // Two of one kind that come at once are one.
            thread::sleep(Duration::from_millis(200));
        }
        let ended = running.ends();
        assert!(self.has_cancelled(), "{ended}");
        ended
    }

    fn has_cancelled(&self) -> bool {
        let asked = self.stand_in.asked();
        asked
            .iter()
            .any(|asked| asked.method == "DELETE" && asked.path == "/v1/statement/queued/q/1")
    }
}

#[test]
fn check_cancels_the_statement_at_a_signal() {
    let trino = AtWork::new("check");
    let check = gristmill(["check", "--connect"])
        .argument(&trino.pipeline)
        .with_stages();
    let ended = trino.ends(check, &[Signal::INT]);
    assert_eq!(ended.code, Some(130), "{ended}");
}

#[test]
fn run_clean_and_both_replays_cancel_the_statement_at_a_signal() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let trino = AtWork::new(&format!("run-{code}"));
        let site = Site::new();
        let payloads = site.write(&[Payload::usual(1)]);
        let ended = trino.ends(site.run_by(&trino.pipeline, &payloads), &[signal]);
        assert_eq!(ended.code, Some(code), "{ended}");

        // The same lake, with what the run left there on record.
        let trino = AtWork::new(&format!("run-{code}"));
        site.server_has_noticed();
        let clean = site
            .command(&["clean", "--pipeline"])
            .argument(&trino.pipeline);
        let ended = trino.ends(clean, &[signal]);
        assert_eq!(ended.code, Some(code), "{ended}");

        let trino = AtWork::new(&format!("replay-{code}"));
        let site = Site::new();
        site.run(&site.write(&[Payload::usual(1)])).succeeds();
        let replay = site
            .command(&["replay", "--source", CLUSTER, "--from", DAY])
            .argument(&trino.pipeline)
            .with_stages();
        let ended = trino.ends(replay, &[signal]);
        assert_eq!(ended.code, Some(code), "{ended}");

        let trino = AtWork::new(&format!("quarantine-{code}"));
        let site = Site::new();
        let pods = Report::pods().hours(0..24);
        let pods = pods.row(0, &[("pod_usage_cpu_core_seconds", "many")]);
        let payload = Payload::numbered(1).file("pod-usage.csv", pods.text());
        site.run(&site.write(&[payload])).succeeds();
        let replay = site
            .command(&["quarantine", "replay"])
            .argument(&trino.pipeline)
            .with_stages();
        let ended = trino.ends(replay, &[signal]);
        assert_eq!(ended.code, Some(code), "{ended}");
    }
}

#[test]
fn watch_cancels_the_statement_when_it_ends_at_once() {
    let trino = AtWork::new("watch");
    let site = Site::new();
    let inbox = site.folder().join("inbox");
    fs::create_dir(&inbox).expect("a folder");
    Payload::usual(1).write(&inbox, "payload.tar.gz");
    let ended = trino.ends(watch(&site, &trino.pipeline, &inbox), &[Signal::TERM; 2]);
    assert_eq!(ended.code, Some(143), "{ended}");
    assert!(
        ended.stderr.contains("stopping after the payload"),
        "{ended}"
    );
    assert!(ended.stderr.contains("ended at once"), "{ended}");
}

fn watch(site: &Site, pipeline: &Path, inbox: &Path) -> Gristmill {
    site.command(&["watch", "--poll-milliseconds", "20"])
        .argument(pipeline)
        .argument(inbox)
        .with_stages()
}
