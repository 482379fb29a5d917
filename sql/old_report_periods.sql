-- The report periods that are past retention.
--
-- Reads  reporting_ocpusagereportperiod  one row per source and month
--
-- cutoff_month  date  any day of the last month that is to go; earlier ones go as well
--
-- Returns one row per report period. A cutoff that would take the previous month is
-- refused, as by old_partitions.

CREATE OR REPLACE FUNCTION old_report_periods(cutoff_month date)
RETURNS TABLE (report_period_id integer, cluster_id text, month date)
LANGUAGE plpgsql
STABLE
AS $$
DECLARE
    next_month CONSTANT timestamp := date_trunc('month', cutoff_month::timestamp) + interval '1 month';
    this_month CONSTANT timestamp := date_trunc('month', now() AT TIME ZONE 'UTC');
BEGIN
    IF cutoff_month IS NULL OR next_month >= this_month THEN
        RAISE EXCEPTION 'cannot forget report periods up to %: % is the last month that may go',
            COALESCE(to_char(cutoff_month, 'YYYY-MM'), 'an unknown month'),
            to_char(this_month - interval '2 months', 'YYYY-MM')
            USING ERRCODE = 'invalid_parameter_value';
    END IF;

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
