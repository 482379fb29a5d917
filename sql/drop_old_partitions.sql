-- Drops the months of summaries that are past retention, a partition at a time.
--
-- Reads   pg_class, pg_inherits  which tables are summaries by month
-- Writes  <table>_YYYY_MM        gone, for each summary and month, as by drop_partition
--
-- cutoff_month  date     any day of the last month that is to go; earlier ones go as well
-- dry_run       boolean  only say what would go
--
-- Returns one row per partition, with about how many rows it had, or null where
-- nobody has counted yet. Staging is not touched: forget_old_generations knows what
-- is still needed of it. On doubt nothing goes: a cutoff that would take the
-- previous month, which late payloads still change, is refused, and a partition
-- whose bounds are not one calendar month stays.

CREATE OR REPLACE FUNCTION drop_old_partitions(cutoff_month date, dry_run boolean)
RETURNS TABLE (table_name text, partition_name text, rows_estimate bigint)
LANGUAGE plpgsql
-- Bounds are shown in it.
SET DateStyle = 'ISO'
-- Rather fail than hold up all who read.
SET lock_timeout = '10s'
AS $$
DECLARE
    last_month CONSTANT date := date_trunc('month', cutoff_month::timestamp);
    previous_month CONSTANT date := date_trunc('month', now() AT TIME ZONE 'UTC') - interval '1 month';
    old_partition record;
BEGIN
    IF cutoff_month IS NULL OR last_month >= previous_month THEN
        RAISE EXCEPTION 'cannot drop summaries up to %: % is the last month that may go',
            COALESCE(to_char(last_month, 'YYYY-MM'), 'an unknown month'),
            to_char(previous_month - interval '1 month', 'YYYY-MM')
            USING ERRCODE = 'invalid_parameter_value';
    END IF;

    FOR old_partition IN
        WITH partitions AS (
            SELECT
                parent.relname AS parent,
                partition.relname AS partition,
                partition.reltuples,
                regexp_match(
                    pg_get_expr(partition.relpartbound, partition.oid),
                    '^FOR VALUES FROM \(''(\d{4}-\d\d-\d\d)''\) TO \(''(\d{4}-\d\d-\d\d)''\)$'
                )::date[] AS bounds
            FROM pg_class AS parent
            JOIN pg_partitioned_table AS partitioning
                ON partitioning.partrelid = parent.oid
            JOIN pg_attribute AS partition_key
                ON partition_key.attrelid = parent.oid
                AND partition_key.attnum = partitioning.partattrs[0]
            JOIN pg_inherits AS inheritance
                ON inheritance.inhparent = parent.oid
            JOIN pg_class AS partition
                ON partition.oid = inheritance.inhrelid
            WHERE
                parent.relnamespace = quote_ident(current_schema())::regnamespace
                AND partition.relnamespace = parent.relnamespace
                AND parent.relname LIKE 'reporting\_ocp%'
                AND partitioning.partstrat = 'r'
                AND partition_key.attname = 'usage_start'
        )
        SELECT
            old.parent,
            old.partition,
            NULLIF(old.reltuples, -1)::bigint AS rows_estimate
        FROM partitions AS old
        WHERE
            old.bounds[1] <= last_month
            AND old.bounds[1] = date_trunc('month', old.bounds[1]::timestamp)
            AND old.bounds[2] = old.bounds[1] + interval '1 month'
        ORDER BY
            old.bounds[1],
            old.parent
    LOOP
        IF NOT dry_run THEN
            PERFORM drop_partition(old_partition.partition);
        END IF;

        table_name := old_partition.parent;
        partition_name := old_partition.partition;
        rows_estimate := old_partition.rows_estimate;
        RETURN NEXT;
    END LOOP;
END
$$;
