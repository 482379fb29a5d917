-- Makes every summary of a range of days of one month again.
--
-- Writes  as summarize_days does
--
-- $1  start_date   date  the first day, inclusive
-- $2  end_date     date  the last day, inclusive, of the same month
-- $3  source_uuid  uuid  the source
--
-- Returns how many rows the daily summary gained and lost.

SELECT
    rows_inserted,
    rows_deleted
FROM summarize_days($1, $2, $3);
