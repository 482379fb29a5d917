-- Gives the rows of a range of days the categories and tag mappings of now.
--
-- Writes  as reclassify_days does
--
-- $1  start_date   date  the first day, inclusive
-- $2  end_date     date  the last day, inclusive
-- $3  source_uuid  uuid  the source
--
-- Returns one row per day that changed.

SELECT
    usage_day AS day,
    rows_recategorized,
    rows_renamed
FROM reclassify_days($1, $2, $3);
