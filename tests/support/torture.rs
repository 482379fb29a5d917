//! How much of something is done: a little in `make test`, much more in `make
//! torture`, which sets `GRISTMILL_TORTURE` and adds up the figures. There each part
//! has a time, so that all of them are over in half an hour on two processors.

use std::env;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::time::{Duration, Instant};

/// Something that is done again and again: so often in `make test`; under torture
/// more often, until its time is up.
pub(crate) struct Work {
    at_least: u32,
    at_most: u32,
    until: Instant,
}

impl Work {
    pub(crate) fn new(usually: u32, under_torture: u32, time_under_torture: Duration) -> Work {
        Work {
            at_least: usually,
            at_most: if is_on() { under_torture } else { usually },
            until: Instant::now() + time_under_torture,
        }
    }

    /// Whether it is to be done once more, after so often.
    pub(crate) fn goes_on(&self, done: u32) -> bool {
        done < self.at_least || done < self.at_most && Instant::now() < self.until
    }

    /// How often it is done when time suffices.
    pub(crate) fn at_most(&self) -> u32 {
        self.at_most
    }
}

/// Whether this is `make torture`.
pub(crate) fn is_on() -> bool {
    env::var_os("GRISTMILL_TORTURE").is_some()
}

/// Chance that is the same each time (splitmix64).
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below another one.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.draw() % end as u64).expect("it is below")
    }

    /// A number from 0 to 1.
    pub(crate) fn part(&mut self) -> f64 {
        self.below(1 << 20) as f64 / f64::from(1 << 20)
    }
}

/// Adds to a figure of `make torture`.
pub(crate) fn figure(name: &str, count: usize) {
    let Some(path) = env::var_os("GRISTMILL_TORTURE_FIGURES") else {
        return;
    };
    let mut file = OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)
        .expect("the file of figures");
    // One write a line, since tests end at the same time.
    file.write_all(format!("{count} {name}\n").as_bytes())
        .expect("a figure");
}

/// A stage did its worst, and nothing came of it but what it was said to.
pub(crate) fn contained() {
    figure("hostile stages contained", 1);
}
