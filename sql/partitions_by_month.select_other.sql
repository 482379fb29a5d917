-- Lists the partitions of all months but those that always exist: the previous, the
-- current and the next one.
--
-- Reads  partitions_by_month  one row per partition
--
-- $1  is_staging  boolean  only those of staging, or only the others; null for all

SELECT
    other.table_name,
    other.partition_name,
    other.rows_estimate,
    other.month,
    other.is_staging
FROM partitions_by_month() AS other
WHERE
    other.month NOT BETWEEN
        (date_trunc('month', now() AT TIME ZONE 'UTC') - interval '1 month')::date
        AND (date_trunc('month', now() AT TIME ZONE 'UTC') + interval '1 month')::date
    AND (
        $1::boolean IS NULL
        OR other.is_staging = $1
    )
ORDER BY
    other.month,
    other.table_name;
