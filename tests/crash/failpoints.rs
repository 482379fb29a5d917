//! Killed behind each failpoint: every command that changes something, at each place
//! where it has changed something for good.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;

use gristmill::diagnostics::failpoint::Failpoint::{self, *};

use super::{DAYS, around_a_month, parts, payload};
use crate::engines;
use crate::support::command::Gristmill;
use crate::support::contents::{self, ALL, Compared};
use crate::support::engine;
use crate::support::payload::{CLUSTER, Payload, Report};
use crate::support::server::TestDatabase;
use crate::support::site::Site;
use crate::support::torture::{Work, figure};

/// The failpoints of a command that loads rows into staging.
const LOADING: [Failpoint; 10] = [
    RunOpened,
    SourceLocked,
    ManifestRecorded,
    FilesListed,
    GenerationOpened,
    PeriodEnsured,
    LabelSetsStored,
    CopyBegun,
    CopySent,
    CopyEnding,
];

/// Those that it passes besides when the rows are of a month that has no partition.
const OPENING_MONTHS: [Failpoint; 1] = [MonthEnsured];

/// Those that it passes besides when pods are among them.
const NAMING: [Failpoint; 1] = [NamesStored];

/// Those that `run` passes besides when it is the first that archives something.
const OWNING: [Failpoint; 2] = [OwnerRenewed, ArchiveOwned];

/// Those that `run` passes besides when it archives a payload.
const ARCHIVING: [Failpoint; 5] = [
    ArchiveBegun,
    ArchiveWritten,
    ArchiveNamed,
    ArchivePlaced,
    ArchiveRecorded,
];

/// Those that it passes when the payload is not archived in the end.
const DISCARDING: [Failpoint; 3] = [ArchiveBegun, ArchiveWritten, ArchiveDiscarded];

/// Those that `run` passes besides when it publishes.
const PUBLISHING: [Failpoint; 7] = [
    CopyHeld,
    CopyEnded,
    GenerationRecorded,
    DaysClaimed,
    DaysSummarized,
    ManifestCompleted,
    PublishCommitted,
];

const WAITING: [Failpoint; 4] = [CopyHeld, CopyEnded, GenerationRecorded, PublishCommitted];

const REPLAYING: [Failpoint; 6] = [
    CopyHeld,
    CopyEnded,
    GenerationRecorded,
    DaysReplaced,
    DaysSummarized,
    PublishCommitted,
];

const REFUSING: [Failpoint; 8] = [
    CopyHeld,
    CopyEnded,
    RejectsWritten,
    RejectsKept,
    FilesFailed,
    GenerationMarked,
    GenerationForgotten,
    RunClosed,
];

/// Those that `run` passes besides when Trino folds, each for pods and for volumes.
pub(super) const FOLDING_BY_TRINO: [Failpoint; 7] = [
    LakeRecorded,
    LakeFilesWritten,
    TrinoTableMade,
    TrinoFolded,
    TrinoTableDropped,
    LakeFilesRemoved,
    LakeForgotten,
];

/// Those that `run` passes besides when an earlier upload is reused.
const REUSING: [Failpoint; 1] = [GenerationsReused];

/// Those that it passes besides when it turns out that one is not reused.
const BEGINNING_AGAIN: [Failpoint; 2] = [GenerationMarked, GenerationForgotten];

const SUMMARIZING: [Failpoint; 2] = [DaysSummarized, PublishCommitted];

const CLEANING: [Failpoint; 7] = [
    GenerationsCleaned,
    StagedRowsRemoved,
    ArchiveForgotten,
    ArchiveRemoved,
    PartitionsDropped,
    EmptyPartitionsDropped,
    RecordsCleaned,
];

const REMOVING: [Failpoint; 2] = [RemovalRecorded, RemovalCommitted];

const ABANDONING: [Failpoint; 1] = [UploadAbandoned];

const RENAMING: [Failpoint; 3] = [SourceRenamed, DayRenamed, TagSettled];

const ADOPTING: [Failpoint; 3] = [OwnerRenewed, ArchiveOwned, ArchiveAdopted];

/// Those that `run` passes besides when all of the payload but its archived file is
/// there.
const HEALING: [Failpoint; 9] = [
    RunOpened,
    SourceLocked,
    ManifestRecorded,
    FilesListed,
    GenerationOpened,
    FilesFailed,
    GenerationMarked,
    GenerationForgotten,
    RunClosed,
];

const MIGRATING: [Failpoint; 4] = [
    SchemaCreated,
    MigrationApplied,
    FunctionsInstalled,
    MigrationsCommitted,
];

/// Those that `verify` passes besides, since it makes schemas and loads into them.
const VERIFYING: [Failpoint; 4] = [
    ScratchCreated,
    ScratchPrepared,
    ScratchLoaded,
    ScratchDropped,
];

/// At how many of the times that a command passes a failpoint it is killed, under torture.
const TIMES_OF_A_STEP: u32 = 10;

/// How long one command is tried under torture, once the first and the last time that
/// it passes each failpoint are done.
const TIME_UNDER_TORTURE: Duration = Duration::from_secs(45);

/// A command on a site.
struct Scene<'s> {
    site: Site,
    command: &'s dyn Fn(&Site) -> Gristmill,
    /// How it ends when nobody kills it.
    code: i32,
    compared: Compared,
    /// The failpoints at which it is killed; at all of them when there are none.
    killed_at: &'s [Failpoint],
    /// Looks for what is left elsewhere than on the site.
    elsewhere: &'s dyn Fn(&str),
}

impl<'s> Scene<'s> {
    fn new(site: Site, command: &'s dyn Fn(&Site) -> Gristmill) -> Scene<'s> {
        Scene {
            site,
            command,
            code: 0,
            compared: ALL,
            killed_at: &[],
            elsewhere: &|_| (),
        }
    }

    /// Kills the command behind each of its failpoints, on a copy of the site each time,
    /// and runs it again.
    #[track_caller]
    fn survives(&self, failpoints: &[&[Failpoint]]) {
        let expected = self.site.copy();
        let file = expected.folder().join("failpoints");
        (self.command)(&expected)
            .env("GRISTMILL_TEST_FAILPOINTS", &file)
            .ends_with(self.code);
        let mut passed: BTreeMap<String, u32> = BTreeMap::new();
        for failpoint in fs::read_to_string(&file).expect("failpoints").lines() {
            *passed.entry(failpoint.to_string()).or_default() += 1;
        }
        let named = failpoints
            .iter()
            .copied()
            .flatten()
            .map(|failpoint| failpoint.name());
        assert_eq!(
            passed.keys().map(String::as_str).collect::<BTreeSet<_>>(),
            named.collect(),
            "the failpoints of this command"
        );
        let killed_at: Vec<&str> = self.killed_at.iter().map(|point| point.name()).collect();
        passed
            .retain(|failpoint, _| killed_at.is_empty() || killed_at.contains(&failpoint.as_str()));
        // The first time and the last.
        for (failpoint, times) in &passed {
            for time in BTreeSet::from([1, *times]) {
                self.survives_at(failpoint, time, &expected);
            }
        }
        // Under torture those in between, of each failpoint in turn.
        let work = Work::new(0, TIMES_OF_A_STEP, TIME_UNDER_TORTURE);
        for round in 1..work.at_most() {
            for (failpoint, times) in &passed {
                let time = 1 + round * times / TIMES_OF_A_STEP;
                let before = 1 + (round - 1) * times / TIMES_OF_A_STEP;
                if time > before && time < *times && work.goes_on(round) {
                    self.survives_at(failpoint, time, &expected);
                }
            }
        }
    }

    #[track_caller]
    fn survives_at(&self, failpoint: &str, time: u32, expected: &Site) {
        let site = self.site.copy();
        let killed = (self.command)(&site)
            .env("GRISTMILL_TEST_KILL_AT", format!("{failpoint}:{time}"))
            .ends();
        match killed.code {
            None => figure("kills survived", 1),
            // How often it gets there may depend on which thread is faster.
            Some(code) if time > 1 && code == self.code => {}
            Some(_) => panic!("it was not killed at {failpoint}\n{killed}"),
        }
        site.server_has_noticed();
        (self.command)(&site).ends_with(self.code);
        let after = format!("a kill at {failpoint}:{time}");
        contents::are_same(&site.database, &expected.database, self.compared, &after);
        site.is_in_order(&after);
        (self.elsewhere)(&after);
    }
}

#[test]
fn every_step_is_one_of_a_scene() {
    let scenes: [&[Failpoint]; 20] = [
        &[SourceRegistered],
        &OWNING,
        &ARCHIVING,
        &DISCARDING,
        &ADOPTING,
        &LOADING,
        &OPENING_MONTHS,
        &NAMING,
        &PUBLISHING,
        &FOLDING_BY_TRINO,
        &REUSING,
        &REPLAYING,
        &REFUSING,
        &SUMMARIZING,
        &CLEANING,
        &REMOVING,
        &ABANDONING,
        &RENAMING,
        &MIGRATING,
        &VERIFYING,
    ];
    let named: BTreeSet<&str> = scenes
        .iter()
        .copied()
        .flatten()
        .map(|failpoint| failpoint.name())
        .collect();
    assert_eq!(
        named,
        Failpoint::ALL
            .iter()
            .map(|failpoint| failpoint.name())
            .collect()
    );
}

#[test]
fn the_first_payload_of_a_cluster() {
    let site = Site::new();
    let payloads = site.write(&[payload(1, &DAYS, 2)]);
    Scene::new(site, &|site| site.run(&payloads)).survives(&[
        &[SourceRegistered],
        &OWNING,
        &ARCHIVING,
        &LOADING,
        &OPENING_MONTHS,
        &NAMING,
        &PUBLISHING,
    ]);
}

#[test]
fn a_payload_that_trino_folds() {
    let Some(engines) = engines::shared() else {
        return;
    };
    let corner = engines.corner();
    let text = format!("[summarize]\nengine = \"trino\"\n{}", corner.sections());
    let pipeline = engine::with("pipelines/ocp.toml", corner.name(), &text);
    let site = Site::new();
    let payloads = site.write(&[payload(1, &DAYS, 2)]);
    let run = |site: &Site| site.run_by(&pipeline, &payloads);
    let mut scene = Scene::new(site, &run);
    scene.killed_at = &FOLDING_BY_TRINO;
    let nothing_is_left = |after: &str| {
        assert_eq!(corner.litter(), Vec::<String>::new(), "left after {after}");
    };
    scene.elsewhere = &nothing_is_left;
    scene.survives(&[
        &[SourceRegistered],
        &OWNING,
        &ARCHIVING,
        &LOADING,
        &OPENING_MONTHS,
        &NAMING,
        &PUBLISHING,
        &FOLDING_BY_TRINO,
    ]);
}

#[test]
fn a_payload_that_wins_a_day_of_two() {
    let site = Site::new();
    let payloads = site.write(&[payload(1, &DAYS, 2), payload(2, &DAYS[1..], 3)]);
    site.run(&payloads[..1]).succeeds();
    let payloads = &payloads[1..];
    Scene::new(site, &|site| site.run(payloads)).survives(&[
        &ARCHIVING,
        &LOADING,
        &NAMING,
        &PUBLISHING,
    ]);
}

/// The payload of the number 1 again, later and with more hours.
fn cumulative(number: u32, hours: u32) -> Payload {
    payload(1, &DAYS, hours)
        .manifest("uuid", format!("00000000-0000-4000-8000-{number:012}"))
        .manifest("date", format!("2026-02-02T00:{number:02}:00Z"))
}

#[test]
fn a_payload_that_reuses_an_earlier_one() {
    let site = Site::new();
    let payloads = site.write(&[payload(1, &DAYS, 2), cumulative(2, 3)]);
    site.run(&payloads[..1]).succeeds();
    let payloads = &payloads[1..];
    Scene::new(site, &|site| site.run(payloads)).survives(&[
        &ARCHIVING,
        &LOADING,
        &NAMING,
        &PUBLISHING,
        &REUSING,
    ]);
}

#[test]
fn a_payload_that_turns_out_to_repeat_nothing() {
    let site = Site::new();
    let payloads = site.write(&[payload(1, &DAYS, 2), payload(2, &DAYS, 3)]);
    site.run(&payloads[..1]).succeeds();
    let payloads = &payloads[1..];
    Scene::new(site, &|site| site.run(payloads)).survives(&[
        &ARCHIVING,
        &LOADING,
        &NAMING,
        &PUBLISHING,
        &BEGINNING_AGAIN,
    ]);
}

#[test]
fn a_payload_that_waits_for_its_other_part() {
    let site = Site::new();
    let payloads = site.write(&parts(1, &DAYS, 2));
    let payloads = &payloads[..1];
    Scene::new(site, &|site| site.run(payloads)).survives(&[
        &[SourceRegistered],
        &OWNING,
        &ARCHIVING,
        &LOADING,
        &OPENING_MONTHS,
        &NAMING,
        &WAITING,
    ]);
}

#[test]
fn the_last_part_of_a_payload() {
    let site = Site::new();
    let payloads = site.write(&parts(1, &DAYS, 2));
    site.run(&payloads[..1]).succeeds();
    let payloads = &payloads[1..];
    Scene::new(site, &|site| site.run(payloads)).survives(&[
        &ARCHIVING,
        &LOADING,
        &OPENING_MONTHS,
        &PUBLISHING,
    ]);
}

#[test]
fn a_payload_that_is_refused() {
    let site = Site::new();
    let bad = Report::pods().with_too_many_bad();
    let bad = Payload::numbered(2)
        .file("bad.csv", bad.hours(1..3).text())
        .file("volumes.csv", Report::volumes().hours(0..3).text());
    let payloads = site.write(&[payload(1, &DAYS, 2), bad]);
    site.run(&payloads[..1]).succeeds();
    let payloads = &payloads[1..];
    let run = |site: &Site| site.run(payloads);
    let mut scene = Scene::new(site, &run);
    scene.code = 1;
    // Each run keeps what it rejected, whether it came to an end or not.
    scene.compared.tables_left_out = &[
        "gristmill_run",
        "gristmill_row_account",
        "gristmill_run_stage",
        "gristmill_fold",
        "gristmill_quarantine",
        "gristmill_generation",
        "gristmill_archive_owner",
        "gristmill_archive_pending",
        "_sqlx_migrations",
    ];
    scene.survives(&[&DISCARDING, &LOADING, &NAMING, &REFUSING]);
}

#[test]
fn a_payload_whose_archived_file_was_lost() {
    let site = Site::new();
    let payloads = site.write(&[payload(1, &DAYS, 2)]);
    site.run(&payloads).succeeds();
    site.lose_archived_files();
    Scene::new(site, &|site| site.run(&payloads)).survives(&[&HEALING, &ARCHIVING]);
}

#[test]
fn an_archive_that_is_adopted() {
    let site = Site::new();
    site.run(&site.write(&[payload(1, &DAYS, 2)])).succeeds();
    let adopt = |site: &Site| {
        // As a copy of the database has it.
        site.database
            .execute("UPDATE gristmill_archive_owner SET database_oid = 1");
        site.command(&["archive", "adopt"])
    };
    Scene::new(site, &adopt).survives(&[&ADOPTING]);
}

#[test]
fn a_replay() {
    let site = Site::new();
    site.run(&site.write(&[payload(1, &DAYS, 2)])).succeeds();
    site.command(&["tags", "enable", "app"]).succeeds();
    let replay = |site: &Site| {
        site.command(&["replay", "pipelines/ocp.toml", "--source", CLUSTER])
            .arguments(["--from", DAYS[1]])
            .with_stages()
    };
    Scene::new(site, &replay).survives(&[&LOADING, &NAMING, &REPLAYING]);
}

#[test]
fn days_that_are_summarized_again() {
    let site = Site::new();
    site.run(&site.write(&[payload(1, &DAYS, 2)])).succeeds();
    site.database.execute(
        "INSERT INTO reporting_ocp_cost_category_namespace (namespace, system_default, cost_category_id)
        SELECT 'app%', false, id FROM reporting_ocp_cost_category",
    );
    let summarize = |site: &Site| {
        site.command(&["summarize", "--source", CLUSTER])
            .arguments(["--from", DAYS[0], "--to", DAYS[1]])
    };
    Scene::new(site, &summarize).survives(&[&SUMMARIZING]);
}

#[test]
fn what_is_past_retention() {
    let site = Site::new();
    let old = around_a_month(60);
    let old = old.each_ref().map(String::as_str);
    let payloads = [payload(1, &old, 2), payload(2, &old, 3)];
    site.run(&site.write(&payloads)).succeeds();
    let clean = |site: &Site| {
        site.command(&["clean", "--retention-days", "0"])
            .arguments(["--retention-months", "3"])
    };
    Scene::new(site, &clean).survives(&[&CLEANING]);
}

#[test]
fn days_that_are_removed() {
    let site = Site::new();
    site.command(&["tags", "enable", "app"]).succeeds();
    site.run(&site.write(&[payload(1, &DAYS, 2)])).succeeds();
    let remove = |site: &Site| {
        site.command(&["days", "remove", "--source", CLUSTER])
            .arguments(["--from", DAYS[1]])
    };
    Scene::new(site, &remove).survives(&[&REMOVING]);
}

#[test]
fn an_upload_that_is_given_up() {
    let site = Site::new();
    let [part, _] = parts(1, &DAYS, 2);
    site.run(&site.write(&[part])).succeeds();
    let abandon = |site: &Site| {
        let upload = "00000000-0000-4000-8000-000000000001";
        site.command(&["uploads", "abandon", upload])
    };
    Scene::new(site, &abandon).survives(&[&ABANDONING]);
}

#[test]
fn a_cluster_that_is_renamed() {
    let site = Site::new();
    site.command(&["tags", "enable", "app", "tier"]).succeeds();
    site.run(&site.write(&[payload(1, &DAYS, 2)])).succeeds();
    let rename = |site: &Site| {
        site.command(&["sources", "rename", "--cluster-id", CLUSTER])
            .arguments(["--alias", "new"])
    };
    Scene::new(site, &rename).survives(&[&RENAMING]);
}

#[test]
fn a_schema_that_is_brought_up_to_date() {
    let site = Site::with(TestDatabase::empty());
    Scene::new(site, &|site| site.command(&["db", "migrate"])).survives(&[&MIGRATING]);
}

/// Killed in the schemas that it makes, too: while it migrates them, loads into them and
/// drops them.
#[test]
fn an_engine_that_is_verified() {
    let site = Site::new();
    site.run(&site.write(&[payload(1, &DAYS, 2)])).succeeds();
    let verify = |site: &Site| {
        site.command(&["verify", "pipelines/ocp.toml", "--engine", "embedded"])
            .arguments(["--source", CLUSTER, "--from", DAYS[0], "--to", DAYS[1]])
            .with_stages()
    };
    let places = VERIFYING
        .iter()
        .flat_map(|failpoint| [(*failpoint, 1), (*failpoint, 2)])
        .chain([(MigrationApplied, 30), (CopySent, 1), (DaysSummarized, 2)]);
    for (failpoint, time) in places {
        let copy = site.copy();
        let killed = verify(&copy)
            .env(
                "GRISTMILL_TEST_KILL_AT",
                format!("{}:{time}", failpoint.name()),
            )
            .ends();
        assert_eq!(killed.code, None, "{}:{time}\n{killed}", failpoint.name());
        figure("kills survived", 1);
        copy.server_has_noticed();
        verify(&copy).succeeds();
        let after = format!("a kill at {}:{time}", failpoint.name());
        let left = "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'gristmill\\_scratch\\_%'";
        assert_eq!(
            copy.database.query_value(left).as_deref(),
            Some("0"),
            "{after}"
        );
        copy.is_like(&site, &after);
    }
}
