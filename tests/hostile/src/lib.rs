//! A stage that does what a stage must not, as its configuration says. It stands
//! between the parser and the others and should change nothing.

use gristmill_stage::{
    Batch, Bitmap, Column, ColumnType, Contract, DictionaryValues, Fact, Failure, OpenTransform,
    Output, Reject, Stage, Utf8Values, Values, export_stage, log,
};
use serde::Deserialize;

const USAGE: &str = "pod_usage_cpu_core_seconds";
const POD: &str = "pod";

#[derive(Clone, Copy, Deserialize, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum Behaviour {
    /// Nothing wrong at all.
    Behaves,
    /// Rejects row 1.
    Rejects,
    Refuses,
    Panics,
    Traps,
    Exits,
    Spins,
    /// Waits for a minute.
    Sleeps,
    EatsMemory,
    /// Returns more than it may.
    Floods,
    /// Returns a column with a row too few.
    Ragged,
    WrongType,
    TooFewColumns,
    BadOffsets,
    BadUtf8,
    BadKeys,
    /// Leaves a row out without a word.
    LosesRow,
    RejectsTwice,
    /// Leaves row 1 out, and has row 0 once more at the end.
    Rearranges,
    SpinsAtOpen,
    DropsUnknown,
    /// Panics at its second row.
    PanicsAtRow,
    /// Says a lot, and nothing that is what it looks like.
    Chatters,
    OverflowsStack,
    Aborts,
    TooManyColumns,
    ShortValidity,
    FallingOffsets,
    OverflowingOffsets,
    LateOffsets,
    NoOffsets,
    LongData,
    HugeRowCount,
    SourceOutOfRange,
    TooFewSources,
    LiesAboutFiltered,
    RearrangesUnasked,
    RejectsOutOfRange,
    RejectsWithoutEnd,
    RejectsWhatComesOut,
    NoJson,
    /// Returns numbers that are none.
    NotANumber,
    Infinite,
    /// Moves every hour to the end of time.
    EndOfTime,
    /// Rejects row 1 in words that are not for a terminal.
    RejectsInEscapes,
    RejectsAtLength,
    FailsInEscapes,
    SpinsInLog, Prints, PrintsWithoutEnd,
    PanicsAtOpen,
    SpinsAtContract,
    PanicsAtContract,
    RefusesAtOpenInEscapes,
    ReadsTwice,
    WritesTwice,
    WritesNoName,
    WritesEscapes,
    WritesWithoutEnd,
    ReadsUnknown,
    ReadsAnotherType,
    DropsWhatItWrites,
    SpinsAtFinish,
    PanicsAtFinish,
    RefusesAtFinish,
    /// Tells more facts than its output may hold.
    FactsWithoutEnd,
    /// Learns what is no name of a label.
    LearnsNonsense,
    /// Reads another column once there are words in the set `keys`.
    ReadsByItsSets,
    /// Writes another column then.
    WritesByItsSets,
    /// Makes its numbers of the clock and of chance.
    Gambles,
    /// Looks for files, arguments and variables.
    Snoops,
    /// Writes one text of a megabyte for all rows.
    OneText,
    /// Has each row sixteen times, all of them with one text of 16 kB.
    RepeatsOneText,
    /// Rejects every row, in 8 kB.
    RejectsAllAtLength,
    /// Writes a document of 40 MB.
    MuchJson,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    behaviour: Behaviour,
}

struct Hostile {
    behaviour: Behaviour,
    knows_words: bool,
}

impl Stage for Hostile {
    type Config = Config;

    fn open(config: Config, context: OpenTransform) -> Result<Self, Failure> {
        match config.behaviour {
            Behaviour::SpinsAtOpen => spin(),
            Behaviour::PanicsAtOpen => panic!("the door is stuck"),
            Behaviour::RefusesAtOpenInEscapes => Err(Failure::config(
                "beha\u{1b}[2Jviour",
                "not\u{7}\u{202e}today\n",
            )),
            behaviour => Ok(Self {
                behaviour,
                knows_words: context.sets.get("keys").is_some_and(|words| !words.is_empty()),
            }),
        }
    }

    fn contract(&self) -> Contract {
        let contract = match self.behaviour {
            Behaviour::LosesRow
            | Behaviour::RepeatsOneText
            | Behaviour::Rearranges
            | Behaviour::SourceOutOfRange
            | Behaviour::TooFewSources
            | Behaviour::LiesAboutFiltered
            | Behaviour::RejectsWhatComesOut => Contract::rearranges(),
            _ => Contract::keeps(),
        };
        let contract = contract
            .reads(USAGE, ColumnType::Float64)
            .reads(POD, ColumnType::Dictionary)
            .writes(USAGE, ColumnType::Float64)
            .writes(POD, ColumnType::Dictionary);
        match self.behaviour {
            Behaviour::DropsUnknown => contract.drops("no_such_column"),
            Behaviour::DropsWhatItWrites => contract.drops(POD),
            Behaviour::SpinsAtContract => spin(),
            Behaviour::PanicsAtContract => panic!("the ink is dry"),
            Behaviour::ReadsTwice => contract.reads(POD, ColumnType::Dictionary),
            Behaviour::WritesTwice => contract.writes(POD, ColumnType::Dictionary),
            Behaviour::WritesNoName => contract.writes("", ColumnType::Float64),
            Behaviour::WritesEscapes => contract.writes("a\u{1b}[2J", ColumnType::Float64),
            Behaviour::WritesWithoutEnd => (0..1_000).fold(contract, |contract, number| {
                contract.writes(format!("c{number}"), ColumnType::Float64)
            }),
            Behaviour::ReadsByItsSets if self.knows_words => {
                contract.reads("node", ColumnType::Dictionary)
            }
            Behaviour::WritesByItsSets if self.knows_words => {
                contract.writes("surprise", ColumnType::Float64)
            }
            Behaviour::ReadsUnknown => contract.reads("no_such_column", ColumnType::Int64),
            Behaviour::ReadsAnotherType => contract.reads("namespace", ColumnType::Int64),
            Behaviour::NoJson | Behaviour::MuchJson => {
                contract.writes("pod_labels", ColumnType::Json)
            }
            Behaviour::EndOfTime => contract.writes("interval_start", ColumnType::Timestamp),
            _ => contract,
        }
    }

    fn process(&mut self, mut batch: Batch) -> Result<Output, Failure> {
        let rows = batch.rows();
        let numbers = |rows| Column::new(Values::Float64(vec![1.0; rows]));
        let mut usage = batch.take(0);
        let mut pod = batch.take(1);
        match self.behaviour {
            Behaviour::Refuses => return Err(Failure::input("today is a holiday").in_column(POD)),
            Behaviour::Panics => panic!("the dog ate {rows} rows"),
            Behaviour::PanicsAtRow => {
                for row in batch.each_row() {
                    assert!(row + 1 != rows, "the cat sat on it");
                }
            }
            Behaviour::Chatters => {
                for number in 0..90 {
                    log::debug("a detail");
                    log::info(format!("user\u{202e}nimda\u{200b}\u{9b}2J {number}"));
                }
            }
            Behaviour::Traps => trap(),
            Behaviour::Exits => std::process::exit(0),
            Behaviour::Spins => spin(),
            Behaviour::Sleeps => std::thread::sleep(std::time::Duration::from_secs(60)),
            Behaviour::EatsMemory => eat_memory(),
            Behaviour::Floods => usage = numbers(20 << 20),
            Behaviour::Ragged => usage = numbers(rows - 1),
            Behaviour::WrongType => usage = Column::new(Values::Int64(vec![1; rows])),
            Behaviour::TooFewColumns => return Ok(Output::keeps(rows, vec![usage])),
            Behaviour::BadOffsets => pod = text(rows, vec![0, 9], b"abc"),
            Behaviour::BadUtf8 => pod = text(rows, vec![0, 1], b"\xff"),
            Behaviour::BadKeys => pod = keys(vec![7; rows], vec![0, 1], b"a"),
            Behaviour::LosesRow => {
                let kept = (1..rows as u32).collect();
                let columns = vec![numbers(rows - 1), text(rows - 1, vec![0, 1], b"a")];
                return Ok(Output::rearranged(kept, columns, 0));
            }
            Behaviour::Rearranges => {
                let kept = (0..rows as u32).filter(|row| *row != 1).chain([0]);
                let columns = vec![numbers(rows), text(rows, vec![0, 1], b"a")];
                return Ok(Output::rearranged(kept.collect(), columns, 1));
            }
            Behaviour::RejectsTwice | Behaviour::Rejects => {
                let reject = || Reject {
                    row: 1,
                    column: Some(POD.into()),
                    code: "disliked".into(),
                    message: "a name that nobody likes".into(),
                };
                let mut rejects = vec![reject()];
                if self.behaviour == Behaviour::RejectsTwice {
                    rejects.push(reject());
                }
                return Ok(Output::keeps(rows, vec![usage, pod]).with_rejects(rejects));
            }
            Behaviour::OverflowsStack => {
                std::hint::black_box(dive(rows as u64));
            }
            Behaviour::Aborts => std::process::abort(),
            Behaviour::TooManyColumns => {
                return Ok(Output::keeps(rows, vec![usage, pod.clone(), pod]));
            }
            Behaviour::ShortValidity => usage.validity = Some(Bitmap::from_bytes(Vec::new())),
            Behaviour::FallingOffsets => pod = text(rows, vec![0, 3, 1, 3], b"abc"),
            Behaviour::OverflowingOffsets => pod = text(rows, vec![0, u32::MAX, 3], b"abc"),
            Behaviour::LateOffsets => pod = text(rows, vec![1, 3], b"abc"),
            Behaviour::NoOffsets => pod = text(rows, Vec::new(), b""),
            Behaviour::LongData => pod = text(rows, vec![0, 1], b"abc"),
            Behaviour::HugeRowCount => {
                return Ok(Output::keeps(u32::MAX as usize, vec![usage, pod]));
            }
            Behaviour::SourceOutOfRange => {
                let sources = vec![u32::MAX; rows];
                return Ok(Output::rearranged(sources, vec![usage, pod], 0));
            }
            Behaviour::TooFewSources => {
                let mut output = Output::rearranged(Vec::new(), vec![usage, pod], 0);
                output.rows = rows;
                return Ok(output);
            }
            Behaviour::LiesAboutFiltered => {
                let sources = (0..rows as u32).collect();
                return Ok(Output::rearranged(sources, vec![usage, pod], u32::MAX));
            }
            Behaviour::RearrangesUnasked => {
                let sources = (0..rows as u32).collect();
                return Ok(Output::rearranged(sources, vec![usage, pod], 0));
            }
            Behaviour::RejectsOutOfRange => {
                let rejects = vec![Reject::row(u32::MAX as usize, "far", "it is far away")];
                return Ok(Output::keeps(rows, vec![usage, pod]).with_rejects(rejects));
            }
            Behaviour::RejectsWithoutEnd => {
                let rejects = vec![Reject::row(0, "", ""); 200_000];
                return Ok(Output::keeps(rows, vec![usage, pod]).with_rejects(rejects));
            }
            Behaviour::RejectsWhatComesOut => {
                let sources = (0..rows as u32).collect();
                let rejects = vec![Reject::row(0, "both", "it comes and goes")];
                let output = Output::rearranged(sources, vec![usage, pod], 0);
                return Ok(output.with_rejects(rejects));
            }
            Behaviour::NoJson => {
                let notes = text(rows, vec![0, 6], b"{\x1b[2J,");
                return Ok(Output::keeps(rows, vec![usage, pod, notes]));
            }
            Behaviour::OneText => pod = text(rows, vec![0, 1 << 20], &vec![b'x'; 1 << 20]),
            Behaviour::RepeatsOneText => {
                let sources: Vec<u32> = (0..16).flat_map(|_| 0..rows as u32).collect();
                let rows = sources.len();
                let pods = text(rows, vec![0, 16 << 10], &vec![b'x'; 16 << 10]);
                return Ok(Output::rearranged(sources, vec![numbers(rows), pods], 0));
            }
            Behaviour::RejectsAllAtLength => {
                let message = "x".repeat(8 << 10);
                let rejects = (0..rows).map(|row| Reject::row(row, "disliked", message.clone()));
                let rejects = rejects.collect();
                return Ok(Output::keeps(rows, vec![usage, pod]).with_rejects(rejects));
            }
            Behaviour::MuchJson => {
                let document = ["[", &"0,".repeat(20_000_000), "0]"].concat();
                let notes = text(rows, vec![0, document.len() as u32], document.as_bytes());
                return Ok(Output::keeps(rows, vec![usage, pod, notes]));
            }
            Behaviour::NotANumber => usage = Column::new(Values::Float64(vec![f64::NAN; rows])),
            Behaviour::Infinite => {
                usage = Column::new(Values::Float64(vec![f64::NEG_INFINITY; rows]));
            }
            Behaviour::EndOfTime => {
                let times = Column::new(Values::Timestamp(vec![i64::MAX; rows]));
                return Ok(Output::keeps(rows, vec![usage, pod, times]));
            }
            Behaviour::RejectsInEscapes | Behaviour::RejectsAtLength => {
                let message = match self.behaviour {
                    Behaviour::RejectsAtLength => "x".repeat(1 << 20),
                    _ => "\u{1b}[2Jadmin\u{202e}\u{0}".into(),
                };
                let rejects = vec![Reject::row(1, "bad\ncode", message).in_column("a\u{7}")];
                return Ok(Output::keeps(rows, vec![usage, pod]).with_rejects(rejects));
            }
            Behaviour::FailsInEscapes => {
                return Err(Failure::input("a\u{1b}[2J\nerror: \u{202e}").in_column("b\u{9b}"));
            }
            Behaviour::SpinsInLog => loop {
                log::debug("again");
            },
            Behaviour::Prints => {
                println!("hello of {rows} rows");
                log::info("and this");
                eprint!("something\nis odd");
            }
            Behaviour::PrintsWithoutEnd => {
                for number in 0..100_000 {
                    println!("{number}");
                }
            }
            Behaviour::Gambles => usage = Column::new(Values::Float64(vec![gamble(); rows])),
            Behaviour::Snoops => {
                assert!(std::fs::read_dir("/").is_err(), "there are files");
                assert!(std::fs::write("stolen", "x").is_err(), "there is a disk");
                assert_eq!(std::env::vars_os().count(), 0, "there are variables");
                assert_eq!(std::env::args_os().count(), 0, "there are arguments");
            }
            _ => log::warn("\u{1b}[2Jnothing to see here"),
        }
        Ok(Output::keeps(rows, vec![usage, pod]))
    }

    fn finish(&mut self) -> Result<Vec<Fact>, Failure> {
        match self.behaviour {
            Behaviour::SpinsAtFinish => spin(),
            Behaviour::PanicsAtFinish => panic!("so close"),
            Behaviour::RefusesAtFinish => Err(Failure::input("it was all\u{1b}[2J wrong")),
            Behaviour::FactsWithoutEnd => Ok(vec![Fact {
                topic: "label-keys".into(),
                words: vec![String::new(); 200_000],
            }]),
            Behaviour::LearnsNonsense => Ok(vec![Fact::new(
                "label-keys",
                [
                    String::new(),
                    "a\0b".into(),
                    "\u{1b}[2J\u{202e}".into(),
                    "'; DROP TABLE gristmill_run; --".into(),
                    "x".repeat(1 << 20),
                ],
            )]),
            _ => Ok(Vec::new()),
        }
    }
}

export_stage!(Hostile);

fn text(rows: usize, offsets: Vec<u32>, data: &[u8]) -> Column {
    keys(vec![0; rows], offsets, data)
}

fn keys(keys: Vec<u32>, offsets: Vec<u32>, data: &[u8]) -> Column {
    let data = data.to_vec();
    Column::new(Values::Dictionary(DictionaryValues {
        keys,
        values: Utf8Values { offsets, data },
    }))
}

fn trap() -> ! {
    #[cfg(target_family = "wasm")]
    core::arch::wasm32::unreachable();
    #[cfg(not(target_family = "wasm"))]
    std::process::abort();
}

/// Calls itself until there is no more stack.
#[inline(never)]
#[expect(unconditional_recursion, reason = "that is what it is for")]
fn dive(depth: u64) -> u64 {
    dive(std::hint::black_box(depth + 1)).wrapping_add(std::hint::black_box(depth))
}

/// A number that another machine, or another time, would make another one of.
fn gamble() -> f64 {
    use std::hash::{BuildHasher as _, RandomState};
    let since = std::time::SystemTime::UNIX_EPOCH.elapsed();
    let seconds = since.map_or(0, |since| since.as_secs());
    let chance = RandomState::new().hash_one(seconds);
    (seconds % 1_000 + chance % 1_000) as f64
}

fn spin() -> ! {
    let mut turns = 0_u64;
    loop {
        turns = std::hint::black_box(turns.wrapping_add(1));
    }
}

fn eat_memory() -> ! {
    let mut eaten = Vec::new();
    loop {
        eaten.push(std::hint::black_box(vec![1_u8; 1 << 20]));
    }
}
