-- Drops the months of staging before the previous one that hold rows of the given
-- generations only. Returns how many partitions that were.
--
-- Reads   pg_class, pg_inherits  which tables are staging tables
-- Reads   gristmill_coverage     one row per generation, report kind and hour
-- Writes  <table>_YYYY_MM        gone, for each staging table and month, as by drop_partition
--
-- generations  bigint[]  the generations whose rows may go
--
-- While anybody loads, nobody knows into which months: then all of them stay.

CREATE OR REPLACE FUNCTION drop_old_staging_partitions(generations bigint[])
RETURNS bigint
LANGUAGE plpgsql
SET DateStyle = 'ISO'
-- Bounds are shown in it.
SET TimeZone = 'UTC'
AS $$
DECLARE
    previous_month CONSTANT timestamptz := date_trunc('month', now()) - interval '1 month';
    old_partition record;
    partitions_dropped bigint := 0;
BEGIN
    IF EXISTS (SELECT FROM gristmill_generation AS generation WHERE generation.state = 'loading') THEN
        RETURN 0;
    END IF;

    FOR old_partition IN
        WITH partitions AS (
            SELECT
                partition.relname AS partition,
                regexp_match(
                    pg_get_expr(partition.relpartbound, partition.oid),
                    '^FOR VALUES FROM \(''(.+)''\) TO \(''(.+)''\)$'
                )::timestamptz[] AS bounds
            FROM pg_class AS parent
            JOIN pg_inherits AS inheritance
                ON inheritance.inhparent = parent.oid
            JOIN pg_class AS partition
                ON partition.oid = inheritance.inhrelid
            WHERE
                parent.relnamespace = quote_ident(current_schema())::regnamespace
                AND partition.relnamespace = parent.relnamespace
                AND parent.relkind = 'p'
                AND parent.relname LIKE 'reporting\_ocpusagelineitem\_%\_staging'
                AND partition.relkind = 'r'
        )
        SELECT old.partition
        FROM partitions AS old
        WHERE
            old.bounds[2] <= previous_month
            AND NOT EXISTS (
                SELECT
                FROM gristmill_coverage AS coverage
                WHERE
                    coverage.interval_start >= old.bounds[1]
                    AND coverage.interval_start < old.bounds[2]
                    AND coverage.generation <> ALL (generations)
            )
        ORDER BY old.partition
    LOOP
        PERFORM drop_partition(old_partition.partition);
        partitions_dropped := partitions_dropped + 1;
    END LOOP;

    RETURN partitions_dropped;
END
$$;
