-- Lists the months of summaries that are past retention: those that begin so many
-- calendar months before this one, or earlier.
--
-- Reads  as old_partitions does
--
-- $1  months  integer  months before this one
--
-- Returns one row per partition.

SELECT
    old.table_name,
    old.partition_name,
    old.rows_estimate
FROM old_partitions(
    (date_trunc('month', now() AT TIME ZONE 'UTC') - make_interval(months => $1))::date
) AS old
ORDER BY old.partition_name;
