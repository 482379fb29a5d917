-- Removes a day's usage from the daily summary, to be made anew. Returns how
-- many rows that were.
--
-- Writes  reporting_ocpusagelineitem_daily_summary  one row per contribution
--
-- usage_day  date     a UTC day
-- period     integer  the report period
-- source     uuid     the source
--
-- Rows of cost models go as well: they are made of usage, and after it. Rows
-- that come from cloud bills stay.

CREATE OR REPLACE FUNCTION delete_usage_rows(usage_day date, period integer, source uuid)
RETURNS bigint
LANGUAGE plpgsql
AS $$
DECLARE
    rows_deleted bigint;
BEGIN
    DELETE FROM reporting_ocpusagelineitem_daily_summary AS summary
    WHERE
        summary.usage_start = usage_day
        AND summary.source_uuid = source
        AND summary.report_period_id = period
        AND is_usage(summary.infrastructure_raw_cost);

    GET DIAGNOSTICS rows_deleted = ROW_COUNT;
    RETURN rows_deleted;
END
$$;
