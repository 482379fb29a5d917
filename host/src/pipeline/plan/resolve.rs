//! Resolves a definition to its plan, and collects every problem on the way.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::Spanned;

use super::stages::CHUNK_BYTES_RANGE;
use super::{
    AggregationEngine, ArchivePlan, LakePlan, LoadPlan, MonthLimits, Plan, ReportAction,
    ReportPlan, StagePlan, Target, TransformPlan, TrinoPlan,
};
use crate::diagnostics::problem::{Problem, Sources, Span};
use crate::pipeline::definition::{self, Definition, SourcedDefinition};
use crate::pipeline::lock::{self, Lock};
use crate::pipeline::staging::{self, PARTITION_COLUMN, StagingTable};
use crate::rows::column::{ColumnType, Schema, nearest};
use crate::stage::{Engine, StageError, WantedColumn, World};

/// Bytes of a report that a parser gets at a time: some 1,800 pod rows, beyond
/// which batches gain little and cost memory.
pub(super) const CHUNK_BYTES: u64 = 1 << 20;

/// Months before the present one that may be loaded: as many as `clean` can keep.
pub(super) const MONTHS_BACK: u32 = 120;

/// Months after it: clocks of clusters differ by hours, which may be those around the end
/// of a month, and one month more is no harm.
pub(super) const MONTHS_AHEAD: u32 = 2;

/// The surroundings that a plan needs to know besides the definition.
pub struct Surroundings<'a> {
    pub engine: &'a Engine,
    /// `--stages`, then where components stand beside the program.
    pub stage_folders: &'a [PathBuf],
    /// `OCP_POSTGRES_PIPELINE`, when it is set.
    pub postgres_pipeline: Option<&'a str>,
    /// The engine that the command line asks for, before all others.
    pub asked_engine: Option<AggregationEngine>,
    /// The only components that may run, with `--locked`.
    pub lock: Option<&'a Lock>,
}

/// Makes the plan, or names everything that is wrong.
///
/// # Errors
/// Every problem of the definition, in the order of the file.
pub fn resolve(
    loaded: &SourcedDefinition,
    surroundings: &Surroundings<'_>,
) -> Result<Plan, Vec<Problem>> {
    let mut resolver = Resolver {
        definition: &loaded.definition,
        sources: &loaded.sources,
        path: &loaded.path,
        surroundings,
        problems: Vec::new(),
    };
    let plan = resolver.plan();
    let mut problems = resolver.problems;
    match plan {
        Some(plan) if problems.is_empty() => Ok(plan),
        _ => {
            problems.sort_by_key(|problem| problem.span.as_ref().map(|span| span.start));
            problems.dedup();
            Err(problems)
        }
    }
}

/// The servers of engine `trino`, where a definition has them, for those who need no plan.
///
/// # Errors
/// Every problem of their sections.
pub fn resolve_servers(
    loaded: &SourcedDefinition,
    surroundings: &Surroundings<'_>,
) -> Result<Option<(LakePlan, TrinoPlan)>, Vec<Problem>> {
    let mut resolver = Resolver {
        definition: &loaded.definition,
        sources: &loaded.sources,
        path: &loaded.path,
        surroundings,
        problems: Vec::new(),
    };
    let servers = resolver.lake().zip(resolver.trino());
    match resolver.problems.is_empty() {
        true => Ok(servers),
        false => Err(resolver.problems),
    }
}

pub(super) struct Resolver<'a> {
    pub(super) definition: &'a Definition,
    pub(super) sources: &'a Sources,
    pub(super) path: &'a Path,
    pub(super) surroundings: &'a Surroundings<'a>,
    problems: Vec<Problem>,
}

impl<'a> Resolver<'a> {
    pub(super) fn add(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    fn plan(&mut self) -> Option<Plan> {
        let definition = self.definition;
        let limits = &definition.limits;
        let engines = self.engines();
        let lake = self.lake();
        let trino = self.trino();
        let stages: BTreeMap<&str, Option<StagePlan>> = definition
            .stages
            .iter()
            .map(|(name, stage)| (name.get_ref().as_str(), self.stage(name, stage)))
            .collect();
        self.nothing_else_is_locked();
        let reports: Vec<Option<ReportPlan>> = definition
            .reports
            .iter()
            .map(|(name, report)| self.report_kind(name, report, &stages))
            .collect();
        let coverage = self.coverage();
        let chunk_bytes = match &limits.chunk {
            Some(chunk) => self.within("chunk", chunk.span(), chunk.get_ref().0, CHUNK_BYTES_RANGE),
            None => Some(CHUNK_BYTES),
        };
        let rejected_rows = self.rejected_rows();
        let budget = self.budget();
        self.retention();
        let lock_wait = self.lock_wait();
        let watch = self.watch();
        Some(Plan {
            name: definition.pipeline.name.get_ref().clone(),
            path: self.path.to_path_buf(),
            engines: engines?,
            lake,
            trino,
            coverage: coverage?,
            unknown_reports: definition.publish.unknown_reports,
            rejected_rows: rejected_rows?,
            budget: budget?,
            chunk_bytes: chunk_bytes? as usize,
            months: MonthLimits {
                back: limits.months_back.map_or(MONTHS_BACK, u32::from),
                ahead: limits.months_ahead.map_or(MONTHS_AHEAD, u32::from),
            },
            register_sources: definition.sources.register,
            archive: self.archive(),
            lock_wait: lock_wait?,
            watch: watch?,
            stages: stages.into_values().collect::<Option<_>>()?,
            reports: reports.into_iter().collect::<Option<_>>()?,
        })
    }

    /// A stage that is locked and not defined: the lock is of another pipeline.
    fn nothing_else_is_locked(&mut self) {
        let Some(lock) = self.surroundings.lock else {
            return;
        };
        for (name, (span, _)) in &lock.stages {
            if !self.definition.stages.contains_key(name.as_str()) {
                self.add(
                    Problem::new(
                        span.clone(),
                        format!("stage `{name}` is locked, but the pipeline has no such stage"),
                    )
                    .hint(self.lock_again()),
                );
            }
        }
    }

    pub(super) fn lock_again(&self) -> String {
        format!("`{}` locks the pipeline as it is", lock::command(self.path))
    }

    fn archive(&self) -> ArchivePlan {
        let declared = &self.definition.archive;
        let directory = declared.directory.as_ref().map(|directory| {
            let folder = self.sources.path(&directory.span()).and_then(Path::parent);
            folder.unwrap_or(Path::new("")).join(directory.get_ref())
        });
        ArchivePlan {
            keep: declared.keep,
            directory,
        }
    }

    fn coverage(&mut self) -> Option<String> {
        let reports = &self.definition.reports;
        let declared = self.definition.publish.coverage.as_ref();
        let Some(name) = declared else {
            let span = self.definition.pipeline.name.span();
            self.add(
                Problem::new(span, "the pipeline does not say which report decides a day")
                    .hint("add `[publish]` with `coverage = \"pod-usage\"`"),
            );
            return None;
        };
        if reports
            .iter()
            .any(|(report, kind)| report.get_ref() == name.get_ref() && !kind.ignore)
        {
            return Some(name.get_ref().clone());
        }
        self.add(Problem::new(
            name.span(),
            format!(
                "`{}` is not a report that this pipeline loads",
                name.get_ref()
            ),
        ));
        None
    }

    fn report_kind(
        &mut self,
        name: &Spanned<String>,
        report: &definition::Report,
        stages: &BTreeMap<&str, Option<StagePlan>>,
    ) -> Option<ReportPlan> {
        let detect: Vec<String> = report
            .detect
            .get_ref()
            .iter()
            .map(|column| column.get_ref().clone())
            .collect();
        if detect.is_empty() {
            self.add(Problem::new(
                report.detect.span(),
                format!("report `{}` is detected by no column", name.get_ref()),
            ));
            return None;
        }
        let action = if report.ignore {
            ReportAction::Ignore
        } else {
            ReportAction::Load(Box::new(self.load(name, report, stages)?))
        };
        Some(ReportPlan {
            name: name.get_ref().clone(),
            detect,
            action,
        })
    }

    fn load(
        &mut self,
        name: &Spanned<String>,
        report: &definition::Report,
        stages: &BTreeMap<&str, Option<StagePlan>>,
    ) -> Option<LoadPlan> {
        let table = self.table(name, report);
        let chain = self.chain(name, report, stages)?;
        let (first, parser) = chain.first()?;
        for (column, wanted) in &report.columns {
            if wanted.column_type == ColumnType::Json {
                self.add(
                    Problem::new(
                        column.span(),
                        format!("column `{}` of a file cannot be `json`", column.get_ref()),
                    )
                    .hint("read it as `text`; a stage such as label-filter makes json of it"),
                );
                return None;
            }
        }
        let columns: Vec<WantedColumn> = report
            .columns
            .iter()
            .map(|(column, wanted)| WantedColumn {
                name: column.get_ref().clone(),
                column_type: wanted.column_type,
                required: !wanted.optional,
                empty_is_null: wanted.empty_is_null,
            })
            .collect();
        let no_words = |_| Vec::new();
        let opened = parser
            .component
            .open_parser(&parser.settings(&no_words), &columns);
        let parsed = match opened {
            Ok(parser) => Arc::clone(parser.schema()),
            Err(error) => {
                self.refused(name, first, parser, &error, None);
                return None;
            }
        };
        let mut schema = Arc::clone(&parsed);
        let mut transforms = Vec::new();
        for (span, stage) in &chain[1..] {
            let opened = stage
                .component
                .open_transform(&stage.settings(&no_words), &schema);
            match opened {
                Ok(transform) => {
                    schema = Arc::clone(transform.output());
                    transforms.push(TransformPlan {
                        stage: (*stage).clone(),
                        contract: transform.contract().clone(),
                        output: Arc::clone(transform.output()),
                    });
                }
                Err(error) => {
                    self.refused(name, span, stage, &error, Some(&schema));
                    return None;
                }
            }
        }
        let targets = self.targets(name, report, &schema, table?)?;
        let left_null = table?
            .columns
            .iter()
            .map(|column| column.name)
            .filter(|name| !targets.iter().any(|target| target.column == *name))
            .map(str::to_owned)
            .collect();
        Some(LoadPlan {
            parser: (*parser).clone(),
            columns,
            parsed,
            transforms,
            table: table?.name.to_owned(),
            targets,
            left_null,
        })
    }

    fn table(
        &mut self,
        name: &Spanned<String>,
        report: &definition::Report,
    ) -> Option<&'static StagingTable> {
        let Some(into) = &report.into else {
            self.add(
                Problem::new(
                    name.span(),
                    format!("report `{}` goes nowhere", name.get_ref()),
                )
                .hint("name its staging table in `into`, or say `ignore = true`"),
            );
            return None;
        };
        let names = staging::TABLES.iter().map(|table| table.name);
        let table = staging::TABLES
            .iter()
            .find(|table| table.name == into.get_ref());
        if table.is_none() {
            let mut problem = Problem::new(
                into.span(),
                format!("there is no staging table `{}`", into.get_ref()),
            );
            problem.hint = Some(match nearest(into.get_ref(), names.clone()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("there are {}", names.collect::<Vec<_>>().join(", ")),
            });
            self.add(problem);
        }
        table
    }

    /// The stages of a report in order, with their places; a parser, then
    /// transforms.
    fn chain<'s>(
        &mut self,
        name: &Spanned<String>,
        report: &definition::Report,
        stages: &'s BTreeMap<&str, Option<StagePlan>>,
    ) -> Option<Vec<(Span, &'s StagePlan)>> {
        let names = report
            .stages
            .as_ref()
            .filter(|names| !names.get_ref().is_empty());
        let Some(names) = names else {
            self.add(
                Problem::new(
                    name.span(),
                    format!("report `{}` has no stages", name.get_ref()),
                )
                .hint("name them in `stages`, or say `ignore = true`"),
            );
            return None;
        };
        let mut chain = Vec::new();
        let mut whole = true;
        for (position, stage_name) in names.get_ref().iter().enumerate() {
            let Some(stage) = stages.get(stage_name.get_ref().as_str()) else {
                let mut problem = Problem::new(
                    stage_name.span(),
                    format!("stage `{}` is not defined", stage_name.get_ref()),
                );
                problem.hint = nearest(stage_name.get_ref(), stages.keys().copied())
                    .map(|near| format!("did you mean `{near}`?"));
                self.add(problem);
                whole = false;
                continue;
            };
            // A stage that could not be made has been reported where it stands.
            let Some(stage) = stage else {
                whole = false;
                continue;
            };
            let wanted = if position == 0 {
                World::Parser
            } else {
                World::Transform
            };
            if stage.component.world != wanted {
                let found = stage.component.world;
                self.add(
                    Problem::new(
                        stage_name.span(),
                        format!(
                            "stage `{}` is a {found}; a {wanted} belongs here",
                            stage.name
                        ),
                    )
                    .hint("a chain is one parser, then transforms"),
                );
                whole = false;
                continue;
            }
            chain.push((stage_name.span(), stage));
        }
        whole.then_some(chain)
    }

    fn targets(
        &mut self,
        name: &Spanned<String>,
        report: &definition::Report,
        schema: &Schema,
        table: &StagingTable,
    ) -> Option<Vec<Target>> {
        let span = report.into.as_ref().map_or(name.span(), Spanned::span);
        let mut targets = Vec::new();
        for field in &schema.fields {
            match table.place(&field.name, field.column_type) {
                Ok(column) => targets.push(Target {
                    column: column.name.to_owned(),
                    storage: column.storage,
                    required: column.required,
                }),
                Err(reason) => {
                    let mut problem = Problem::new(
                        span.clone(),
                        format!("report `{}`: {reason}", name.get_ref()),
                    );
                    problem.hint = nearest(&field.name, table.batch_names())
                        .filter(|near| *near != field.name)
                        .map(|near| format!("the table has `{near}`"));
                    self.add(problem);
                }
            }
        }
        // A column that found no place has been told; the one it was meant for is not
        // missing as well.
        let placed = targets.len() == schema.fields.len();
        for column in table
            .columns
            .iter()
            .filter(|column| column.required && placed)
        {
            if !targets.iter().any(|target| target.column == column.name) {
                self.add(Problem::new(
                    span.clone(),
                    format!(
                        "report `{}`: table `{}` needs `{}`, which no stage provides",
                        name.get_ref(),
                        table.name,
                        column.batch_name()
                    ),
                ));
            }
        }
        targets
            .iter()
            .any(|target| target.column == PARTITION_COLUMN)
            .then_some(targets)
    }

    /// A stage refused what the plan would open it with. A wrong configuration is
    /// wrong in every report, so it is told once, where it stands.
    fn refused(
        &mut self,
        report: &Spanned<String>,
        span: &Span,
        stage: &StagePlan,
        error: &StageError,
        schema: Option<&Schema>,
    ) {
        let declared = self.definition.stages.get(stage.name.as_str());
        let config = declared.and_then(|stage| stage.config.as_ref());
        let mut problem = match (error, config) {
            (StageError::Config { .. }, Some(config)) => {
                Problem::new(config.span(), format!("stage `{}`: {error}", stage.name))
            }
            _ => Problem::new(
                span.clone(),
                format!(
                    "report `{}`, stage `{}`: {error}",
                    report.get_ref(),
                    stage.name
                ),
            ),
        };
        if let StageError::Schema { column, .. } = error {
            problem.hint = schema
                .and_then(|schema| schema.nearest(column))
                .filter(|near| near != column)
                .map(|near| format!("did you mean `{near}`?"));
        }
        self.add(problem);
    }
}
