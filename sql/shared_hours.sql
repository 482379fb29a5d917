-- Finds the hours that an additive manifest and other additive ones of its source
-- both have.
--
-- Reads  reporting_common_costusagereportmanifest  one row per manifest
-- Reads  reporting_common_costusagereportstatus    one row per manifest and file
-- Reads  gristmill_generation                      one row per generation; only complete ones count
-- Reads  gristmill_coverage                        one row per generation, report kind and hour
--
-- manifest_id  integer  the manifest; a daily one shares nothing
--
-- Returns one row per hour and pair of generations, of which the one of the later
-- manifest is the later one: by date, then by uuid.

CREATE OR REPLACE FUNCTION shared_hours(manifest_id integer)
RETURNS TABLE (generation bigint, later_generation bigint, interval_start timestamptz)
LANGUAGE sql
STABLE
AS $$
WITH additive_hours AS (
    -- Every hour of every additive upload of the source that is whole.
    SELECT DISTINCT
        part.id = asked.id AS is_asked,
        part.id AS manifest_id,
        COALESCE(part.manifest_date, '-infinity') AS manifest_date,
        part.assembly_id COLLATE "C" AS assembly_id,
        loaded.id AS generation,
        coverage.interval_start
    FROM reporting_common_costusagereportmanifest AS asked
    JOIN reporting_common_costusagereportmanifest AS part
        ON part.provider_id = asked.provider_id
        AND part.is_additive
        AND (
            part.id = asked.id
            OR (
                part.completed_datetime IS NOT NULL
                -- As in days_of_manifest.
                AND (
                    SELECT count(file.completed_datetime) IN (0, count(*))
                    FROM reporting_common_costusagereportstatus AS file
                    WHERE file.manifest_id = part.id
                )
            )
        )
    JOIN gristmill_generation AS loaded
        ON loaded.manifest_id = part.id
        AND loaded.state = 'complete'
    JOIN gristmill_coverage AS coverage
        ON coverage.generation = loaded.id
    WHERE
        asked.id = shared_hours.manifest_id
        AND asked.is_additive
)
SELECT
    earlier.generation,
    later.generation,
    earlier.interval_start
FROM additive_hours AS earlier
JOIN additive_hours AS later
    ON later.interval_start = earlier.interval_start
    AND (later.manifest_date, later.assembly_id) > (earlier.manifest_date, earlier.assembly_id)
WHERE
    earlier.is_asked
    OR later.is_asked;
$$;
