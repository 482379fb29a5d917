-- Removes the manifests of a source that are past retention, with the statuses of
-- their files. One that holds a day, or has staged rows, an archived payload or rows
-- in quarantine, stays. Called while the source is locked.
--
-- Reads   gristmill_generation                      one row per generation
-- Reads   gristmill_day, gristmill_day_manifest     one row per source and day, and manifest
-- Reads   gristmill_archive                         one row per manifest and archived tarball
-- Reads   gristmill_run, gristmill_quarantine       one row per run, per rejected row
-- Writes  reporting_common_costusagereportmanifest  one row per source and upload
--
-- $1  source_uuid      uuid     the source
-- $2  days             integer  uploads that came within so many days stay
-- $3  rows_max         bigint   so many at most; null for all
-- $4  dry_run          boolean  only count them
-- $5  quarantine_days  integer  rows that were quarantined within so many days stay
--
-- Returns how many there were.

WITH old_manifests AS MATERIALIZED (
    SELECT manifest.id
    FROM reporting_common_costusagereportmanifest AS manifest
    WHERE
        manifest.provider_id = $1
        AND GREATEST(manifest.creation_datetime, manifest.completed_datetime)
            < now() - make_interval(days => $2)
        AND NOT EXISTS (
            SELECT
            FROM gristmill_generation AS generation
            WHERE generation.manifest_id = manifest.id
        )
        AND NOT EXISTS (
            SELECT
            FROM gristmill_day AS day
            WHERE day.manifest_id = manifest.id
        )
        AND NOT EXISTS (
            SELECT
            FROM gristmill_day_manifest AS holder
            WHERE holder.manifest_id = manifest.id
        )
        AND NOT EXISTS (
            SELECT
            FROM gristmill_archive AS archived
            WHERE archived.manifest_id = manifest.id
        )
        AND NOT EXISTS (
            SELECT
            FROM gristmill_run AS run
            JOIN gristmill_quarantine AS quarantine
                ON quarantine.run_id = run.id
            WHERE
                run.manifest_id = manifest.id
                AND quarantine.quarantined_at >= now() - make_interval(days => $5)
        )
    ORDER BY manifest.id
    LIMIT $3
),
removed AS (
    DELETE FROM reporting_common_costusagereportmanifest AS manifest
    USING old_manifests AS old
    WHERE
        manifest.id = old.id
        AND NOT $4
)
SELECT count(*)
FROM old_manifests;
