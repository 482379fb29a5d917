-- The tables that are partitioned by month: the staging tables and the summaries.
--
-- Reads  pg_class, pg_partitioned_table  which tables are partitioned by range: in this schema those by month
--
-- Returns one row per table.

CREATE OR REPLACE FUNCTION monthly_tables()
RETURNS TABLE (table_name text, is_staging boolean)
LANGUAGE sql
STABLE
AS $$
SELECT
    parent.relname::text,
    parent.relname LIKE 'reporting\_ocpusagelineitem\_%\_staging'
FROM pg_class AS parent
JOIN pg_partitioned_table AS partitioning
    ON partitioning.partrelid = parent.oid
WHERE
    parent.relnamespace = quote_ident(current_schema())::regnamespace
    AND NOT parent.relispartition
    AND partitioning.partstrat = 'r';
$$;
