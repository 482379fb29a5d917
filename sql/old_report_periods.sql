-- The report periods that are past retention.
--
-- Reads  last_month_to_go                once
-- Reads  reporting_ocpusagereportperiod  one row per source and month
--
-- cutoff_month  date  any day of the last month that is to go; earlier ones go as well
--
-- Returns one row per report period.

CREATE OR REPLACE FUNCTION old_report_periods(cutoff_month date)
RETURNS TABLE (report_period_id integer, cluster_id text, month date)
LANGUAGE plpgsql
STABLE
AS $$
DECLARE
    next_month CONSTANT timestamp :=
        last_month_to_go(cutoff_month, 'forget report periods') + interval '1 month';
BEGIN
    RETURN QUERY
    SELECT
        period.id,
        period.cluster_id::text,
        (period.report_period_start AT TIME ZONE 'UTC')::date
    FROM reporting_ocpusagereportperiod AS period
    WHERE period.report_period_start < next_month AT TIME ZONE 'UTC'
    ORDER BY
        period.report_period_start,
        period.cluster_id;
END
$$;
