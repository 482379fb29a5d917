//! Times, and what can be said of them on a machine that is never quiet.

use std::time::Instant;

use anyhow::Result;

/// How long a thing took, each time.
#[derive(Debug, Default)]
pub(crate) struct Samples(Vec<f64>);

impl Samples {
    pub(crate) fn push(&mut self, seconds: f64) {
        self.0.push(seconds);
    }

    /// The shortest: what disturbs only adds.
    pub(crate) fn best(&self) -> f64 {
        best(self.0.iter())
    }

    /// The best of every other repetition against the best of the rest.
    fn noise(&self) -> f64 {
        let ratio = best(self.0.iter().step_by(2)) / best(self.0.iter().skip(1).step_by(2));
        ratio.max(1.0 / ratio)
    }
}

/// Two things that were measured in turn.
pub(crate) struct Pair<'a> {
    pub(crate) left: &'a Samples,
    pub(crate) right: &'a Samples,
}

impl Pair<'_> {
    pub(crate) fn ratio(&self) -> f64 {
        self.left.best() / self.right.best()
    }

    /// The difference of each from itself.
    pub(crate) fn noise(&self) -> f64 {
        self.left.noise().max(self.right.noise())
    }
}

/// How long something takes, in seconds.
pub(crate) fn time(what: impl FnOnce() -> Result<()>) -> Result<f64> {
    let started = Instant::now();
    what()?;
    Ok(started.elapsed().as_secs_f64())
}

fn best<'s>(samples: impl Iterator<Item = &'s f64>) -> f64 {
    samples.copied().fold(f64::INFINITY, f64::min)
}
