//! Killed at any moment, time and again, by turns with other commands. A kill that
//! comes while a run clears away what another one left is among them.

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::{DAYS, parts, payload};
use crate::support::command::Gristmill;
use crate::support::payload::CLUSTER;
use crate::support::site::Site;
use crate::support::torture::{Chance, Work, figure};

/// Kills before everything is looked at.
const KILLS_IN_A_ROW: usize = 20;

/// Payloads that are uploaded, in the order in which they come last.
fn payloads(site: &Site) -> Vec<PathBuf> {
    let [first, second] = parts(3, &DAYS[1..], 4);
    site.write(&[
        payload(1, &DAYS, 2),
        first,
        payload(2, &DAYS[..1], 3),
        second,
        payload(4, &DAYS, 1),
    ])
}

fn replay(site: &Site) -> Gristmill {
    site.command(&["replay", "pipelines/ocp.toml", "--source", CLUSTER])
        .arguments(["--from", DAYS[0], "--to", DAYS[1]])
        .with_stages()
}

fn summarize(site: &Site) -> Gristmill {
    site.command(&["summarize", "--source", CLUSTER])
        .arguments(["--from", DAYS[0], "--to", DAYS[1]])
}

/// Everything once more and to its end.
#[track_caller]
fn settle(site: &Site, payloads: &[PathBuf]) {
    site.run(payloads).succeeds();
    replay(site).succeeds();
    summarize(site).succeeds();
}

/// How long kills go on under torture.
const TIME_UNDER_TORTURE: Duration = Duration::from_secs(5 * 60);

/// Kills commands until it was done often or long enough.
#[track_caller]
fn survives(seed: u64) {
    let work = Work::new(60, 900, TIME_UNDER_TORTURE);
    let untouched = Site::new();
    settle(&untouched, &payloads(&untouched));

    let mut chance = Chance(seed);
    let mut kills = 0;
    while work.goes_on(kills) {
        let site = Site::new();
        let payloads = payloads(&site);
        // How long each takes here and now, kills included.
        let mut longest = [Duration::ZERO; 3];
        let mut row = 0;
        while row < KILLS_IN_A_ROW && work.goes_on(kills) {
            // Mostly `run`.
            let which = chance.below(8).saturating_sub(5);
            let command = match which {
                0 => {
                    let first = chance.below(payloads.len());
                    let count = 1 + chance.below(payloads.len() - first);
                    site.run(&payloads[first..first + count])
                }
                1 => replay(&site),
                _ => summarize(&site),
            };
            let started = Instant::now();
            let running = command.begins();
            if !longest[which].is_zero() {
                // The moment of the kill is what is tried here.
                thread::sleep(longest[which].mul_f64(chance.part() * 1.1));
                running.signal(Signal::KILL);
            }
            let ended = running.ends();
            longest[which] = longest[which].max(started.elapsed());
            match ended.code {
                None => {
                    kills += 1;
                    row += 1;
                }
                Some(0) => {}
                // There may be nothing to replay or summarize yet.
                Some(1 | 2) if which > 0 => {}
                Some(_) => panic!("after {row} kills, seed {seed}\n{ended}"),
            }
        }
        settle(&site, &payloads);
        site.is_like(&untouched, &format!("{row} kills, seed {seed}"));
        figure("kills survived", row);
    }
}

#[test]
fn a_kill_at_any_moment_loses_and_doubles_nothing() {
    survives(1);
}

#[test]
fn and_another_row_of_kills() {
    survives(2);
}
