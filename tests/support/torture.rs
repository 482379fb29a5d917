//! How much of something is done: a little in `make test`, much more in `make
//! torture`, which sets `GRISTMILL_TORTURE` and adds up the figures.

use std::env;
use std::fs::OpenOptions;
use std::io::Write as _;

/// One of two amounts.
pub(crate) fn amount(usually: u32, under_torture: u32) -> u32 {
    match env::var_os("GRISTMILL_TORTURE") {
        Some(_) => under_torture,
        None => usually,
    }
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
