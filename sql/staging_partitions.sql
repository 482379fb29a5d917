-- The partitions of staging in which a generation may have rows: those of the months
-- of its coverage, or all while it has none.
--
-- Reads  monthly_tables, pg_inherits  the partitions, whatever their bounds are
-- Reads  partitions_by_month          the month of each
-- Reads  gristmill_coverage           one row per generation, report kind and hour
--
-- generation  bigint  the generation; null for all partitions

CREATE OR REPLACE FUNCTION staging_partitions(generation bigint)
RETURNS SETOF text
LANGUAGE sql
STABLE
AS $$
WITH months AS MATERIALIZED (
    SELECT DISTINCT date_trunc('month', coverage.interval_start AT TIME ZONE 'UTC')::date AS month
    FROM gristmill_coverage AS coverage
    WHERE coverage.generation = staging_partitions.generation
)
SELECT partition.relname::text
FROM monthly_tables() AS monthly
JOIN pg_inherits AS inheritance
    ON inheritance.inhparent = to_regclass(format('%I.%I', current_schema(), monthly.table_name))
JOIN pg_class AS partition
    ON partition.oid = inheritance.inhrelid
LEFT JOIN partitions_by_month() AS of_month
    ON of_month.partition_name = partition.relname
WHERE
    monthly.is_staging
    AND (
        NOT EXISTS (SELECT FROM months)
        OR of_month.month IS NULL
        OR of_month.month IN (SELECT known.month FROM months AS known)
    )
ORDER BY partition.relname;
$$;
