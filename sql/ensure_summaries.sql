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
    summaries CONSTANT text[] := ARRAY(
        SELECT monthly.table_name
        FROM monthly_tables() AS monthly
        WHERE NOT monthly.is_staging
        ORDER BY monthly.table_name
    );
    summary text;
BEGIN
    -- As hold_partitions does, all of them at once.
    EXECUTE (
        SELECT format('LOCK TABLE %s IN ROW EXCLUSIVE MODE', string_agg(held.names, ', ' ORDER BY held.names))
        FROM (
            SELECT format('ONLY %I.%I', current_schema(), summaries.name) AS names
            FROM unnest(summaries) AS summaries (name)
        ) AS held
    );

    FOREACH summary IN ARRAY summaries LOOP
        IF to_regclass(format('%I.%I', current_schema(), summary || to_char(month, '_YYYY_MM'))) IS NULL THEN
            PERFORM ensure_partition(summary, month);
        END IF;
    END LOOP;
END
$$;
