-- Creates a month's partition of every monthly table, where it is missing.
--
-- Reads   pg_class  which tables are partitioned by range: in this schema those by month
-- Writes  <table>_YYYY_MM  for each staging table and each summary
-- Writes  as register_partition does
--
-- month  date  any day of the month
--
-- Partitions are created aside and attached, which locks the table no more than
-- a COPY of another session allows. The locks last to the end of the
-- transaction, so call it in a short one of its own.

CREATE OR REPLACE FUNCTION ensure_month(month date)
RETURNS void
LANGUAGE plpgsql
-- The bounds of a timestamptz key are read in this zone.
SET TimeZone = 'UTC'
AS $$
DECLARE
    first_day CONSTANT date := date_trunc('month', month::timestamp);
    next_first_day CONSTANT date := first_day + interval '1 month';
    missing record;
BEGIN
    FOR missing IN
        SELECT
            parent.relname AS parent,
            parent.relname || to_char(first_day, '_YYYY_MM') AS partition,
            partition_key.attname AS partition_column
        FROM pg_class AS parent
        JOIN pg_partitioned_table AS partitioning
            ON partitioning.partrelid = parent.oid
        JOIN pg_attribute AS partition_key
            ON partition_key.attrelid = parent.oid
            AND partition_key.attnum = partitioning.partattrs[0]
        WHERE
            parent.relnamespace = quote_ident(current_schema())::regnamespace
            AND NOT parent.relispartition
            AND partitioning.partstrat = 'r'
            AND NOT EXISTS (
                SELECT
                FROM pg_class AS present
                WHERE
                    present.relnamespace = parent.relnamespace
                    AND present.relname = parent.relname || to_char(first_day, '_YYYY_MM')
            )
        ORDER BY parent.relname
    LOOP
        -- Whoever waited here looks again: the other session may have made it.
        PERFORM pg_advisory_xact_lock(hashtextextended('ensure_month ' || current_schema(), 0));
        CONTINUE WHEN to_regclass(format('%I.%I', current_schema(), missing.partition)) IS NOT NULL;

        PERFORM register_partition(
            missing.parent,
            missing.partition,
            missing.partition_column,
            first_day,
            next_first_day
        );
        CONTINUE WHEN to_regclass(format('%I.%I', current_schema(), missing.partition)) IS NOT NULL;

        EXECUTE format(
            'CREATE TABLE %I.%I (LIKE %I.%I INCLUDING DEFAULTS INCLUDING CONSTRAINTS)',
            current_schema(), missing.partition, current_schema(), missing.parent
        );
        EXECUTE format(
            'ALTER TABLE %I.%I ATTACH PARTITION %I.%I FOR VALUES FROM (%L) TO (%L)',
            current_schema(), missing.parent, current_schema(), missing.partition, first_day, next_first_day
        );
    END LOOP;
END
$$;
