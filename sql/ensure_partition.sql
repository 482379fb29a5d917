-- Creates a month's partition of a monthly table, where it is missing. It has the
-- table's replica identity, which Postgres does not hand down.
--
-- Reads   pg_class, pg_partitioned_table  what the table is partitioned by, and its replica identity
-- Writes  <table>_YYYY_MM                 the partition
-- Writes  as register_partition does
--
-- parent  text  the table
-- month   date  any day of the month
--
-- The partition is created aside and attached, which locks the table no more than
-- a COPY of another session allows. The locks last to the end of the
-- transaction, so call it in a short one of its own.

CREATE OR REPLACE FUNCTION ensure_partition(parent text, month date)
RETURNS void
LANGUAGE plpgsql
-- The bounds of a timestamptz key are read in this zone.
SET TimeZone = 'UTC'
AS $$
DECLARE
    first_day CONSTANT date := date_trunc('month', month::timestamp);
    next_first_day CONSTANT date := first_day + interval '1 month';
    partition CONSTANT text := parent || to_char(first_day, '_YYYY_MM');
    partition_column text;
    has_full_identity boolean;
BEGIN
    IF to_regclass(format('%I.%I', current_schema(), partition)) IS NOT NULL THEN
        RETURN;
    END IF;

    -- Whoever waited here looks again: the other session may have made it.
    PERFORM pg_advisory_xact_lock(hashtextextended('ensure_month ' || current_schema(), 0));
    IF to_regclass(format('%I.%I', current_schema(), partition)) IS NOT NULL THEN
        RETURN;
    END IF;

    SELECT
        partition_key.attname,
        partitioned.relreplident = 'f'
    INTO STRICT
        partition_column,
        has_full_identity
    FROM pg_partitioned_table AS partitioning
    JOIN pg_class AS partitioned
        ON partitioned.oid = partitioning.partrelid
    JOIN pg_attribute AS partition_key
        ON partition_key.attrelid = partitioning.partrelid
        AND partition_key.attnum = partitioning.partattrs[0]
    WHERE partitioning.partrelid = to_regclass(format('%I.%I', current_schema(), parent));

    PERFORM register_partition(parent, partition, partition_column, first_day, next_first_day);
    IF to_regclass(format('%I.%I', current_schema(), partition)) IS NULL THEN
        EXECUTE format(
            'CREATE TABLE %I.%I (LIKE %I.%I INCLUDING DEFAULTS INCLUDING CONSTRAINTS)',
            current_schema(), partition, current_schema(), parent
        );
        EXECUTE format(
            'ALTER TABLE %I.%I ATTACH PARTITION %I.%I FOR VALUES FROM (%L) TO (%L)',
            current_schema(), parent, current_schema(), partition, first_day, next_first_day
        );
    END IF;

    IF has_full_identity THEN
        EXECUTE format('ALTER TABLE %I.%I REPLICA IDENTITY FULL', current_schema(), partition);
    END IF;
END
$$;
