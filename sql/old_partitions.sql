-- The months of summaries that are past retention.
--
-- Reads  last_month_to_go     once
-- Reads  partitions_by_month  one row per partition
--
-- cutoff_month  date  any day of the last month that is to go; earlier ones go as well
--
-- Returns one row per partition. Staging is not among them: forget_old_generations
-- knows what is still needed of it.

CREATE OR REPLACE FUNCTION old_partitions(cutoff_month date)
RETURNS TABLE (table_name text, partition_name text, rows_estimate bigint)
LANGUAGE plpgsql
STABLE
AS $$
DECLARE
    last_month CONSTANT date := last_month_to_go(cutoff_month, 'drop summaries');
BEGIN
    RETURN QUERY
    SELECT
        old.table_name,
        old.partition_name,
        old.rows_estimate
    FROM partitions_by_month() AS old
    WHERE
        NOT old.is_staging
        AND old.month <= last_month
    ORDER BY
        old.month,
        old.table_name;
END
$$;
