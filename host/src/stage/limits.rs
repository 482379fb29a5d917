//! Every limit that a stage is subject to, with its default and its reason.
//! Nothing else in the host invents one.

use std::time::Duration;

/// How often the clock that interrupts stages ticks.
pub const EPOCH_TICK: Duration = Duration::from_millis(10);

/// Log lines shown of one stage in the run of a payload, all files together.
pub const LOG_LINES_OF_RUN_MAX: usize = 200;

/// Bytes kept of one log line, and of what a stage writes to standard error.
pub const LOG_LINE_BYTES_MAX: usize = 4 << 10;

/// Bytes of a file that a parser may take without completing a record.
pub const UNFINISHED_BYTES_MAX: usize = 64 << 20;

/// Threads of the compiler. Each has a function and all that is known of it in memory:
/// so many that what compiling takes is the same on every machine.
pub const COMPILE_THREADS: usize = 2;

/// Bytes kept of why a row was rejected: the message, and each of the code and the
/// column. A hundred thousand of them are kept for a file.
pub const REJECT_TEXT_BYTES_MAX: usize = 1 << 10;

/// Bytes of a row of a batch besides its columns: its place in the file, and its details
/// when it is rejected.
pub const ROW_BYTES: u64 = 512;

/// Rows that a stage may make of each row that it gets, and of a small batch.
pub const REPEATS_MAX: usize = 16;
pub const REPEATED_ROWS_MIN: usize = 1_024;

/// Distinct JSON texts of a stage that are remembered as well-formed.
pub const JSON_MEMO_MAX: usize = 10_000;

/// Answers of a stage of texts that are remembered, and the bytes of their texts. A
/// thousand nodes have some ten thousand distinct label sets in an hour, and nearly all
/// of them come again in the next.
pub const ANSWERS_MAX: usize = 100_000;
pub const ANSWERS_BYTES_MAX: usize = 8 << 20;

/// Columns that a stage may read or write; more than any report has.
pub const COLUMNS_MAX: usize = 1_000;

/// Tables, instances and table elements: what runtimes of scripting languages need.
pub const TABLE_ELEMENTS_MAX: usize = 100_000;
pub const INSTANCES_MAX: usize = 64;
pub const MEMORIES_MAX: usize = 16;
pub const TABLES_MAX: usize = 64;

/// Random bytes that a stage gets in one call. Web browsers allow as many.
pub const RANDOM_BYTES_MAX: u64 = 64 << 10;

/// Streams and pollables of WASI that a stage may hold at a time; runtimes of languages
/// hold some ten.
pub const WASI_RESOURCES_MAX: usize = 1_000;

/// The limits of one stage that a pipeline file can set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Linear memory, all memories together.
    pub memory_bytes: u64,
    /// One call of `open`, `parse`, `process` or `finish`.
    pub time_per_batch: Duration,
    /// The bytes that one call may return.
    pub output_bytes: u64,
    /// The size of a batch in the host, with each row's texts written out.
    pub batch_bytes: u64,
    /// Messages of one file that are shown, each of up to 4 KiB.
    pub log_lines: u64,
}

/// The limits of a component, before it is a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadLimits {
    /// A larger file is not read.
    pub component_bytes: u64,
    /// Compiling it, unless that was done before.
    pub compile_time: Duration,
    /// The memory of a child process that compiles.
    pub compile_memory_bytes: u64,
}

impl Default for LoadLimits {
    fn default() -> Self {
        Self {
            // Compiling takes memory and time in proportion, and the largest known
            // toolchain makes 18 MB.
            component_bytes: 64 << 20,
            // Those 18 MB take seconds; a slow machine with other work, a minute.
            compile_time: Duration::from_secs(120),
            // The largest known toolchain makes 18 MB of Python, which take 378 MiB.
            compile_memory_bytes: 416 << 20,
        }
    }
}

impl Limits {
    /// More than a pipeline should allow: while a stage is measured, what it takes
    /// shall be seen and not cut off.
    pub const MEASURING: Self = Self {
        memory_bytes: 4 << 30,
        time_per_batch: Duration::from_secs(60),
        output_bytes: 1 << 30,
        batch_bytes: 1 << 30,
        log_lines: 100,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // A parser holds a chunk, the columns it makes of it and their return
            // buffers: some five chunks, which may be larger than by default.
            memory_bytes: 128 << 20,
            // A batch takes milliseconds in Rust and a tenth of a second in
            // the slowest language.
            time_per_batch: Duration::from_secs(2),
            output_bytes: 64 << 20,
            // A chunk of 1 MiB becomes columns of some megabytes. Each worker has a batch
            // before a stage and one behind it.
            batch_bytes: 64 << 20,
            log_lines: 100,
        }
    }
}
