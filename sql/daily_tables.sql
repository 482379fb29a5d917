-- The tables whose rows are of one day of one source, staging and summaries among them:
-- all that goes when a day or a source is removed. A table is known by its columns, so
-- that a new one is among them without being named anywhere.
--
-- Reads  pg_class, pg_attribute  the tables of this schema, and their columns
--
-- Returns one row per table: the column that says the day, whether that is an instant
-- rather than a date, and whether a generation says the source. `is_aliased` are tables
-- that show what the cluster is called.

CREATE OR REPLACE FUNCTION daily_tables()
RETURNS TABLE (
    table_name text,
    day_column text,
    is_instant boolean,
    by_generation boolean,
    is_partitioned boolean,
    is_aliased boolean
)
LANGUAGE sql
STABLE
AS $$
WITH tables AS (
    -- With the columns that matter here.
    SELECT
        class.relname::text AS table_name,
        class.relkind = 'p' AS is_partitioned,
        array_agg(attribute.attname::text) AS names
    FROM pg_class AS class
    JOIN pg_attribute AS attribute
        ON attribute.attrelid = class.oid
        AND attribute.attname IN (
            'generation', 'source_uuid', 'cluster_alias', 'usage_start', 'usage_day', 'interval_start'
        )
    WHERE
        class.relnamespace = quote_ident(current_schema())::regnamespace
        AND class.relkind IN ('r', 'p')
        AND NOT class.relispartition
    GROUP BY class.oid
)
SELECT
    known.table_name,
    CASE
        WHEN 'usage_start' = ANY (known.names) THEN 'usage_start'
        WHEN 'usage_day' = ANY (known.names) THEN 'usage_day'
        ELSE 'interval_start'
    END,
    NOT known.names && ARRAY['usage_start', 'usage_day'],
    'generation' = ANY (known.names),
    known.is_partitioned,
    'cluster_alias' = ANY (known.names)
FROM tables AS known
WHERE
    known.names && ARRAY['usage_start', 'usage_day', 'interval_start']
    AND known.names && ARRAY['generation', 'source_uuid'];
$$;
