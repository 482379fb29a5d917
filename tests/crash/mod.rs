//! Runs that are broken off: killed, cut off, out of room, or beside each other.
//!
//! Each is run again, and then the tables are as if nothing had happened: no row is lost
//! and none is there twice.

/// By a clock that is not to be trusted.
mod clock;
/// The servers of engine `trino` go away under them.
mod engine_servers;
/// Killed at each failpoint.
mod failpoints;
/// Several at once.
mod hosts;
/// Sessions that end alone, with the locks that they hold.
mod locks;
/// Killed at any moment.
mod moments;
/// The server goes away under them, or has no room.
mod server;

use chrono::{Datelike, Months, Utc};

use crate::support::payload::{Payload, Report};

/// Days that most payloads here tell of: one at the end of a month, one of the next.
const DAYS: [&str; 2] = ["2026-01-31", "2026-02-01"];

/// The last day of a month and the first one of the next, so many months ago.
fn around_a_month(months_ago: u32) -> [String; 2] {
    let today = Utc::now().date_naive();
    let first = today.with_day(1).expect("a first day") - Months::new(months_ago);
    [first.pred_opt().expect("a day before"), first].map(|day| day.to_string())
}

/// A payload of pods and volumes in the first hours of some days. Of two of them,
/// the one with more hours counts, then the one with the larger number.
fn payload(number: u32, days: &[&str], hours: u32) -> Payload {
    let (pods, volumes) = reports(number, days, hours);
    Payload::numbered(number)
        .manifest("start", format!("{}T00:00:00Z", days[0]))
        .manifest("end", format!("{}T23:59:59Z", days[days.len() - 1]))
        .file(&format!("{number}-pods.csv"), pods.text())
        .file(&format!("{number}-volumes.csv"), volumes.text())
}

/// The two tarballs of the same payload, each with one of its files.
fn parts(number: u32, days: &[&str], hours: u32) -> [Payload; 2] {
    let (pods, volumes) = reports(number, days, hours);
    let names = [
        format!("{number}-pods.csv"),
        format!("{number}-volumes.csv"),
    ];
    let part = |name: &str, report: &Report| {
        Payload::numbered(number)
            .manifest("start", format!("{}T00:00:00Z", days[0]))
            .manifest("end", format!("{}T23:59:59Z", days[days.len() - 1]))
            .manifest("files", names.to_vec())
            .member(name, report.text())
    };
    [part(&names[0], &pods), part(&names[1], &volumes)]
}

fn reports(number: u32, days: &[&str], hours: u32) -> (Report, Report) {
    let (mut pods, mut volumes) = (Report::pods(), Report::volumes());
    let usage = (number * 10).to_string();
    for day in days {
        for hour in 0..hours {
            let times = [
                (
                    "report_period_start",
                    format!("{}-01 00:00:00 +0000 UTC", &day[..7]),
                ),
                ("interval_start", format!("{day} {hour:02}:00:00 +0000 UTC")),
                ("interval_end", format!("{day} {hour:02}:59:59 +0000 UTC")),
            ];
            let times: Vec<(&str, &str)> = times
                .iter()
                .map(|(column, cell)| (*column, cell.as_str()))
                .collect();
            for pod in ["a", "b"] {
                let mut cells = vec![
                    ("pod", pod),
                    ("pod_usage_cpu_core_seconds", usage.as_str()),
                    ("pod_labels", "label_app:shop|label_tier:front"),
                ];
                cells.extend(&times);
                pods = pods.row(hour, &cells);
            }
            volumes = volumes.row(hour, &times);
        }
    }
    (pods, volumes)
}
