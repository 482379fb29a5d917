-- Creates a month's partition of every monthly table, where it is missing.
--
-- Reads   monthly_tables  one row per table
-- Writes  as ensure_partition does
--
-- month  date  any day of the month

CREATE OR REPLACE FUNCTION ensure_month(month date)
RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM ensure_partition(monthly.table_name, month)
    FROM monthly_tables() AS monthly
    ORDER BY monthly.table_name;
END
$$;
