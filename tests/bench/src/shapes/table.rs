//! The table of shapes, and the figures that set one shape against another.

use anyhow::{Context, Result};

use super::payloads::{
    EVERYTHING, GROWING, GROWN, SMALL, SMALL_DAYS, SMALL_DAYS_AT_ONCE, SMALL_DAYS_WATCHED,
    SMALL_WATCHED,
};
use super::{Cost, Measured};
use crate::Line;
use crate::timing::Pair;

/// The columns of [`ShapeLine::cells`].
pub const SHAPES_HEADER: [&str; 11] = [
    "shape",
    "rows",
    "wall",
    "A/A",
    "processor: program, server",
    "memory",
    "wall / copy",
    "processor / copy",
    "wall / base",
    "processor / base",
    "functions",
];

/// A thing against another one.
#[derive(Clone, Copy, Debug)]
pub struct Ratio {
    pub wall: f64,
    pub processor: f64,
}

/// A shape in the table.
#[derive(Debug)]
pub struct ShapeLine {
    pub name: &'static str,
    pub rows: u64,
    pub seconds: f64,
    pub noise: f64,
    pub program_seconds: f64,
    pub server_seconds: f64,
    pub peak_bytes: u64,
    pub to_copy: Option<Ratio>,
    pub to_base: Option<Ratio>,
    /// The heaviest functions, each with its share of the run.
    pub functions: Vec<(String, f64)>,
}

impl ShapeLine {
    pub fn cells(&self) -> Vec<String> {
        let ratio = |ratio: Option<f64>| ratio.map_or(String::new(), |ratio| format!("{ratio:.2}"));
        let functions: Vec<String> = self
            .functions
            .iter()
            .map(|(name, share)| format!("{name} {:.0} %", share * 100.0))
            .collect();
        vec![
            self.name.to_owned(),
            self.rows.to_string(),
            format!("{:.2} s", self.seconds),
            format!("{:.2}", self.noise),
            format!("{:.2}, {:.2} s", self.program_seconds, self.server_seconds),
            format!("{:.0} MiB", self.peak_bytes as f64 / f64::from(1 << 20)),
            ratio(self.to_copy.map(|ratio| ratio.wall)),
            ratio(self.to_copy.map(|ratio| ratio.processor)),
            ratio(self.to_base.map(|ratio| ratio.wall)),
            ratio(self.to_base.map(|ratio| ratio.processor)),
            functions.join(", "),
        ]
    }

    /// All of it, on a line of its own.
    pub(super) fn summary(&self) -> String {
        self.cells()[1..].join("; ")
    }
}

impl Measured {
    fn payloads(&self) -> usize {
        self.shape.uploads.len()
    }

    pub(super) fn line(&self) -> ShapeLine {
        let today = &self.today;
        let against = |other: &Option<Cost>| other.as_ref().map(|other| ratio(today, other));
        ShapeLine {
            name: self.shape.name,
            rows: self.rows,
            seconds: today.wall.best(),
            noise: noise(today, today),
            program_seconds: today.program.best(),
            server_seconds: today.server.best(),
            peak_bytes: today.peak_bytes,
            to_copy: against(&self.copy),
            to_base: against(&self.base),
            functions: today.functions.clone(),
        }
    }
}

fn ratio(left: &Cost, right: &Cost) -> Ratio {
    Ratio {
        wall: left.wall.best() / right.wall.best(),
        processor: left.processor.best() / right.processor.best(),
    }
}

fn noise(left: &Cost, right: &Cost) -> f64 {
    Pair {
        left: &left.wall,
        right: &right.wall,
    }
    .noise()
}

/// The figures that are made of several shapes.
pub(super) fn figures(measured: &[Measured]) -> Result<Vec<Line>> {
    let find = |name: &str| {
        measured
            .iter()
            .find(|measured| measured.shape.name == name)
            .with_context(|| format!("there is no shape `{name}`"))
    };
    let mut lines = small("9 small payload, `run`", find(SMALL)?, find(SMALL_DAYS)?);
    lines.extend(small(
        "9 small payload, `watch`",
        find(SMALL_WATCHED)?,
        find(SMALL_DAYS_WATCHED)?,
    ));
    lines.push(against(
        "9 30 small days / in one payload",
        find(SMALL_DAYS)?,
        find(SMALL_DAYS_AT_ONCE)?,
        "≤ 2",
    ));
    lines.push(against(
        "9 four growing uploads / the last alone",
        find(GROWING)?,
        find(GROWN)?,
        "≤ 1.6",
    ));
    for (name, target) in [(SMALL_DAYS, "≤ 0.3"), (EVERYTHING, "≤ 0.6")] {
        let found = find(name)?;
        if let Some(base) = &found.base {
            lines.push(Line {
                what: format!("9 {name}, now / base"),
                ..compared(&found.today, base, target)
            });
        }
    }
    Ok(lines)
}

/// What one payload more costs, behind the first; against the base where there is one.
fn small(what: &str, one: &Measured, many: &Measured) -> Vec<Line> {
    let more = many.payloads().saturating_sub(1).max(1) as f64;
    let each = |one: &Cost, many: &Cost| {
        [
            (many.wall.best() - one.wall.best()) / more,
            (many.program.best() - one.program.best()) / more,
            (many.server.best() - one.server.best()) / more,
        ]
    };
    let told = |[wall, program, server]: [f64; 3]| {
        format!(
            "{:.0} ms; CPU program {:.0}, server {:.0} ms",
            wall * 1e3,
            program * 1e3,
            server * 1e3
        )
    };
    let today = each(&one.today, &many.today);
    let mut lines = vec![Line {
        what: what.to_owned(),
        value: format!("{:.0} ms", today[0] * 1e3),
        noise: format!("{:.2}", noise(&one.today, &many.today)),
        target: "",
        detail: format!("{}; {} rows", told(today), one.rows),
    }];
    if let (Some(base_one), Some(base_many)) = (&one.base, &many.base) {
        let base = each(base_one, base_many);
        lines.push(Line {
            what: format!("{what}, now / base"),
            value: format!("{:.2}", today[0] / base[0]),
            noise: format!("{:.2}", noise(base_one, base_many)),
            target: "≤ 0.3",
            detail: format!(
                "processor time {:.2}; base {}",
                (today[1] + today[2]) / (base[1] + base[2]),
                told(base)
            ),
        });
    }
    lines
}

fn against(what: &str, left: &Measured, right: &Measured, target: &'static str) -> Line {
    Line {
        what: what.to_owned(),
        ..compared(&left.today, &right.today, target)
    }
}

fn compared(left: &Cost, right: &Cost, target: &'static str) -> Line {
    let ratio = ratio(left, right);
    Line {
        what: String::new(),
        value: format!("{:.2}", ratio.wall),
        noise: format!("{:.2}", noise(left, right)),
        target,
        detail: format!(
            "{:.2} s against {:.2} s; processor time {:.2}, {:.2} s against {:.2} s",
            left.wall.best(),
            right.wall.best(),
            ratio.processor,
            left.processor.best(),
            right.processor.best(),
        ),
    }
}
