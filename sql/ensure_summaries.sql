-- Creates a month's partition of every summary, where it is missing, and keeps these
-- tables' partitions from being dropped until the transaction ends. Those of staging
-- are made one by one, when there are rows for them.
--
-- Reads   monthly_tables  one row per table
-- Writes  as ensure_partition does
--
-- month  date  any day of the month

CREATE OR REPLACE FUNCTION ensure_summaries(month date)
RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    summary text;
BEGIN
    FOR summary IN
        SELECT monthly.table_name
        FROM monthly_tables() AS monthly
        WHERE NOT monthly.is_staging
        ORDER BY monthly.table_name
    LOOP
        PERFORM hold_partitions(summary, '{}');
        PERFORM ensure_partition(summary, month);
    END LOOP;
END
$$;
