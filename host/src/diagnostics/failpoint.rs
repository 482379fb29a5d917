//! Failpoints: the places at which tests try out a crash, one behind every effect that
//! outlives the process.
//!
//! A debug build writes the failpoints that it passes to the file that
//! `GRISTMILL_TEST_FAILPOINTS` names. It kills itself at the one that
//! `GRISTMILL_TEST_KILL_AT` names: `copy-sent`, or `copy-sent:3` for the third time it
//! gets there. At that of `GRISTMILL_TEST_STOP_AT` it stops, as by Ctrl-Z, until it is
//! told to go on. A limit may be less than usual by a variable of its own. A release build
//! knows none of this.

macro_rules! failpoints {
    ($($(#[$documentation:meta])* $failpoint:ident = $name:literal,)*) => {
        /// A place on the way, passed when what its name says is done.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Failpoint {
            $($(#[$documentation])* $failpoint,)*
        }

        impl Failpoint {
            /// Every failpoint; the tests kill at each of them.
            pub const ALL: &'static [Failpoint] = &[$(Failpoint::$failpoint,)*];

            pub fn name(self) -> &'static str {
                match self {
                    $(Failpoint::$failpoint => $name,)*
                }
            }
        }
    };
}

failpoints! {
    /// The first three are inside of the transaction that migrates.
    SchemaCreated = "schema-created",
    MigrationApplied = "migration-applied",
    FunctionsInstalled = "functions-installed",
    MigrationsCommitted = "migrations-committed",
    RunOpened = "run-opened",
    SourceRegistered = "source-registered",
    SourceLocked = "source-locked",
    /// A generation is forgotten, and its rows are there.
    GenerationMarked = "generation-marked",
    /// A generation, dead or abandoned, is taken back.
    GenerationForgotten = "generation-forgotten",
    ManifestRecorded = "manifest-recorded",
    FilesListed = "files-listed",
    GenerationOpened = "generation-opened",
    MonthEnsured = "month-ensured",
    PeriodEnsured = "period-ensured",
    LabelSetsStored = "label-sets-stored",
    NamesStored = "names-stored",
    CopyBegun = "copy-begun",
    CopySent = "copy-sent",
    /// Everything is sent; Postgres has yet to be told that it is all.
    CopyEnding = "copy-ending",
    /// All rows are in, the generation is held, and nothing is committed.
    CopyHeld = "copy-held",
    CopyEnded = "copy-ended",
    /// A place in the lake has a record, and nothing is there yet.
    LakeRecorded = "lake-recorded",
    LakeFilesWritten = "lake-files-written",
    TrinoTableMade = "trino-table-made",
    /// A part of a generation is folded, and in Postgres.
    TrinoFolded = "trino-folded",
    TrinoTableDropped = "trino-table-dropped",
    LakeFilesRemoved = "lake-files-removed",
    LakeForgotten = "lake-forgotten",
    /// Some rejected rows are in the database; nobody sees them yet.
    RejectsWritten = "rejects-written",
    RejectsKept = "rejects-kept",
    FilesFailed = "files-failed",
    /// A copy of a database that had archived nothing has an identity of its own.
    OwnerRenewed = "owner-renewed",
    /// The archive's folder says whose it is.
    ArchiveOwned = "archive-owned",
    ArchiveAdopted = "archive-adopted",
    /// A file of the archive is recorded, and not there yet.
    ArchiveBegun = "archive-begun",
    /// The tarball is written, under a name that nobody looks for.
    ArchiveWritten = "archive-written",
    /// It is recorded where it is about to be placed.
    ArchiveNamed = "archive-named",
    ArchivePlaced = "archive-placed",
    ArchiveDiscarded = "archive-discarded",
    /// The next seven are inside of the transaction that publishes.
    GenerationRecorded = "generation-recorded",
    GenerationsReused = "generations-reused",
    DaysClaimed = "days-claimed",
    DaysReplaced = "days-replaced",
    DaysSummarized = "days-summarized",
    ManifestCompleted = "manifest-completed",
    ArchiveRecorded = "archive-recorded",
    PublishCommitted = "publish-committed",
    RunClosed = "run-closed",
    GenerationsCleaned = "generations-cleaned",
    /// The staged rows of forgotten generations are gone.
    StagedRowsRemoved = "staged-rows-removed",
    ArchiveForgotten = "archive-forgotten",
    ArchiveRemoved = "archive-removed",
    PartitionsDropped = "partitions-dropped",
    RecordsCleaned = "records-cleaned",
    EmptyPartitionsDropped = "empty-partitions-dropped",
    /// A scratch schema is there, and empty.
    ScratchCreated = "scratch-created",
    /// It has the site's settings.
    ScratchPrepared = "scratch-prepared",
    /// An engine has made its tables.
    ScratchLoaded = "scratch-loaded",
    /// Some of its tables are dropped, or the last of it.
    ScratchDropped = "scratch-dropped",
    /// Inside of the transaction that removes days or a source.
    RemovalRecorded = "removal-recorded",
    RemovalCommitted = "removal-committed",
    /// What was loaded of an upload counts no more, and its rows are there.
    UploadAbandoned = "upload-abandoned",
    /// A source has another alias, and its days have the former one.
    SourceRenamed = "source-renamed",
    DayRenamed = "day-renamed",
    TagSettled = "tag-settled",
}

/// Says that the program has got there, which may be the end of it.
#[cfg(debug_assertions)]
pub fn passed(failpoint: Failpoint) {
    orders::obey(failpoint);
}

/// As in debug builds, where it does something.
#[cfg(not(debug_assertions))]
pub fn passed(_failpoint: Failpoint) {}

/// A limit, or what the variable says instead, so that a test need not go as far.
#[cfg(debug_assertions)]
pub fn limit(variable: &str, usual: usize) -> usize {
    let said = std::env::var(variable).ok();
    said.and_then(|said| said.parse().ok()).unwrap_or(usual)
}

/// As it is, where no test may say otherwise.
#[cfg(not(debug_assertions))]
pub fn limit(_variable: &str, usual: usize) -> usize {
    usual
}

#[cfg(debug_assertions)]
mod orders {
    use std::env;
    use std::fs::OpenOptions;
    use std::io::Write as _;
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    use rustix::process::{Signal, getpid, kill_process};

    use super::Failpoint;

    /// A signal for ourselves.
    struct Order {
        failpoint: String,
        /// At which time of getting there.
        time: u32,
        times: AtomicU32,
        signal: Signal,
    }

    static ORDERS: LazyLock<Vec<Order>> = LazyLock::new(|| {
        let orders = [
            ("GRISTMILL_TEST_KILL_AT", Signal::KILL),
            ("GRISTMILL_TEST_STOP_AT", Signal::STOP),
        ];
        let orders = orders.into_iter().filter_map(|(variable, signal)| {
            let text = env::var(variable).ok()?;
            let (failpoint, time) = text.split_once(':').unwrap_or((&text, "1"));
            Some(Order {
                failpoint: failpoint.to_string(),
                time: time.parse().ok()?,
                times: AtomicU32::new(0),
                signal,
            })
        });
        orders.collect()
    });

    pub(super) fn obey(failpoint: Failpoint) {
        if let Some(path) = env::var_os("GRISTMILL_TEST_FAILPOINTS")
            && let Ok(mut file) = OpenOptions::new().append(true).create(true).open(path)
        {
            // One write a line, since threads pass at the same time.
            let _ = file.write_all(format!("{}\n", failpoint.name()).as_bytes());
        }
        for order in ORDERS
            .iter()
            .filter(|order| order.failpoint == failpoint.name())
        {
            if order.times.fetch_add(1, Ordering::Relaxed) + 1 == order.time {
                // Nothing of ours runs between a signal to ourselves and its effect.
                let _ = kill_process(getpid(), order.signal);
            }
        }
    }
}
