-- Lists which engines made the days of each source, days in a row by the same engines as
-- one.
--
-- Reads  gristmill_day  one row per source and UTC day
--
-- Returns one row per source and days in a row; days that were never summarised are left
-- out.

WITH numbered_days AS (
    -- Days in a row by the same engines have the same distance from their number.
    SELECT
        day.source_uuid,
        day.usage_day,
        day.engines,
        day.fold_seconds,
        day.usage_day - row_number() OVER (
            PARTITION BY
                day.source_uuid,
                day.engines
            ORDER BY day.usage_day
        )::integer AS stretch
    FROM gristmill_day AS day
    WHERE day.engines IS NOT NULL
)
SELECT
    source_uuid,
    engines,
    min(usage_day) AS first_day,
    max(usage_day) AS last_day,
    count(*) AS days,
    sum(fold_seconds) AS fold_seconds
FROM numbered_days
GROUP BY
    source_uuid,
    engines,
    stretch
ORDER BY
    source_uuid,
    first_day;
