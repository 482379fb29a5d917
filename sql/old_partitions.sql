-- The months of summaries that are past retention.
--
-- Reads  partitions_by_month  one row per partition
--
-- cutoff_month  date  any day of the last month that is to go; earlier ones go as well
--
-- Returns one row per partition. Staging is not among them: forget_old_generations
-- knows what is still needed of it. On doubt nothing goes: a cutoff that would take the
-- previous month, which late payloads still change, is refused.

CREATE OR REPLACE FUNCTION old_partitions(cutoff_month date)
RETURNS TABLE (table_name text, partition_name text, rows_estimate bigint)
LANGUAGE plpgsql
STABLE
AS $$
DECLARE
    last_month CONSTANT date := date_trunc('month', cutoff_month::timestamp);
    previous_month CONSTANT date := date_trunc('month', now() AT TIME ZONE 'UTC') - interval '1 month';
BEGIN
    IF cutoff_month IS NULL OR last_month >= previous_month THEN
        RAISE EXCEPTION 'cannot drop summaries up to %: % is the last month that may go',
            COALESCE(to_char(last_month, 'YYYY-MM'), 'an unknown month'),
            to_char(previous_month - interval '1 month', 'YYYY-MM')
            USING ERRCODE = 'invalid_parameter_value';
    END IF;

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
