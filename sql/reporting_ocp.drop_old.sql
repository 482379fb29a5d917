-- Drops the months of summaries that are past retention: those that begin so many
-- calendar months before this one, or earlier.
--
-- Writes  as drop_old_partitions does
--
-- $1  months   integer  months before this one
-- $2  dry_run  boolean  only say what would go
--
-- Returns one row per partition.

SELECT
    dropped.table_name,
    dropped.partition_name,
    dropped.rows_estimate
FROM drop_old_partitions(
    (date_trunc('month', now() AT TIME ZONE 'UTC') - make_interval(months => $1))::date,
    $2
) AS dropped
ORDER BY dropped.partition_name;
