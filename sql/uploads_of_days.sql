-- The uploads of a source that hold one of some days, or have rows of one.
--
-- Reads  gristmill_day_manifest  one row per source, day and manifest
-- Reads  gristmill_generation    one row per generation
-- Reads  gristmill_coverage      one row per generation, report kind and hour
--
-- source     uuid  the source
-- first_day  date  the first UTC day, inclusive
-- last_day   date  the last UTC day, inclusive
--
-- Returns their manifests.

CREATE OR REPLACE FUNCTION uploads_of_days(source uuid, first_day date, last_day date)
RETURNS SETOF integer
LANGUAGE sql
STABLE
AS $$
SELECT holder.manifest_id
FROM gristmill_day_manifest AS holder
WHERE
    holder.source_uuid = source
    AND holder.usage_day BETWEEN first_day AND last_day
UNION
SELECT generation.manifest_id
FROM gristmill_generation AS generation
JOIN gristmill_coverage AS coverage
    ON coverage.generation = generation.id
WHERE
    generation.source_uuid = source
    AND coverage.interval_start >= first_day::timestamp AT TIME ZONE 'UTC'
    AND coverage.interval_start < (last_day + 1)::timestamp AT TIME ZONE 'UTC';
$$;
