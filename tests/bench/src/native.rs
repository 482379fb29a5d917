//! The shipped stages without the sandbox: the same code, called in this process.
//!
//! Columns move from stage to stage; one that a stage reads and leaves is copied,
//! since a stage owns what it is given.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use gristmill::pipeline::plan::{LoadPlan, StagePlan};
use gristmill::rows::column;
use gristmill_plugin_csv_parse::CsvParse;
use gristmill_plugin_effective_usage::EffectiveUsage;
use gristmill_plugin_label_filter::LabelFilter;
use gristmill_plugin_unit_conversion::UnitConversion;
use gristmill_stage::{
    Batch, Column, ColumnType, Contract, Failure, Field, OpenParser, OpenTransform, Output, Parser,
    Schema, Sets, Stage, WantedColumn, parse_config,
};

use crate::ENABLED_KEYS;

/// The stages of a report, opened.
pub struct NativeChain {
    parser: CsvParse,
    names: Vec<String>,
    transforms: Vec<NativeTransform>,
    /// Time in each stage, in the order of the chain.
    pub stage_time: Vec<Duration>,
}

/// A transform of a report, opened.
pub struct NativeTransform {
    stage: Box<dyn Transform>,
    contract: Contract,
}

/// A stage whatever its configuration is.
trait Transform {
    fn process(&mut self, batch: Batch) -> Result<Output, Failure>;
}

impl<S: Stage> Transform for S {
    fn process(&mut self, batch: Batch) -> Result<Output, Failure> {
        Stage::process(self, batch)
    }
}

/// A column on its way, under its name.
type Named = (String, Column);

impl NativeChain {
    /// # Errors
    /// The plan has a stage that is not one of the shipped ones.
    pub fn open(plan: &LoadPlan) -> Result<Self> {
        let transforms: Vec<NativeTransform> = (0..plan.transforms.len())
            .map(|position| NativeTransform::open(plan, position))
            .collect::<Result<_>>()?;
        Ok(Self {
            parser: open_parser(plan)?,
            stage_time: vec![Duration::ZERO; transforms.len() + 1],
            names: plan
                .columns
                .iter()
                .map(|column| column.name.clone())
                .collect(),
            transforms,
        })
    }

    /// Sends a chunk through all stages; returns how many rows come out.
    ///
    /// # Errors
    /// A stage refuses it.
    pub fn feed(&mut self, chunk: Vec<u8>, last: bool) -> Result<usize> {
        self.feed_watched(chunk, last, &mut |_| ())
    }

    /// The same; `reached` is shown what reaches each transform.
    ///
    /// # Errors
    /// As `feed`.
    pub fn feed_watched(
        &mut self,
        chunk: Vec<u8>,
        last: bool,
        reached: &mut dyn FnMut(&Batch),
    ) -> Result<usize> {
        let started = Instant::now();
        let parsed = self.parser.parse(chunk, last).map_err(refused)?;
        self.stage_time[0] += started.elapsed();
        let mut columns: Vec<Named> = self.names.iter().cloned().zip(parsed.columns).collect();
        for (position, transform) in self.transforms.iter_mut().enumerate() {
            let started = Instant::now();
            let contract = &transform.contract;
            let batch = Batch::new(parsed.rows, read(&mut columns, contract));
            reached(&batch);
            let output = transform.stage.process(batch).map_err(refused)?;
            columns.retain(|(name, _)| !contract.drops.contains(name));
            for (field, column) in contract.writes.iter().zip(output.columns) {
                match columns.iter_mut().find(|(name, _)| *name == field.name) {
                    Some((_, place)) => *place = column,
                    None => columns.push((field.name.clone(), column)),
                }
            }
            self.stage_time[position + 1] += started.elapsed();
        }
        std::hint::black_box(&columns);
        Ok(parsed.rows)
    }
}

impl NativeTransform {
    /// The transform at this position of the chain.
    ///
    /// # Errors
    /// It is not one of the shipped ones.
    pub fn open(plan: &LoadPlan, position: usize) -> Result<Self> {
        let schema = match position.checked_sub(1) {
            Some(before) => &plan.transforms[before].output,
            None => &plan.parsed,
        };
        let stage = &plan.transforms[position].stage;
        match stage.name.as_str() {
            "effective-usage" => open::<EffectiveUsage>(stage, schema),
            "label-filter" => open::<LabelFilter>(stage, schema),
            "unit-conversion" => open::<UnitConversion>(stage, schema),
            other => bail!("stage `{other}` is not one that ships"),
        }
    }

    /// The output for the columns that it reads.
    ///
    /// # Errors
    /// It refuses them.
    pub fn process(&mut self, batch: Batch) -> Result<Output> {
        self.stage.process(batch).map_err(refused)
    }
}

/// The parser of a report.
///
/// # Errors
/// It is not opened with what the plan says.
pub fn open_parser(plan: &LoadPlan) -> Result<CsvParse> {
    let columns = plan.columns.iter().map(|column| WantedColumn {
        name: column.name.clone(),
        column_type: column_type(column.column_type),
        required: column.required,
        empty_is_null: column.empty_is_null,
    });
    let context = OpenParser {
        columns: columns.collect(),
        sets: Sets::default(),
    };
    CsvParse::open(config(&plan.parser)?, context).map_err(refused)
}

/// The columns that a stage reads.
fn read(columns: &mut [Named], contract: &Contract) -> Vec<Column> {
    let goes = |field: &Field| {
        contract.drops.contains(&field.name)
            || contract.writes.iter().any(|write| write.name == field.name)
    };
    let nothing = || Column::new(gristmill_stage::Values::Float64(Vec::new()));
    contract
        .reads
        .iter()
        .filter_map(|field| {
            let (_, column) = columns.iter_mut().find(|(name, _)| *name == field.name)?;
            Some(match goes(field) {
                true => std::mem::replace(column, nothing()),
                false => column.clone(),
            })
        })
        .collect()
}

fn open<S: Stage + 'static>(stage: &StagePlan, schema: &column::Schema) -> Result<NativeTransform> {
    let fields = schema
        .fields
        .iter()
        .map(|field| Field::new(field.name.clone(), column_type(field.column_type)))
        .collect();
    let keys = ENABLED_KEYS.map(str::to_string).to_vec();
    let context = OpenTransform {
        schema: Schema::new(fields),
        sets: Sets::new([("enabled-keys".to_string(), keys)]),
    };
    let opened = S::open(config(stage)?, context).map_err(refused)?;
    Ok(NativeTransform {
        contract: opened.contract(),
        stage: Box::new(opened),
    })
}

fn config<C: serde::de::DeserializeOwned>(stage: &StagePlan) -> Result<C> {
    parse_config(&stage.config).map_err(refused)
}

fn refused(failure: Failure) -> anyhow::Error {
    anyhow::anyhow!("{failure}")
}

fn column_type(column_type: column::ColumnType) -> ColumnType {
    match column_type {
        column::ColumnType::Boolean => ColumnType::Boolean,
        column::ColumnType::Int64 => ColumnType::Int64,
        column::ColumnType::Float64 => ColumnType::Float64,
        column::ColumnType::Timestamp => ColumnType::Timestamp,
        column::ColumnType::Utf8 => ColumnType::Utf8,
        column::ColumnType::Dictionary => ColumnType::Dictionary,
        column::ColumnType::Json => ColumnType::Json,
    }
}
