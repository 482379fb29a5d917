-- Says how many sources a tenant has, and of which days.
--
-- Reads  gristmill_source  one row per source
-- Reads  gristmill_day     one row per source and day

SELECT
    (SELECT count(*) FROM gristmill_source) AS sources,
    min(day.usage_day) AS first_day,
    max(day.usage_day) AS last_day
FROM gristmill_day AS day;
