//! The cost of a run of the program: its memory at the peak. It also ends a run that
//! would never end.

use std::fs;
use std::process::{Child, Output};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// How often the program is looked at. The peak is one that the kernel keeps, so
/// only what the last moment adds is missed.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// The cost of one run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    pub(crate) memory_peak_bytes: u64,
    /// Of the one that held most among the processes that it started.
    pub(crate) children_peak_bytes: u64,
    pub(crate) time: Duration,
}

/// Waits for the child, which is killed when it takes longer than `time_max`.
pub(crate) fn wait(child: Child, time_max: Duration) -> std::io::Result<(Output, Cost)> {
    let started = Instant::now();
    let process = child.id();
    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let (mut peak, mut children_peak) = (0, 0);
            while !ended.load(Ordering::Relaxed) {
                peak = peak.max(memory_peak_bytes(process).unwrap_or_default());
                let children = children(process).into_iter().filter_map(memory_peak_bytes);
                children_peak = children.fold(children_peak, u64::max);
                if started.elapsed() > time_max
                    && let Some(pid) = Pid::from_raw(process.cast_signed())
                {
                    // It may have ended this moment.
                    let _ = kill_process(pid, Signal::KILL);
                }
                thread::sleep(LOOK_EVERY);
            }
            (peak, children_peak)
        });
        let output = child.wait_with_output();
        ended.store(true, Ordering::Relaxed);
        let (memory_peak_bytes, children_peak_bytes) = watch.join().unwrap_or_default();
        let time = started.elapsed();
        output.map(|output| {
            (
                output,
                Cost {
                    memory_peak_bytes,
                    children_peak_bytes,
                    time,
                },
            )
        })
    })
}

/// The most memory that a process has held; nothing once it is gone.
fn memory_peak_bytes(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = peak.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes << 10)
}

/// The processes that any thread of this one has started and not yet buried.
fn children(process: u32) -> Vec<u32> {
    let Ok(threads) = fs::read_dir(format!("/proc/{process}/task")) else {
        return Vec::new();
    };
    let of_thread = |thread: fs::DirEntry| fs::read_to_string(thread.path().join("children")).ok();
    threads
        .flatten()
        .filter_map(of_thread)
        .flat_map(|children| {
            let numbers = children.split_whitespace();
            numbers
                .filter_map(|number| number.parse().ok())
                .collect::<Vec<u32>>()
        })
        .collect()
}
