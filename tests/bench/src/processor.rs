//! Processor time: of our own children, and of other processes with the children that they
//! had, as the system counts it.

use std::fs;
use std::path::Path;

/// Of Linux on the machines that we know: a clock tick is a hundredth of a second.
const TICKS_PER_SECOND: f64 = 100.0;

/// Where the fields of `/proc/PID/stat` are, counted from the one behind the name.
const PARENT: usize = 1;
const OWN: std::ops::Range<usize> = 11..13;
const OF_ENDED_CHILDREN: std::ops::Range<usize> = 13..15;

/// A process as it is now.
pub(crate) struct Process {
    id: u32,
    parent: u32,
    pub(crate) name: String,
    /// With those of its children that have ended.
    pub(crate) seconds: f64,
}

/// All processes that can be seen.
pub(crate) fn processes() -> Vec<Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let id = entry.file_name().to_str()?.parse().ok()?;
            let (name, fields) = stat(&entry.path())?;
            Some(Process {
                id,
                parent: fields.get(PARENT)?.parse().ok()?,
                name,
                seconds: seconds(fields.get(OWN.start..OF_ENDED_CHILDREN.end)?),
            })
        })
        .collect()
}

/// The seconds of a process and all its children, those that have ended too.
pub(crate) fn seconds_of_family(id: u32) -> f64 {
    let family = processes().into_iter();
    family
        .filter(|process| process.id == id || process.parent == id)
        .map(|process| process.seconds)
        .sum()
}

/// The seconds of our children that have ended.
pub(crate) fn children_seconds() -> f64 {
    stat(Path::new("/proc/self"))
        .and_then(|(_, fields)| fields.get(OF_ENDED_CHILDREN).map(seconds))
        .unwrap_or_default()
}

fn seconds(fields: &[String]) -> f64 {
    let ticks = fields.iter().filter_map(|field| field.parse::<f64>().ok());
    ticks.sum::<f64>() / TICKS_PER_SECOND
}

/// The name of a process and the fields behind it; nothing once it has gone.
fn stat(process: &Path) -> Option<(String, Vec<String>)> {
    let text = fs::read_to_string(process.join("stat")).ok()?;
    // A name may have spaces and brackets of its own.
    let (head, rest) = text.rsplit_once(") ")?;
    let (_, name) = head.split_once('(')?;
    let fields = rest.split_whitespace().map(str::to_owned).collect();
    Some((name.to_owned(), fields))
}
