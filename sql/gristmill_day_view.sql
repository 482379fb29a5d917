-- How each day of each source stands, for those who read the summaries: whether it is
-- complete, whether it is final, which hours are missing, and which pipeline made it.
--
-- Reads  gristmill_source                          one row per source
-- Reads  gristmill_day                             one row per source and UTC day
-- Reads  gristmill_day_manifest                    one row per source, UTC day and manifest
-- Reads  reporting_common_costusagereportmanifest  one row per manifest
-- Reads  gristmill_generation                      one row per generation; only complete ones count
-- Reads  gristmill_coverage                        one row per generation, report kind and hour
--
-- Grain: one row per source and UTC day between its first and its last one, also of days
-- that nothing came of.
--
-- An operator keeps its last 30 reports, one each six hours, and deletes older ones: what
-- did not come within eight days of the end of a day comes no more.

CREATE OR REPLACE VIEW gristmill_day_view AS
WITH spans AS (
    -- One row per source.
    SELECT
        day.source_uuid,
        min(day.usage_day) AS first_day,
        max(day.usage_day) AS last_day
    FROM gristmill_day AS day
    GROUP BY day.source_uuid
),
covered_hours AS (
    -- The hours of each day that its holders cover, where all of them are known.
    SELECT
        day.source_uuid,
        day.usage_day,
        array_agg(DISTINCT extract(hour FROM coverage.interval_start AT TIME ZONE 'UTC')::integer) AS hours
    FROM gristmill_day AS day
    JOIN gristmill_day_manifest AS holder
        ON holder.source_uuid = day.source_uuid
        AND holder.usage_day = day.usage_day
    JOIN reporting_common_costusagereportmanifest AS manifest
        ON manifest.id = holder.manifest_id
    JOIN gristmill_generation AS generation
        ON generation.manifest_id = holder.manifest_id
        AND generation.state = 'complete'
    JOIN gristmill_coverage AS coverage
        ON coverage.generation = generation.id
        AND coverage.report = manifest.coverage_report
        AND coverage.interval_start >= day.usage_day::timestamp AT TIME ZONE 'UTC'
        AND coverage.interval_start < (day.usage_day + 1)::timestamp AT TIME ZONE 'UTC'
    GROUP BY
        day.source_uuid,
        day.usage_day
    HAVING count(DISTINCT coverage.interval_start) >= day.hours
),
expected_days AS (
    -- Every day of a span, from its first to its last expected hour.
    SELECT
        span.source_uuid,
        expected.usage_day::date AS usage_day,
        expected.usage_day::date = span.last_day AS is_last,
        held.usage_day IS NOT NULL AS is_held,
        COALESCE(held.hours, 0) AS hours,
        held.rows,
        held.pipelines,
        held.run_ids,
        held.published_at,
        held.processed_at,
        CASE
            WHEN held.usage_day IS NULL
                THEN '{}'
            ELSE covered.hours
        END AS known_hours,
        CASE
            WHEN expected.usage_day::date = span.first_day
                THEN (SELECT min(hour) FROM unnest(covered.hours) AS hours (hour))
            ELSE 0
        END AS first_hour,
        CASE
            WHEN expected.usage_day::date = span.last_day
                THEN (SELECT max(hour) FROM unnest(covered.hours) AS hours (hour))
            ELSE 23
        END AS last_hour
    FROM spans AS span
    CROSS JOIN generate_series(span.first_day::timestamp, span.last_day::timestamp, interval '1 day')
        AS expected (usage_day)
    LEFT JOIN gristmill_day AS held
        ON held.source_uuid = span.source_uuid
        AND held.usage_day = expected.usage_day::date
    LEFT JOIN covered_hours AS covered
        ON covered.source_uuid = span.source_uuid
        AND covered.usage_day = expected.usage_day::date
),
measured_days AS (
    -- Where an end of the span is not known, it is taken to be whole.
    SELECT
        day.*,
        COALESCE(day.last_hour - day.first_hour + 1 - day.hours, 0) AS hours_missing
    FROM expected_days AS day
)
SELECT
    day.source_uuid,
    source.cluster_id,
    source.cluster_alias,
    day.usage_day,
    day.is_held AND day.hours_missing <= 0 AND (NOT day.is_last OR COALESCE(day.last_hour, day.hours - 1) = 23)
        AS is_complete,
    now() >= (day.usage_day + 1)::timestamp AT TIME ZONE 'UTC' + interval '8 days' AS is_final,
    day.hours,
    GREATEST(day.hours_missing, 0) AS hours_missing,
    CASE
        WHEN day.hours_missing <= 0
            THEN '{}'
        WHEN day.known_hours IS NOT NULL
            THEN ARRAY(
                SELECT expected.hour
                FROM generate_series(day.first_hour, day.last_hour) AS expected (hour)
                WHERE expected.hour <> ALL (day.known_hours)
                ORDER BY expected.hour
            )
    END AS missing,
    day.pipelines,
    day.run_ids,
    day.rows,
    day.published_at,
    day.processed_at
FROM measured_days AS day
JOIN gristmill_source AS source
    ON source.source_uuid = day.source_uuid;

COMMENT ON COLUMN gristmill_day_view.is_complete
    IS 'Every hour of the day is there, of the first day from the first hour of the source on';
COMMENT ON COLUMN gristmill_day_view.is_final
    IS 'Nothing newer can come by itself: the operator has deleted what it did not deliver of the day';
COMMENT ON COLUMN gristmill_day_view.hours IS 'Hours of the day that uploads cover';
COMMENT ON COLUMN gristmill_day_view.hours_missing
    IS 'Hours that no upload covers, between the first and the last one of the source';
COMMENT ON COLUMN gristmill_day_view.missing
    IS 'Which hours of UTC these are; null where only their number is known, since the staged rows are no longer kept';
COMMENT ON COLUMN gristmill_day_view.pipelines IS 'The pipelines that made the day; null of a day that nothing came of';
COMMENT ON COLUMN gristmill_day_view.run_ids IS 'The runs in which they did, as gristmill status numbers them';
COMMENT ON COLUMN gristmill_day_view.rows IS 'Staged rows of the day, of all reports';
