//! Which engine folds hours into days: the environment's choice, or that of the source, or
//! the pipeline's.

use std::fmt;

use super::resolve::Resolver;
use crate::diagnostics::problem::{Problem, Span};
pub use crate::pipeline::definition::WhenUnreachable;
use crate::pipeline::definition::{AutoBelow, EngineName};

/// The engine that folds the hours of pods and volumes into days.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AggregationEngine {
    /// Postgres, whenever a day is summarized: it stores the hours.
    Postgres,
    /// The host, while it loads.
    Embedded,
    /// Trino, over files in the lake, before the payload is published.
    Trino,
}

/// A choice of an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineChoice {
    Always(AggregationEngine),
    /// By the bytes of a payload's reports of pods and volumes.
    BySize(EngineBySize),
}

/// An engine for large payloads, and one for the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EngineBySize {
    /// Bytes from which on Trino folds; `None` for never.
    pub trino_from: Option<u64>,
    pub below: AggregationEngine,
}

/// The engines of a pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EnginePlan {
    /// The choice of the command line or the environment, which goes before all others.
    pub environment: Option<AggregationEngine>,
    /// The engine of the pipeline, where a source has none of its own.
    pub pipeline: EngineName,
    /// What engine `auto` goes by.
    pub by_size: EngineBySize,
    pub when_unreachable: WhenUnreachable,
}

impl AggregationEngine {
    pub const ALL: [Self; 3] = [Self::Postgres, Self::Embedded, Self::Trino];

    /// The engine of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|engine| engine.as_str() == name)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Embedded => "embedded",
            Self::Trino => "trino",
        }
    }
}

impl fmt::Display for AggregationEngine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl fmt::Display for EngineChoice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Always(engine) => engine.fmt(formatter),
            Self::BySize(_) => formatter.write_str("auto"),
        }
    }
}

impl EngineChoice {
    /// The choice of a name and of what `[summarize.auto]` says.
    fn of(name: EngineName, by_size: EngineBySize) -> Self {
        match name {
            EngineName::Postgres => Self::Always(AggregationEngine::Postgres),
            EngineName::Embedded => Self::Always(AggregationEngine::Embedded),
            EngineName::Trino => Self::Always(AggregationEngine::Trino),
            EngineName::Auto => Self::BySize(by_size),
        }
    }
}

impl EngineBySize {
    /// The engine for reports of so many bytes.
    pub fn engine(self, bytes: u64) -> AggregationEngine {
        match self.trino_from {
            Some(from) if bytes >= from => AggregationEngine::Trino,
            _ => self.below,
        }
    }
}

impl EnginePlan {
    /// The choice for a source, which may have one of its own.
    pub fn choice(&self, source: Option<EngineName>) -> EngineChoice {
        match self.environment {
            Some(engine) => EngineChoice::Always(engine),
            None => EngineChoice::of(source.unwrap_or(self.pipeline), self.by_size),
        }
    }
}

impl Resolver<'_> {
    /// The one place where the engines of a pipeline are read.
    pub(super) fn engines(&mut self) -> Option<EnginePlan> {
        let summarize = &self.definition.summarize;
        let environment = match self.surroundings.postgres_pipeline {
            Some("true") => Some(AggregationEngine::Postgres),
            Some("false") => Some(AggregationEngine::Trino),
            Some(other) => {
                self.add(Problem::new(
                    None,
                    format!("OCP_POSTGRES_PIPELINE is `{other}`; it must be `true` or `false`"),
                ));
                return None;
            }
            None => None,
        };
        let asked = self.surroundings.asked_engine;
        let what = match asked {
            Some(_) => "`--engine trino`",
            None => "OCP_POSTGRES_PIPELINE=false",
        };
        let environment = asked.or(environment);
        let auto = &summarize.auto;
        if self.definition.trino.is_none() || self.definition.lake.is_none() {
            let declared = summarize.engine.as_ref();
            let by_file = declared.filter(|engine| *engine.get_ref() == EngineName::Trino);
            match (environment, by_file, &auto.trino_from) {
                (Some(AggregationEngine::Trino), ..) => {
                    self.add(needs_trino(None, what));
                }
                (None, Some(engine), _) => {
                    self.add(needs_trino(Some(engine.span()), "engine `trino`"));
                }
                (None, None, Some(from)) => {
                    self.add(needs_trino(Some(from.span()), "`trino-from`"));
                }
                _ => {}
            }
        }
        let name = summarize.engine.as_ref().map(|engine| *engine.get_ref());
        Some(EnginePlan {
            environment,
            pipeline: name.unwrap_or(EngineName::Postgres),
            by_size: EngineBySize {
                trino_from: auto.trino_from.as_ref().map(|from| from.get_ref().0),
                below: match auto.below {
                    AutoBelow::Postgres => AggregationEngine::Postgres,
                    AutoBelow::Embedded => AggregationEngine::Embedded,
                },
            },
            when_unreachable: summarize.when_unreachable,
        })
    }
}

fn needs_trino(span: Option<Span>, what: &str) -> Problem {
    Problem::new(
        span,
        format!("{what} needs `[trino]` and `[lake]`, which the pipeline does not have"),
    )
    .hint("say where Trino and its object storage are, or use `engine = \"postgres\"` or `\"embedded\"`")
}

#[cfg(test)]
mod tests {
    use super::*;

    const AUTO: EngineBySize = EngineBySize {
        trino_from: Some(1_000),
        below: AggregationEngine::Embedded,
    };

    #[test]
    fn the_size_decides_from_its_limit_on() {
        for (bytes, expected) in [
            (0, AggregationEngine::Embedded),
            (999, AggregationEngine::Embedded),
            (1_000, AggregationEngine::Trino),
            (u64::MAX, AggregationEngine::Trino),
        ] {
            assert_eq!(AUTO.engine(bytes), expected, "{bytes}");
        }
        let never = EngineBySize {
            trino_from: None,
            below: AggregationEngine::Postgres,
        };
        assert_eq!(never.engine(u64::MAX), AggregationEngine::Postgres);
    }

    #[test]
    fn what_is_asked_for_goes_before_the_source_and_the_source_before_the_file() {
        use AggregationEngine::{Embedded, Postgres, Trino};
        let names = [
            (EngineName::Postgres, EngineChoice::Always(Postgres)),
            (EngineName::Embedded, EngineChoice::Always(Embedded)),
            (EngineName::Trino, EngineChoice::Always(Trino)),
            (EngineName::Auto, EngineChoice::BySize(AUTO)),
        ];
        for (pipeline, of_pipeline) in names {
            let plan = |environment| EnginePlan {
                environment,
                pipeline,
                by_size: AUTO,
                when_unreachable: WhenUnreachable::default(),
            };
            assert_eq!(plan(None).choice(None), of_pipeline);
            for (source, of_source) in names {
                assert_eq!(plan(None).choice(Some(source)), of_source);
                for engine in AggregationEngine::ALL {
                    let asked = plan(Some(engine));
                    let always = EngineChoice::Always(engine);
                    assert_eq!(asked.choice(Some(source)), always);
                    assert_eq!(asked.choice(None), always);
                }
            }
        }
    }

    #[test]
    fn engines_have_names() {
        for engine in AggregationEngine::ALL {
            assert_eq!(AggregationEngine::named(engine.as_str()), Some(engine));
        }
        assert_eq!(AggregationEngine::named("auto"), None);
    }
}
