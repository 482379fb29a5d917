-- Finds the generations that an upload may reuse if it repeats what was read for
-- them: those of earlier daily uploads of its source which hold all of their days by
-- themselves, went the same way, and left nothing in quarantine.
--
-- Reads  reporting_common_costusagereportmanifest  one row per manifest
-- Reads  gristmill_day_manifest                    one row per source, day and manifest
-- Reads  gristmill_generation                      one row per generation
-- Reads  gristmill_coverage                        one row per generation, report kind and hour
-- Reads  gristmill_hour_read                       one row per generation, report kind and hour
-- Reads  gristmill_quarantine, gristmill_run       one row per rejected row, per run
-- Reads  reporting_common_costusagereportstatus    one row per manifest and file
--
-- $1  manifest_id  integer      the manifest of the upload; an additive one repeats nothing
-- $2  fingerprint  text         the way on which it is about to be loaded
-- $3  first        timestamptz  the first instant that it is said to have
-- $4  last         timestamptz  the last one
--
-- Returns one row per generation, report kind and hour that was read for it; a
-- generation for which nothing was read has one row of nulls. Earlier is meant as in
-- claim_days, and hours are counted by the same report, so that the upload wins all of
-- these days.

WITH uploads AS (
    -- This one manifest, with what ranks it.
    SELECT
        manifest.id,
        manifest.provider_id,
        manifest.coverage_report,
        COALESCE(manifest.manifest_date, '-infinity') AS manifest_date,
        manifest.assembly_id COLLATE "C" AS assembly_id
    FROM reporting_common_costusagereportmanifest AS manifest
    WHERE
        manifest.id = $1
        AND NOT manifest.is_additive
),
holders AS (
    -- The earlier ones that hold a day of the window.
    SELECT DISTINCT
        manifest.id,
        manifest.provider_id
    FROM uploads AS upload
    JOIN gristmill_day_manifest AS holder
        ON holder.source_uuid = upload.provider_id
        AND holder.usage_day BETWEEN ($3 AT TIME ZONE 'UTC')::date AND ($4 AT TIME ZONE 'UTC')::date
    JOIN reporting_common_costusagereportmanifest AS manifest
        ON manifest.id = holder.manifest_id
    WHERE
        manifest.id <> upload.id
        AND NOT manifest.is_additive
        AND manifest.completed_datetime IS NOT NULL
        AND manifest.coverage_report = upload.coverage_report
        AND (COALESCE(manifest.manifest_date, '-infinity'), manifest.assembly_id COLLATE "C")
            < (upload.manifest_date, upload.assembly_id)
),
earlier_uploads AS (
    SELECT holder.id
    FROM holders AS holder
    WHERE
        NOT EXISTS (
            SELECT
            FROM gristmill_generation AS generation
            WHERE
                generation.manifest_id = holder.id
                AND (generation.state, generation.fingerprint) IS DISTINCT FROM ('complete', $2::text)
        )
        AND NOT EXISTS (
            SELECT
            FROM gristmill_generation AS generation
            JOIN gristmill_coverage AS coverage
                ON coverage.generation = generation.id
            WHERE
                generation.manifest_id = holder.id
                AND (
                    coverage.interval_start NOT BETWEEN $3 AND $4
                    OR ARRAY(
                        SELECT other.manifest_id
                        FROM gristmill_day_manifest AS other
                        WHERE
                            other.source_uuid = holder.provider_id
                            AND other.usage_day = (coverage.interval_start AT TIME ZONE 'UTC')::date
                    ) <> ARRAY[holder.id]
                )
        )
        AND NOT EXISTS (
            SELECT
            FROM gristmill_quarantine AS quarantine
            JOIN gristmill_run AS run
                ON run.id = quarantine.run_id
            WHERE run.manifest_id = holder.id
        )
        AND NOT EXISTS (
            -- Retention may have taken the rows.
            SELECT
            FROM reporting_common_costusagereportstatus AS file
            WHERE
                file.manifest_id = holder.id
                AND file.rows_rejected > 0
        )
)
SELECT
    generation.id AS generation,
    generation.manifest_id,
    hour.report,
    hour.interval_start,
    hour.rows_read,
    hour.digest
FROM earlier_uploads AS earlier
JOIN gristmill_generation AS generation
    ON generation.manifest_id = earlier.id
LEFT JOIN gristmill_hour_read AS hour
    ON hour.generation = generation.id
ORDER BY
    generation.id,
    hour.report,
    hour.interval_start;
