-- Which of some days can be summarised, and of what: those that a manifest holds
-- whose staged rows are still kept.
--
-- Reads  gristmill_day         one row per source and day
-- Reads  gristmill_generation  one row per generation; only complete ones count
-- Reads  gristmill_coverage    one row per generation, report kind and hour
--
-- days    date[]  the UTC days
-- source  uuid    the source
--
-- Returns one row per day, with the generations of the manifest that holds it.

CREATE OR REPLACE FUNCTION held_days(days date[], source uuid)
RETURNS TABLE (usage_day date, generations bigint[])
LANGUAGE sql
STABLE
AS $$
SELECT
    day.usage_day,
    array_agg(generation.id)
FROM gristmill_day AS day
JOIN gristmill_generation AS generation
    ON generation.manifest_id = day.manifest_id
    AND generation.source_uuid = day.source_uuid
    AND generation.state = 'complete'
WHERE
    day.source_uuid = source
    AND day.usage_day = ANY (days)
    -- A generation of other days of the manifest has nothing of this one.
    AND EXISTS (
        SELECT
        FROM gristmill_coverage AS coverage
        WHERE
            coverage.generation = generation.id
            AND coverage.interval_start >= day.usage_day::timestamp AT TIME ZONE 'UTC'
            AND coverage.interval_start < (day.usage_day + 1)::timestamp AT TIME ZONE 'UTC'
    )
GROUP BY day.usage_day;
$$;
