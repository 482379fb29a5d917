//! Which pipelines made which days of a source.

use chrono::NaiveDate;
use serde::Serialize;
use sqlx::{FromRow, PgPool};
use uuid::Uuid;

/// Days one after another that the same pipelines made, with the same components.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MadeDays {
    #[serde(skip)]
    pub source_uuid: Uuid,
    pub first_day: NaiveDate,
    pub last_day: NaiveDate,
    pub days: u64,
    /// None where that is not known.
    pub pipelines: Vec<String>,
    /// The last run that made one of them.
    pub last_run: Option<i64>,
    #[serde(skip)]
    components: Vec<String>,
}

#[derive(FromRow)]
struct MadeDay {
    source_uuid: Uuid,
    usage_day: NaiveDate,
    pipelines: Vec<String>,
    run_ids: Vec<i64>,
    components: Vec<String>,
}

/// Those of all sources, in the order of their days.
pub(super) async fn made_days(pool: &PgPool) -> Result<Vec<MadeDays>, sqlx::Error> {
    let days: Vec<MadeDay> =
        sqlx::query_as(include_str!("../../../sql/gristmill_day.select_makers.sql"))
            .fetch_all(pool)
            .await?;
    Ok(together(days))
}

fn together(days: Vec<MadeDay>) -> Vec<MadeDays> {
    let mut made: Vec<MadeDays> = Vec::new();
    for day in days {
        let last_run = day.run_ids.iter().copied().max();
        match made.last_mut() {
            Some(before) if before.goes_on_with(&day) => {
                before.last_day = day.usage_day;
                before.days += 1;
                before.last_run = before.last_run.max(last_run);
            }
            _ => made.push(MadeDays {
                source_uuid: day.source_uuid,
                first_day: day.usage_day,
                last_day: day.usage_day,
                days: 1,
                pipelines: day.pipelines,
                last_run,
                components: day.components,
            }),
        }
    }
    made
}

impl MadeDays {
    fn goes_on_with(&self, day: &MadeDay) -> bool {
        (self.source_uuid, &self.pipelines, &self.components)
            == (day.source_uuid, &day.pipelines, &day.components)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_of_the_same_makers_are_one_line() {
        let day = |source: u128, day: u32, pipeline: &str, run: i64, components: &str| MadeDay {
            source_uuid: Uuid::from_u128(source),
            usage_day: NaiveDate::from_ymd_opt(2026, 1, day).unwrap(),
            pipelines: vec![pipeline.to_string()],
            run_ids: vec![run],
            components: vec![components.to_string()],
        };
        let made = together(vec![
            day(1, 1, "ocp", 1, "a"),
            day(1, 2, "ocp", 5, "a"),
            day(1, 3, "ocp", 4, "a"),
            // A pipeline may be called the same and be another one.
            day(1, 4, "ocp", 6, "b"),
            day(1, 5, "ocp-max", 7, "b"),
            day(2, 6, "ocp-max", 8, "b"),
        ]);
        let lines: Vec<_> = made
            .iter()
            .map(|made| (made.days, made.pipelines[0].as_str(), made.last_run))
            .collect();
        assert_eq!(
            lines,
            [
                (3, "ocp", Some(5)),
                (1, "ocp", Some(6)),
                (1, "ocp-max", Some(7)),
                (1, "ocp-max", Some(8)),
            ]
        );
    }
}
