-- Lists the days that an upload still has although its files are to be loaded once more,
-- since other days of it were removed: those that it holds, and those of rows that none of
-- its files brought since.
--
-- Reads  gristmill_day_manifest                  one row per source, day and manifest
-- Reads  reporting_common_costusagereportstatus  one row per manifest and file
-- Reads  gristmill_generation                    one row per generation; only complete ones count
-- Reads  gristmill_coverage                      one row per generation, report kind and hour
--
-- $1  manifest_id  integer  the upload
--
-- An upload that is loaded for the first time has none.

SELECT holder.usage_day
FROM gristmill_day_manifest AS holder
WHERE holder.manifest_id = $1
UNION
SELECT (coverage.interval_start AT TIME ZONE 'UTC')::date
FROM gristmill_generation AS generation
JOIN gristmill_coverage AS coverage
    ON coverage.generation = generation.id
WHERE
    generation.manifest_id = $1
    AND generation.state = 'complete'
    AND NOT EXISTS (
        SELECT
        FROM reporting_common_costusagereportstatus AS file
        WHERE
            file.manifest_id = $1
            AND file.generation = generation.id
    )
ORDER BY 1;
