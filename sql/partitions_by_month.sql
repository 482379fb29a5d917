-- The partitions of the monthly tables, with the month of each. One whose bounds are
-- not one calendar month is somebody's decision and not listed.
--
-- Reads  monthly_tables         one row per table
-- Reads  pg_class, pg_inherits  their partitions
--
-- Returns one row per partition, with about how many rows it had, or null where
-- nobody has counted yet.

CREATE OR REPLACE FUNCTION partitions_by_month()
RETURNS TABLE (
    table_name text,
    partition_name text,
    is_staging boolean,
    month date,
    rows_estimate bigint
)
LANGUAGE plpgsql
STABLE
AS $$
BEGIN
    RETURN QUERY
    WITH partitions AS (
        SELECT
            monthly.table_name AS parent,
            partition.relname AS name,
            monthly.is_staging AS of_staging,
            partition.reltuples,
            regexp_match(
                pg_get_expr(partition.relpartbound, partition.oid),
                '^FOR VALUES FROM [(]''(.+)''[)] TO [(]''(.+)''[)]$'
            )::timestamptz[] AS bounds
        FROM monthly_tables() AS monthly
        JOIN pg_inherits AS inheritance
            ON inheritance.inhparent = to_regclass(format('%I.%I', current_schema(), monthly.table_name))
        JOIN pg_class AS partition
            ON partition.oid = inheritance.inhrelid
        WHERE
            partition.relnamespace = quote_ident(current_schema())::regnamespace
            AND partition.relkind = 'r'
    )
    SELECT
        one.parent,
        one.name::text,
        one.of_staging,
        one.bounds[1]::date,
        NULLIF(one.reltuples, -1)::bigint
    FROM partitions AS one
    WHERE
        one.bounds[1] = date_trunc('month', one.bounds[1])
        AND one.bounds[2] = one.bounds[1] + interval '1 month';
END
$$;
