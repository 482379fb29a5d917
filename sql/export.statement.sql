-- Makes the statements that export the rows of some days of a table or view, with names and
-- values quoted.
--
-- Reads  pg_class, pg_attribute  the table and its columns
--
-- $1  table_name   text  the table or view
-- $2  first_day    date  the first UTC day, inclusive
-- $3  last_day     date  the last UTC day, inclusive
-- $4  source_uuid  uuid  only rows of this source; null for all
--
-- Returns one row, if there is such a table with a column of days: `copied` for COPY, as
-- CSV, and `typed`, whose columns are of the kinds that are beside their names. `kinds` are
-- text, boolean, integer, double, date, instant, texts, integers, and decimal(p,s), whose
-- values are written out as text.

WITH tables AS (
    -- The one that is asked for; a partition is a part of its table.
    SELECT
        class.oid,
        class.relname
    FROM pg_class AS class
    WHERE
        class.relnamespace = current_schema()::regnamespace
        AND class.relkind IN ('r', 'p', 'v', 'm')
        AND NOT class.relispartition
        AND class.relname = $1
),
columns AS (
    SELECT
        attribute.attnum AS number,
        attribute.attname AS name,
        CASE
            WHEN attribute.atttypid = 'boolean'::regtype THEN 'boolean'
            WHEN attribute.atttypid IN ('smallint'::regtype, 'integer'::regtype, 'bigint'::regtype) THEN 'integer'
            WHEN attribute.atttypid IN ('real'::regtype, 'double precision'::regtype) THEN 'double'
            WHEN attribute.atttypid = 'numeric'::regtype AND attribute.atttypmod >= 4
                -- A type's modifier is four more than its precision and scale.
                THEN format(
                    'decimal(%s,%s)',
                    (attribute.atttypmod - 4) >> 16 & 65535,
                    (attribute.atttypmod - 4) & 2047
                )
            WHEN attribute.atttypid = 'numeric'::regtype THEN 'double'
            WHEN attribute.atttypid = 'date'::regtype THEN 'date'
            WHEN attribute.atttypid = 'timestamptz'::regtype THEN 'instant'
            WHEN attribute.atttypid = 'text[]'::regtype THEN 'texts'
            WHEN attribute.atttypid IN ('integer[]'::regtype, 'bigint[]'::regtype) THEN 'integers'
            ELSE 'text'
        END AS kind
    FROM tables AS asked
    JOIN pg_attribute AS attribute
        ON attribute.attrelid = asked.oid
        AND attribute.attnum > 0
        AND NOT attribute.attisdropped
),
typed_columns AS (
    -- As the kind has it.
    SELECT
        columns.number,
        columns.name,
        columns.kind,
        CASE
            WHEN columns.kind IN ('boolean', 'texts') THEN format('%I', columns.name)
            WHEN columns.kind = 'integer' THEN format('%I::bigint', columns.name)
            WHEN columns.kind = 'double' THEN format('%I::double precision', columns.name)
            WHEN columns.kind = 'date' THEN format('%I - date ''1970-01-01''', columns.name)
            WHEN columns.kind = 'instant' THEN format('(extract(epoch FROM %I) * 1000000)::bigint', columns.name)
            WHEN columns.kind = 'integers' THEN format('%I::bigint[]', columns.name)
            ELSE format('%I::text', columns.name)
        END AS expression
    FROM columns
),
conditions AS (
    -- The days, by the first of these columns that there is.
    SELECT
        CASE columns.name
            WHEN 'interval_start'
                THEN format(
                    '%I >= %L AND %I < %L',
                    columns.name, $2::date::timestamp AT TIME ZONE 'UTC',
                    columns.name, ($3::date + 1)::timestamp AT TIME ZONE 'UTC'
                )
            ELSE format('%I BETWEEN %L AND %L', columns.name, $2::date, $3::date)
        END AS of_days,
        format('%I', columns.name) AS day
    FROM columns
    WHERE columns.name IN ('usage_start', 'usage_day', 'interval_start')
    ORDER BY array_position(ARRAY['usage_start', 'usage_day', 'interval_start'], columns.name::text)
    LIMIT 1
),
rest AS (
    -- What stands behind the columns.
    SELECT
        format('FROM %I WHERE %s', asked.relname, condition.of_days)
        || CASE
            WHEN $4::uuid IS NOT NULL THEN format(' AND source_uuid = %L', $4::uuid)
            ELSE ''
        END
        || format(' ORDER BY %s', condition.day) AS text
    FROM tables AS asked
    CROSS JOIN conditions AS condition
)
SELECT
    array_agg(columns.name::text ORDER BY columns.number) AS names,
    array_agg(columns.kind ORDER BY columns.number) AS kinds,
    bool_or(columns.name = 'source_uuid') AS has_source,
    format(
        'COPY (SELECT %s %s) TO STDOUT WITH (FORMAT csv, HEADER)',
        string_agg(format('%I', columns.name), ', ' ORDER BY columns.number),
        rest.text
    ) AS copied,
    format(
        'SELECT %s %s',
        string_agg(columns.expression, ', ' ORDER BY columns.number),
        rest.text
    ) AS typed
FROM typed_columns AS columns
CROSS JOIN rest
GROUP BY rest.text;
