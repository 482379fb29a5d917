-- Lists the archived tarballs that are past retention: of uploads that begin in a
-- month that is, and hold no day of a later one; and those of sources that were removed,
-- which have no manifest.
--
-- Reads  gristmill_archive                         one row per manifest and archived tarball
-- Reads  gristmill_archive_orphan                  one row per archived tarball of a removed source
-- Reads  gristmill_day_manifest                    one row per source, day and manifest
-- Reads  reporting_common_costusagereportmanifest  one row per manifest
--
-- $1  months  integer  the month that began so many months before this one is the last to go

WITH bounds AS (
    -- One row: the end of what goes.
    SELECT
        date_trunc('month', now() AT TIME ZONE 'UTC') - make_interval(months => $1 - 1) AS end_of_old
)
SELECT
    archived.manifest_id,
    archived.digest,
    archived.payload,
    archived.files,
    archived.bytes,
    archived.directory
FROM gristmill_archive AS archived
JOIN reporting_common_costusagereportmanifest AS manifest
    ON manifest.id = archived.manifest_id
CROSS JOIN bounds
WHERE
    manifest.billing_period_start_datetime < bounds.end_of_old AT TIME ZONE 'UTC'
    AND NOT EXISTS (
        SELECT
        FROM gristmill_day_manifest AS holder
        WHERE
            holder.manifest_id = archived.manifest_id
            AND holder.usage_day >= bounds.end_of_old
    )
UNION ALL
SELECT
    NULL,
    orphan.digest,
    orphan.payload,
    '{}',
    orphan.bytes,
    orphan.directory
FROM gristmill_archive_orphan AS orphan
CROSS JOIN bounds
WHERE orphan.billing_period_start_datetime < bounds.end_of_old AT TIME ZONE 'UTC'
ORDER BY
    manifest_id,
    digest;
