-- Which of some days can be summarised, and of what: those that manifests hold
-- whose staged rows are still kept.
--
-- Reads  gristmill_day_manifest  one row per source, day and manifest
-- Reads  gristmill_generation    one row per generation; only complete ones count
-- Reads  gristmill_coverage      one row per generation, report kind and hour
--
-- days    date[]  the UTC days
-- source  uuid    the source
--
-- Returns one row per day, with the generations of the manifests that hold it. A day
-- of which one manifest's rows are gone is not made of those of the others.

CREATE OR REPLACE FUNCTION held_days(days date[], source uuid)
RETURNS TABLE (usage_day date, generations bigint[])
LANGUAGE sql
STABLE
AS $$
SELECT
    holder.usage_day,
    array_agg(generation.id)
FROM gristmill_day_manifest AS holder
LEFT JOIN gristmill_generation AS generation
    ON generation.manifest_id = holder.manifest_id
    AND generation.source_uuid = holder.source_uuid
    AND generation.state = 'complete'
    -- A generation of other days of the manifest has nothing of this one.
    AND EXISTS (
        SELECT
        FROM gristmill_coverage AS coverage
        WHERE
            coverage.generation = generation.id
            AND coverage.interval_start >= holder.usage_day::timestamp AT TIME ZONE 'UTC'
            AND coverage.interval_start < (holder.usage_day + 1)::timestamp AT TIME ZONE 'UTC'
    )
WHERE
    holder.source_uuid = source
    AND holder.usage_day = ANY (days)
GROUP BY holder.usage_day
HAVING bool_and(generation.id IS NOT NULL);
$$;
