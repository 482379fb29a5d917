//! A parser that does what a parser must not, as its configuration says. Otherwise it
//! reads CSV without quotes.

use gristmill_stage::{
    Bitmap, Cell, Column, ColumnType, DictionaryValues, Fact, Failure, Line, Lines, OpenParser, Parsed,
    Parser, RejectedRecord, Rows, Utf8Values, Values, WantedColumn, export_parser, log,
};
use serde::Deserialize;

#[derive(Clone, Copy, Deserialize, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum Behaviour {
    /// Nothing wrong at all.
    Behaves,
    /// Leaves lines that begin with `#` out and says so.
    LeavesOut,
    SpinsAtOpen,
    PanicsAtOpen,
    EatsMemoryAtOpen,
    ExitsAtOpen,
    RefusesAtOpenInEscapes,
    Spins,
    Panics,
    Traps,
    Exits,
    EatsMemory,
    OverflowsStack,
    SpinsInLog,
    /// Returns more than it may.
    Floods,
    Ragged,
    TooFewColumns,
    TooManyColumns,
    WrongType,
    BadKeys,
    BadUtf8,
    BadOffsets,
    ShortValidity,
    HugeRowCount,
    TooFewLines,
    TooFewStarts,
    TooManyLengths,
    LineZero,
    LinesFall,
    LineBeyondTheFile,
    StartBeyondTheFile,
    StartAtTheEndOfNumbers,
    LengthBeyondTheFile,
    RecordsOverlap,
    RecordsRepeat,
    RecordsFall,
    RecordsOfNoBytes,
    RejectsWithoutEnd,
    RejectsTwice,
    RejectsWhatIsARow,
    RejectsBeyondTheFile,
    RejectsLineZero,
    /// Rejects the first row in words that are not for a terminal.
    RejectsInEscapes,
    RejectsAtLength,
    RefusesInEscapes,
    SaysEscapes,
    Chatters,
    /// Takes all chunks and returns nothing.
    Swallows,
    SkipsTheFirst,
    SkipsTheSecond,
    SkipsTheLast,
    LiesAboutWhatIsLeftOut,
    TellsNoNumber,
    SpinsAtFinish,
    PanicsAtFinish,
    EatsMemoryAtFinish,
    RefusesAtFinish,
    /// Tells more facts than its output may hold.
    FactsBeyondTheLimit,
    /// Tells of columns that nobody wanted, which are not there.
    IgnoresWithoutEnd,
    IgnoresEscapes,
    NotANumber,
    EndOfTime,
    /// Says that every byte is a record.
    SplitsBytes,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    behaviour: Behaviour,
}

struct Hostile {
    behaviour: Behaviour,
    wanted: Vec<WantedColumn>,
    header: Vec<String>,
    lines: Lines,
}

impl Parser for Hostile {
    type Config = Config;

    fn open(config: Config, context: OpenParser) -> Result<Self, Failure> {
        match config.behaviour {
            Behaviour::SpinsAtOpen => spin(),
            Behaviour::PanicsAtOpen => panic!("the door is stuck"),
            Behaviour::EatsMemoryAtOpen => eat_memory(),
            Behaviour::ExitsAtOpen => std::process::exit(0),
            Behaviour::RefusesAtOpenInEscapes => Err(Failure::config(
                "beha\u{1b}[2Jviour",
                "not\u{7}\u{202e}today\n",
            )),
            behaviour => Ok(Self {
                behaviour,
                wanted: context.columns,
                header: Vec::new(),
                lines: Lines::default(),
            }),
        }
    }

    fn parse(&mut self, chunk: Vec<u8>, last: bool) -> Result<Parsed, Failure> {
        match self.behaviour {
            Behaviour::Spins => spin(),
            Behaviour::Panics => panic!("the dog ate {} bytes", chunk.len()),
            Behaviour::Traps => trap(),
            Behaviour::Exits => std::process::exit(0),
            Behaviour::EatsMemory => eat_memory(),
            Behaviour::OverflowsStack => {
                std::hint::black_box(dive(chunk.len() as u64));
            }
            Behaviour::SpinsInLog => loop {
                log::debug("again");
            },
            Behaviour::RefusesInEscapes => {
                let failure = Failure::input_at(u64::MAX, "a\u{1b}[2J\nerror: \u{202e}");
                return Err(failure.in_column("b\u{9b}"));
            }
            Behaviour::SaysEscapes => log::warn("\u{1b}[2Jnothing to see here"),
            Behaviour::Chatters => {
                for number in 0..200 {
                    log::info(format!("user\u{202e}nimda {number}"));
                }
            }
            Behaviour::Swallows => return Ok(nothing(&self.wanted)),
            _ => {}
        }
        let parsed = self.read(&chunk, last);
        match parsed.rows {
            0 => Ok(parsed),
            _ => Ok(self.spoil(parsed)),
        }
    }

    fn finish(&mut self) -> Result<Vec<Fact>, Failure> {
        let fact = |topic: &str, word: &str, words| vec![Fact::new(topic, vec![word; words])];
        match self.behaviour {
            Behaviour::SpinsAtFinish => spin(),
            Behaviour::PanicsAtFinish => panic!("so close"),
            Behaviour::EatsMemoryAtFinish => eat_memory(),
            Behaviour::RefusesAtFinish => Err(Failure::input("it was all\u{1b}[2J wrong")),
            Behaviour::FactsBeyondTheLimit => Ok(fact("ignored-columns", &"x".repeat(4096), 512)),
            Behaviour::IgnoresWithoutEnd => Ok(vec![Fact::new(
                "ignored-columns",
                (0..20_000).map(|number| format!("column-{number}")),
            )]),
            Behaviour::IgnoresEscapes => Ok(fact("ignored-columns", "\u{1b}[2J\u{202e}\n", 1)),
            Behaviour::LiesAboutWhatIsLeftOut => Ok(fact("left-out-bytes", "7", 1)),
            Behaviour::TellsNoNumber => Ok(fact("left-out-bytes", "\u{1b}[2Jmany", 1)),
            _ => Ok(Vec::new()),
        }
    }
}

impl Hostile {
    /// What is in the chunk, without any harm, but for lines that are passed over.
    fn read(&mut self, chunk: &[u8], last: bool) -> Parsed {
        let Self {
            behaviour,
            wanted,
            header,
            lines,
        } = self;
        let mut rows = Rows::new(wanted);
        lines.feed(chunk, last, |line| {
            let text = String::from_utf8_lossy(line.bytes).into_owned();
            let cells: Vec<String> = text.split(',').map(str::to_string).collect();
            if header.is_empty() {
                *header = cells;
                return;
            }
            match behaviour {
                Behaviour::RejectsLineZero
                | Behaviour::RejectsInEscapes
                | Behaviour::RejectsAtLength
                    if line.number == 2 =>
                {
                    rows.reject(line, "disliked", "a row that nobody likes");
                }
                Behaviour::LeavesOut if text.starts_with('#') => rows.leave_out(line),
                Behaviour::SkipsTheFirst if line.number == 2 => {}
                Behaviour::SkipsTheSecond if line.number == 3 => {}
                Behaviour::SkipsTheLast if line.number == 4 => {}
                Behaviour::SplitsBytes => {
                    for (offset, byte) in line.bytes.iter().enumerate() {
                        let line = Line {
                            start: line.start + offset as u64,
                            bytes: std::slice::from_ref(byte),
                            ..line
                        };
                        rows.push(line, |column| cell(header, &cells, column));
                    }
                }
                _ => rows.push(line, |column| cell(header, &cells, column)),
            }
        });
        rows.finish()
    }

    /// Makes of it what the behaviour says.
    fn spoil(&self, mut parsed: Parsed) -> Parsed {
        let rows = parsed.rows;
        let number = self.position(ColumnType::Float64);
        let text = self.position(ColumnType::Dictionary);
        let time = self.position(ColumnType::Timestamp);
        let one_text = |keys: Vec<u32>, offsets: Vec<u32>, data: &[u8]| {
            let values = Utf8Values {
                offsets,
                data: data.to_vec(),
            };
            Column::new(Values::Dictionary(DictionaryValues { keys, values }))
        };
        let numbers = |value, rows| Column::new(Values::Float64(vec![value; rows]));
        match self.behaviour {
            Behaviour::Floods => parsed.columns[number] = numbers(1.0, 1 << 20),
            Behaviour::Ragged => parsed.columns[number] = numbers(1.0, rows - 1),
            Behaviour::NotANumber => parsed.columns[number] = numbers(f64::NAN, rows),
            Behaviour::TooFewColumns => drop(parsed.columns.pop()),
            Behaviour::TooManyColumns => parsed.columns.push(numbers(1.0, rows)),
            Behaviour::WrongType => {
                parsed.columns[number] = Column::new(Values::Int64(vec![1; rows]));
            }
            Behaviour::EndOfTime => {
                parsed.columns[time] = Column::new(Values::Timestamp(vec![i64::MAX; rows]));
            }
            Behaviour::BadKeys => parsed.columns[text] = one_text(vec![7; rows], vec![0, 1], b"a"),
            Behaviour::BadUtf8 => {
                parsed.columns[text] = one_text(vec![0; rows], vec![0, 1], b"\xff");
            }
            Behaviour::BadOffsets => {
                parsed.columns[text] = one_text(vec![0; rows], vec![0, 9], b"abc");
            }
            Behaviour::ShortValidity => {
                parsed.columns[number].validity = Some(Bitmap::from_bytes(Vec::new()));
            }
            Behaviour::HugeRowCount => parsed.rows = u32::MAX as usize,
            Behaviour::TooFewLines => drop(parsed.lines.pop()),
            Behaviour::TooFewStarts => drop(parsed.starts.pop()),
            Behaviour::TooManyLengths => parsed.lengths.push(1),
            Behaviour::LineZero => parsed.lines[0] = 0,
            Behaviour::LinesFall => parsed.lines.reverse(),
            Behaviour::LineBeyondTheFile => parsed.lines[rows - 1] = u64::MAX,
            Behaviour::StartBeyondTheFile => parsed.starts[rows - 1] = 1 << 40,
            Behaviour::StartAtTheEndOfNumbers => parsed.starts[rows - 1] = u64::MAX,
            Behaviour::LengthBeyondTheFile => parsed.lengths[rows - 1] = u32::MAX,
            Behaviour::RecordsOverlap => parsed.lengths[0] += 2,
            Behaviour::RecordsRepeat => parsed.starts[1] = parsed.starts[0],
            Behaviour::RecordsFall => {
                parsed.starts.reverse();
                parsed.lengths.reverse();
            }
            Behaviour::RecordsOfNoBytes => parsed.lengths.fill(0),
            Behaviour::RejectsWithoutEnd => {
                parsed.rejects = vec![reject(2, parsed.starts[0], 1); 500_000];
            }
            Behaviour::RejectsTwice => {
                let (start, length) = (parsed.starts[0], parsed.lengths[0]);
                parsed = nothing(&self.wanted);
                parsed.rejects = vec![reject(2, start, length); 2];
            }
            Behaviour::RejectsWhatIsARow => {
                let last = rows - 1;
                let (start, length) = (parsed.starts[last], parsed.lengths[last]);
                parsed.rejects = vec![reject(parsed.lines[last], start, length)];
            }
            Behaviour::RejectsBeyondTheFile => parsed.rejects = vec![reject(9, 1 << 40, 1)],
            Behaviour::RejectsLineZero => parsed.rejects[0].line = 0,
            Behaviour::RejectsInEscapes => {
                parsed.rejects[0].column = Some("a\u{7}".into());
                parsed.rejects[0].code = "bad\ncode".into();
                parsed.rejects[0].message = "\u{1b}[2Jadmin\u{202e}\u{0}".into();
            }
            Behaviour::RejectsAtLength => parsed.rejects[0].message = "x".repeat(1 << 20),
            _ => {}
        }
        parsed
    }

    /// The first wanted column of a type.
    fn position(&self, column_type: ColumnType) -> usize {
        let mut columns = self.wanted.iter();
        let position = columns.position(|column| column.column_type == column_type);
        position.expect("a column of each type")
    }
}

fn cell(header: &[String], cells: &[String], column: &WantedColumn) -> Cell<'static> {
    let position = header.iter().position(|name| *name == column.name);
    let text = match position.and_then(|position| cells.get(position)) {
        Some(text) => text.clone(),
        None => return Cell::Missing,
    };
    match column.column_type {
        // `2026-01-01 05:00:00 +0000 UTC`
        ColumnType::Timestamp => {
            let time = text.replace(" +0000 UTC", "Z");
            Cell::Text(time.replacen(' ', "T", 1).into())
        }
        _ => Cell::Text(text.into()),
    }
}

fn reject(line: u64, start: u64, length: u32) -> RejectedRecord {
    RejectedRecord {
        line,
        start,
        length,
        column: None,
        code: "disliked".into(),
        message: "a row that nobody likes".into(),
    }
}

/// No rows, of all columns.
fn nothing(wanted: &[WantedColumn]) -> Parsed {
    Rows::new(wanted).finish()
}

export_parser!(Hostile);

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
