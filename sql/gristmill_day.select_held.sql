-- Says who holds which days of a source, the latest first.
--
-- Reads  gristmill_day_manifest                    one row per source, day and manifest
-- Reads  reporting_common_costusagereportmanifest  one row per manifest
--
-- Of additive uploads that hold a day together, a row of a later one replaces that
-- of an earlier one: whoever makes them anew does so in this order.
--
-- $1  source_uuid  uuid     the source
-- $2  first_day    date     the first day, inclusive
-- $3  last_day     date     the last day, inclusive
-- $4  manifest_id  integer  only days of this manifest; null for all

SELECT
    day.usage_day,
    manifest.id AS manifest_id,
    manifest.assembly_id
FROM gristmill_day_manifest AS day
JOIN reporting_common_costusagereportmanifest AS manifest
    ON manifest.id = day.manifest_id
WHERE
    day.source_uuid = $1
    AND day.usage_day BETWEEN $2 AND $3
    AND (
        $4::integer IS NULL
        OR day.manifest_id = $4
    )
ORDER BY
    COALESCE(manifest.manifest_date, '-infinity') DESC,
    manifest.assembly_id COLLATE "C" DESC,
    day.usage_day;
