-- Lists the report periods that are past retention: those that begin so many calendar
-- months before this one, or earlier.
--
-- Reads  as old_report_periods does
--
-- $1  months  integer  months before this one
--
-- Returns one row per report period.

SELECT
    old.report_period_id,
    old.cluster_id,
    old.month
FROM old_report_periods(
    (date_trunc('month', now() AT TIME ZONE 'UTC') - make_interval(months => $1))::date
) AS old
ORDER BY
    old.month,
    old.cluster_id;
