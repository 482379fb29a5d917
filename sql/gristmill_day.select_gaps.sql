-- Finds the hours between the first and the last one of a source that the uploads
-- which hold the day do not cover.
--
-- Reads  gristmill_day_view  one row per source and UTC day of its span
--
-- $1  since  date  only days from this one on; null for all
--
-- Returns one row per day with a gap. Which hours are missing is null where only
-- their number is known, since the staged rows are no longer kept. The first and
-- the last day are then taken to be whole.

SELECT
    day.source_uuid,
    day.usage_day,
    day.hours_missing,
    day.missing
FROM gristmill_day_view AS day
WHERE
    day.hours_missing > 0
    AND (
        $1::date IS NULL
        OR day.usage_day >= $1
    )
ORDER BY
    day.source_uuid,
    day.usage_day;
