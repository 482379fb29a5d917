-- Forgets the report periods that are past retention, with their tags: those that
-- begin so many calendar months before this one, or earlier.
--
-- Writes  as forget_old_report_periods does
--
-- $1  months   integer  months before this one
-- $2  dry_run  boolean  only say what would go
--
-- Returns one row per report period.

SELECT
    forgotten.report_period_id,
    forgotten.cluster_id,
    forgotten.month
FROM forget_old_report_periods(
    (date_trunc('month', now() AT TIME ZONE 'UTC') - make_interval(months => $1))::date,
    $2
) AS forgotten
ORDER BY
    forgotten.month,
    forgotten.cluster_id;
