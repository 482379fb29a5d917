//! Components that make the host wait by way of WASI, or want its memory for what they
//! ask of it. Time is counted while a stage computes, and memory where it is a stage's
//! own: neither reaches what the host does for one.

use std::time::Duration;

use crate::support::command::{Ended, file, gristmill};
use crate::support::cost::Cost;
use crate::support::payload::write;
use crate::support::torture::contained;

/// A busy machine shall not make another fault look like that of time.
const TIME_PER_BATCH: Duration = Duration::from_secs(20);

/// As long as a stage wants to sleep here.
const TIME_MAX: Duration = Duration::from_secs(60);

/// More than a check costs, and less than a gigabyte of random bytes.
const MEMORY_BYTES_MAX: u64 = 512 << 20;

/// The message about a component that did no harm and is no stage.
const NO_STAGE: &str = "is not a complete stage: ";

/// A component that does something with alarms before anybody calls it: `$ring` makes
/// one so many nanoseconds ahead, `$block` waits for one, `$ready` asks whether its time
/// has come, `$drop` forgets it.
fn alarms(body: &str) -> String {
    format!(
        r#"(import "wasi:io/poll@0.2.6" (instance $poll
            (export "pollable" (type $pollable (sub resource)))
            (export "[method]pollable.block" (func (param "self" (borrow $pollable))))
            (export "[method]pollable.ready"
                (func (param "self" (borrow $pollable)) (result bool)))))
        (alias export $poll "pollable" (type $pollable))
        (import "wasi:clocks/monotonic-clock@0.2.6" (instance $clock
            (alias outer 1 $pollable (type $pollable))
            (export "subscribe-duration" (func (param "when" u64) (result (own $pollable))))))
        (core func $ring (canon lower (func $clock "subscribe-duration")))
        (core func $block (canon lower (func $poll "[method]pollable.block")))
        (core func $ready (canon lower (func $poll "[method]pollable.ready")))
        (core func $drop (canon resource.drop $pollable))
        (core module $m
            (import "host" "ring" (func $ring (param i64) (result i32)))
            (import "host" "block" (func $block (param i32)))
            (import "host" "ready" (func $ready (param i32) (result i32)))
            (import "host" "drop" (func $drop (param i32)))
            (func $s (local $alarm i32) (local $left i32) {body})
            (start $s))
        (core instance (instantiate $m (with "host" (instance
            (export "ring" (func $ring))
            (export "block" (func $block))
            (export "ready" (func $ready))
            (export "drop" (func $drop))))))"#
    )
}

/// Does something a million times.
fn a_million_times(body: &str) -> String {
    alarms(&format!(
        "(local.set $left (i32.const 1000000))
        (loop $again {body}
            (local.set $left (i32.sub (local.get $left) (i32.const 1)))
            (br_if $again (local.get $left)))"
    ))
}

/// A component that draws so many random bytes in each of so many calls.
fn draws(bytes: u64, calls: u32) -> String {
    format!(
        r#"(import "wasi:random/random@0.2.6" (instance $random
            (export "get-random-bytes" (func (param "len" u64) (result (list u8))))))
        (core module $memory
            (memory (export "memory") 2)
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024)))
        (core instance $memory (instantiate $memory))
        (core func $draw (canon lower (func $random "get-random-bytes")
            (memory (core memory $memory "memory"))
            (realloc (core func $memory "realloc"))))
        (core module $m
            (import "host" "draw" (func $draw (param i64 i32)))
            (func $s (local $left i32)
                (local.set $left (i32.const {calls}))
                (loop $again
                    (call $draw (i64.const {bytes}) (i32.const 0))
                    (local.set $left (i32.sub (local.get $left) (i32.const 1)))
                    (br_if $again (local.get $left))))
            (start $s))
        (core instance (instantiate $m (with "host" (instance
            (export "draw" (func $draw))))))"#
    )
}

/// The messages of `gristmill check` about a pipeline with such a component, and its
/// cost.
#[track_caller]
fn check(component: &str, time_per_batch: Duration) -> (Ended, Cost) {
    let text = format!(
        r#"(component {component}
        (instance $stage) (export "gristmill:stage/transform@0.1.0" (instance $stage)))"#
    );
    let bytes = wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}\nin {text}"));
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), "hostile.wasm", &bytes);
    let pipeline = format!(
        "extends = {:?}
        [stages.hostile]
        component = \"hostile.wasm\"
        limits = {{ memory = \"16 MiB\", time-per-batch = \"{} ms\" }}
        [reports.pod-usage]
        stages = [\"csv-parse\", \"hostile\", \"effective-usage\", \"label-filter\", \"unit-conversion\"]
        ",
        file("pipelines/ocp.toml"),
        time_per_batch.as_millis()
    );
    let pipeline = write(folder.path(), "pipeline.toml", pipeline.as_bytes());
    gristmill(["check"])
        .argument(pipeline)
        .with_stages()
        .ends_at_a_cost()
}

/// The stage ends with these words, soon, and the host stays small.
#[track_caller]
fn ends(component: &str, words: &str) {
    let (ended, cost) = check(component, TIME_PER_BATCH);
    let expected = format!("stage `hostile`: {words}");
    assert_eq!(ended.code, Some(2), "{ended}");
    assert!(ended.stderr.contains(&expected), "{expected}\n{ended}");
    assert!(cost.memory_peak_bytes < MEMORY_BYTES_MAX, "{cost:?}");
    assert!(cost.time < TIME_MAX, "{cost:?}");
    contained();
}

#[test]
fn a_stage_that_sleeps_for_a_minute_ends_at_once() {
    for nanoseconds in ["60000000000", "-1"] {
        let sleeps = format!("(call $block (call $ring (i64.const {nanoseconds})))");
        ends(
            &alarms(&sleeps),
            "trapped: the stage waits, but its clock stands still: \
            the wait would outlast `time-per-batch`",
        );
    }
}

/// Runtimes yield in this way, and look whether something has happened meanwhile.
#[test]
fn a_wait_for_what_has_come_is_none() {
    ends(
        &alarms("(call $block (call $ring (i64.const 0)))"),
        NO_STAGE,
    );
    let asks = "(if (call $ready (call $ring (i64.const 1))) (then unreachable))";
    ends(&alarms(asks), NO_STAGE);
}

/// Nobody waits for it, and the host is never asked for longer than a moment.
#[test]
fn a_stage_that_asks_the_time_for_ever_runs_out_of_it() {
    let asks = "(local.set $alarm (call $ring (i64.const 1)))
        (loop $again (br_if $again (i32.eqz (call $ready (local.get $alarm)))))";
    let (ended, _) = check(&alarms(asks), Duration::from_millis(200));
    let words = "stage `hostile`: took longer than 200ms for one batch (`time-per-batch`)";
    assert!(ended.stderr.contains(words), "{ended}");
    contained();
}

#[test]
fn a_stage_cannot_have_a_million_pollables() {
    ends(
        &a_million_times("(drop (call $ring (i64.const 0)))"),
        "trapped: the stage holds more than 1000 streams and pollables",
    );
}

#[test]
fn pollables_that_are_dropped_do_not_add_up() {
    let one = "(local.set $alarm (call $ring (i64.const 0)))
        (call $block (local.get $alarm))
        (call $drop (local.get $alarm))";
    ends(&a_million_times(one), NO_STAGE);
}

#[test]
fn a_stage_cannot_have_a_gigabyte_of_random_bytes() {
    ends(
        &draws(1 << 30, 1),
        "trapped: the stage asked for more than 65536 random bytes in one call",
    );
    ends(&draws(64 << 10, 1), NO_STAGE);
}

/// So many pieces that no machine has them in time.
#[test]
fn a_stage_that_draws_random_bytes_without_end_runs_out_of_time() {
    let (ended, cost) = check(&draws(64 << 10, u32::MAX), Duration::from_millis(200));
    let words = "stage `hostile`: took longer than 200ms for one batch (`time-per-batch`)";
    assert!(ended.stderr.contains(words), "{ended}");
    assert!(cost.memory_peak_bytes < MEMORY_BYTES_MAX, "{cost:?}");
    contained();
}
