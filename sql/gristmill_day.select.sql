-- Lists the days that a manifest holds, by itself or with other additive ones.
--
-- Reads  gristmill_day           one row per source and day
-- Reads  gristmill_day_manifest  one row per source, day and manifest
--
-- $1  manifest_id  integer  the manifest

SELECT
    day.usage_day,
    day.hours
FROM gristmill_day_manifest AS holder
JOIN gristmill_day AS day
    ON day.source_uuid = holder.source_uuid
    AND day.usage_day = holder.usage_day
WHERE holder.manifest_id = $1
ORDER BY day.usage_day;
