//! The servers of engine `trino` are killed under a run: a node of Trino, or object storage,
//! at each step that leaves something with them.

use std::path::PathBuf;
use std::time::Duration;

use super::failpoints::FOLDING_BY_TRINO;
use super::{DAYS, payload};
use crate::engines::corner::Corner;
use crate::engines::{self, Own};
use crate::local_server::wait_until;
use crate::support::engine;
use crate::support::site::Site;
use crate::support::torture::{Work, figure};

/// Nothing twice until there are more than servers times steps.
const KILLS: u32 = 20;

const TIME_UNDER_TORTURE: Duration = Duration::from_mins(20);

type Kill = fn(&mut Own);

/// Object storage is there again at once, a node of Trino behind half a minute.
const SERVERS: [(&str, Kill); 4] = [
    ("object storage", |own| own.s3.kill()),
    ("Trino's worker", |own| own.trino.worker.kill()),
    ("Trino's coordinator", |own| own.trino.coordinator.kill()),
    ("object storage", |own| own.s3.kill()),
];

/// A pipeline that asks servers that do not answer again for so long.
fn pipeline(corner: &Corner, patience: &str) -> PathBuf {
    let sections = corner.sections().replace("\"20 s\"", patience);
    let name = format!("{}-{}", corner.name(), patience.len());
    let text = format!("[summarize]\nengine = \"trino\"\n{sections}");
    engine::with("pipelines/ocp.toml", &name, &text)
}

/// The program stands still while it happens, so that it is always at that step.
#[test]
fn a_server_is_killed_at_each_step() {
    let Some(mut private) = engines::private() else {
        return;
    };
    let untouched = Site::new();
    let payloads = untouched.write(&[payload(1, &DAYS, 2)]);
    let corner = private.engines.corner();
    untouched
        .run_by(&pipeline(&corner, "\"20 s\""), &payloads)
        .succeeds();
    let work = Work::new(3, KILLS, TIME_UNDER_TORTURE);
    for round in (0..).take_while(|round| work.goes_on(*round)) {
        // The numbers have no divisor in common, so that every pair has its turn.
        let (server, kill) = SERVERS[round as usize % SERVERS.len()];
        let step = FOLDING_BY_TRINO[round as usize % FOLDING_BY_TRINO.len()].name();
        let after = format!("{server} was killed at {step}");
        let site = Site::new();
        let corner = private.engines.corner();
        let own = private.engines.own.as_mut().expect("servers of ours");

        let stopped = site
            .run_by(&pipeline(&corner, "\"3 s\""), &payloads)
            .env("GRISTMILL_TEST_STOP_AT", step)
            .begins()
            .has_stopped();
        kill(own);
        let ended = stopped.goes_on();
        let summarized = "SELECT count(*) > 0 FROM reporting_ocpusagelineitem_daily_summary";
        let summarized = site.database.query_value(summarized);
        match ended.code {
            // Nothing was asked of it any more, or others did it.
            Some(0) => assert_eq!(summarized.as_deref(), Some("t"), "{after}\n{ended}"),
            Some(1 | 3) => {
                assert_eq!(summarized.as_deref(), Some("f"), "{after}\n{ended}");
                assert!(ended.stderr.contains("error: "), "{after}\n{ended}");
            }
            _ => panic!("{after}\n{ended}"),
        }
        own.s3.revive();
        own.trino.revive();

        let patient = pipeline(&corner, "\"20 s\"");
        site.run_by(&patient, &payloads).succeeds();
        site.command(&["clean", "--pipeline"])
            .argument(&patient)
            .succeeds();
        site.is_like(&untouched, &after);
        // A statement may be for a node that is gone until Trino misses it.
        wait_until("Trino answers", || corner.open_trino().tables().is_ok());
        assert_eq!(corner.litter(), Vec::<String>::new(), "left after {after}");
        figure("servers of engine trino killed", 1);
    }
}
