-- Lists the days that a manifest holds.
--
-- Reads  gristmill_day  one row per source and day
--
-- $1  manifest_id  integer  the manifest

SELECT
    usage_day,
    hours
FROM gristmill_day
WHERE manifest_id = $1
ORDER BY usage_day;
