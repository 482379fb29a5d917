-- Lists the days of a source whose staged rows are still there.
--
-- Reads  gristmill_day         one row per source and day
-- Reads  gristmill_generation  one row per generation; only complete ones count
-- Reads  gristmill_coverage    one row per generation, report kind and hour
--
-- $1  source_uuid  uuid  the source
-- $2  first_day    date  the first day, inclusive
-- $3  last_day     date  the last day, inclusive

SELECT day.usage_day
FROM gristmill_day AS day
WHERE
    day.source_uuid = $1
    AND day.usage_day BETWEEN $2 AND $3
    AND EXISTS (
        SELECT
        FROM gristmill_generation AS generation
        JOIN gristmill_coverage AS coverage
            ON coverage.generation = generation.id
        WHERE
            generation.manifest_id = day.manifest_id
            AND generation.state = 'complete'
            AND coverage.interval_start >= day.usage_day::timestamp AT TIME ZONE 'UTC'
            AND coverage.interval_start < (day.usage_day + 1)::timestamp AT TIME ZONE 'UTC'
    )
ORDER BY day.usage_day;
