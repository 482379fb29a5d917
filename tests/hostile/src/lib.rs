//! A stage that does what a stage must not, as its configuration says. It stands
//! between the parser and the others and should change nothing.

use gristmill_stage::{
    Batch, Column, ColumnType, Contract, DictionaryValues, Failure, OpenTransform, Output, Reject,
    Stage, Utf8Values, Values, export_stage, log,
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
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Hostile {
    behaviour: Behaviour,
}

impl Stage for Hostile {
    type Config = Self;

    fn open(config: Self, _: OpenTransform) -> Result<Self, Failure> {
        if config.behaviour == Behaviour::SpinsAtOpen {
            spin();
        }
        Ok(config)
    }

    fn contract(&self) -> Contract {
        let contract = match self.behaviour {
            Behaviour::LosesRow | Behaviour::Rearranges => Contract::rearranges(),
            _ => Contract::keeps(),
        };
        let contract = contract
            .reads(USAGE, ColumnType::Float64)
            .reads(POD, ColumnType::Dictionary)
            .writes(USAGE, ColumnType::Float64)
            .writes(POD, ColumnType::Dictionary);
        match self.behaviour {
            Behaviour::DropsUnknown => contract.drops("no_such_column"),
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
            Behaviour::Behaves | Behaviour::SpinsAtOpen | Behaviour::DropsUnknown => {
                log::warn("\u{1b}[2Jnothing to see here");
            }
        }
        Ok(Output::keeps(rows, vec![usage, pod]))
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
