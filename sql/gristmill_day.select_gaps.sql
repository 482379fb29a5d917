-- Finds the hours between the first and the last one of a source that the uploads
-- which hold the day do not cover.
--
-- Reads  gristmill_day                             one row per source and day
-- Reads  gristmill_day_manifest                    one row per source, day and manifest
-- Reads  reporting_common_costusagereportmanifest  one row per manifest
-- Reads  gristmill_generation                      one row per generation; only complete ones count
-- Reads  gristmill_coverage                        one row per generation, report kind and hour
--
-- $1  since  date  only days from this one on; null for all
--
-- Returns one row per day with a gap. Which hours are missing is null where only
-- their number is known, since the staged rows are no longer kept. The first and
-- the last day are then taken to be whole.

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
        held.hours AS hours_held,
        CASE
            WHEN held.usage_day IS NULL
                THEN '{}'
            ELSE covered.hours
        END AS hours,
        CASE
            WHEN expected.usage_day::date = span.first_day
                THEN (SELECT min(hour) FROM unnest(covered.hours) AS hours (hour))
            ELSE 0
        END AS first_hour,
        CASE
            WHEN expected.usage_day::date = span.last_day
                THEN (SELECT max(hour) FROM unnest(covered.hours) AS hours (hour))
            ELSE 23
        END AS last_hour,
        covered.hours IS NULL
        AND expected.usage_day::date IN (span.first_day, span.last_day) AS is_unknown_end
    FROM spans AS span
    CROSS JOIN generate_series(span.first_day::timestamp, span.last_day::timestamp, interval '1 day')
        AS expected (usage_day)
    LEFT JOIN gristmill_day AS held
        ON held.source_uuid = span.source_uuid
        AND held.usage_day = expected.usage_day::date
    LEFT JOIN covered_hours AS covered
        ON covered.source_uuid = span.source_uuid
        AND covered.usage_day = expected.usage_day::date
)
SELECT
    day.source_uuid,
    day.usage_day,
    day.last_hour - day.first_hour + 1 - COALESCE(day.hours_held, 0) AS hours_missing,
    CASE
        WHEN day.hours IS NOT NULL
            THEN ARRAY(
                SELECT expected.hour
                FROM generate_series(day.first_hour, day.last_hour) AS expected (hour)
                WHERE expected.hour <> ALL (day.hours)
                ORDER BY expected.hour
            )
    END AS missing
FROM expected_days AS day
WHERE
    NOT day.is_unknown_end
    AND day.last_hour - day.first_hour + 1 > COALESCE(day.hours_held, 0)
    AND (
        $1::date IS NULL
        OR day.usage_day >= $1
    )
ORDER BY
    day.source_uuid,
    day.usage_day;
