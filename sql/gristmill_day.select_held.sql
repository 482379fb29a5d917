-- Says who holds which days of a source.
--
-- Reads  gristmill_day                             one row per source and day
-- Reads  reporting_common_costusagereportmanifest  one row per manifest
--
-- $1  source_uuid  uuid     the source
-- $2  first_day    date     the first day, inclusive
-- $3  last_day     date     the last day, inclusive
-- $4  manifest_id  integer  only days of this manifest; null for all

SELECT
    day.usage_day,
    manifest.id AS manifest_id,
    manifest.assembly_id
FROM gristmill_day AS day
JOIN reporting_common_costusagereportmanifest AS manifest
    ON manifest.id = day.manifest_id
WHERE
    day.source_uuid = $1
    AND day.usage_day BETWEEN $2 AND $3
    AND (
        $4::integer IS NULL
        OR day.manifest_id = $4
    )
ORDER BY day.usage_day;
