-- Says what of each table is compared with the same table of another schema, and as what.
-- What cannot be the same there by its nature is left out, or what it stands for is looked
-- up: here, with the reason, and nowhere else.
--
-- Reads  pg_class, pg_attribute  the tables of this schema, and their columns
--
-- Returns one row per table and column. `expression` is what is compared, of a row that is
-- called `compared`; it is null for a column that is left out. `day` is the UTC day that a
-- row of the table is of, or the first one of its month; null where it is of none.
-- `is_name` are columns that say which row it is, rather than what is measured of it; they
-- come first by `place`.

CREATE OR REPLACE FUNCTION compared_columns()
RETURNS TABLE (
    table_name text,
    is_of_consumers boolean,
    day text,
    is_daily boolean,
    column_name text,
    expression text,
    reason text,
    is_name boolean,
    place bigint
)
LANGUAGE sql
STABLE
AS $$
WITH rules (number, column_pattern, column_type, beside, looked_up, reason) AS (
    -- The first that fits a column, its type and another column counts. In what is looked up,
    -- 1 is the schema and 2 the column.
    VALUES
    (1, 'uuid', NULL, NULL, NULL, 'the database makes it by chance'),
    (2, 'id', NULL, NULL, NULL, 'the database counts, or makes it by chance'),
    (3, 'run\_id%', NULL, NULL, NULL, 'how often something was loaded does not matter'),
    (4, 'directory', NULL, NULL, NULL, 'it is where the archive is, and not what is in it'),
    (5, '%\_at', NULL, NULL, NULL, 'it is when something was done'),
    (6, '%\_datetime', NULL, NULL, NULL, 'it is when something was done'),
    (7, '%seconds', NULL, NULL, NULL, 'it is how long something took'),
    (
        8, 'report\_period\_id', NULL, NULL,
        'SELECT concat_ws('' '', period.cluster_id, period.report_period_start) '
        'FROM %1$I.reporting_ocpusagereportperiod AS period WHERE period.id = compared.%2$I',
        'an id stands for a month of a cluster'
    ),
    (
        9, 'cluster\_id', 'uuid', NULL,
        'SELECT cluster.cluster_id FROM %1$I.reporting_ocp_clusters AS cluster WHERE cluster.uuid = compared.%2$I',
        'an id stands for a cluster'
    ),
    (
        10, 'manifest\_id', NULL, NULL,
        'SELECT manifest.assembly_id FROM %1$I.reporting_common_costusagereportmanifest AS manifest '
        'WHERE manifest.id = compared.%2$I',
        'an id stands for an upload'
    ),
    (11, 'generation', NULL, 'manifest_id', NULL, 'the upload says whose row it is'),
    (
        12, 'generation', NULL, NULL,
        'SELECT manifest.assembly_id FROM %1$I.gristmill_generation AS generation '
        'JOIN %1$I.reporting_common_costusagereportmanifest AS manifest ON manifest.id = generation.manifest_id '
        'WHERE generation.id = compared.%2$I',
        'an id stands for an upload'
    ),
    (
        13, 'parent\_id', NULL, NULL,
        'SELECT tag.key FROM %1$I.reporting_enabledtagkeys AS tag WHERE tag.uuid = compared.%2$I',
        'an id stands for a tag'
    ),
    (
        14, 'child\_id', NULL, NULL,
        'SELECT tag.key FROM %1$I.reporting_enabledtagkeys AS tag WHERE tag.uuid = compared.%2$I',
        'an id stands for a tag'
    ),
    (
        15, '%\_name\_id', NULL, NULL,
        'SELECT stored.name FROM %1$I.gristmill_name AS stored WHERE stored.id = compared.%2$I',
        'ids of texts are made with a secret of the schema'
    ),
    (
        16, '%\_labels\_id', NULL, NULL,
        'SELECT stored.labels FROM %1$I.gristmill_label_set AS stored WHERE stored.id = compared.%2$I',
        'ids of texts are made with a secret of the schema'
    )
),
columns AS (
    -- The columns of tables; a partition has those of its table.
    SELECT
        class.relname::text AS table_name,
        attribute.attname::text AS column_name,
        attribute.attnum AS number,
        attribute.atttypid::regtype::text AS type,
        array_agg(attribute.attname::text) OVER (PARTITION BY class.oid) AS names
    FROM pg_class AS class
    JOIN pg_attribute AS attribute
        ON attribute.attrelid = class.oid
        AND attribute.attnum > 0
        AND NOT attribute.attisdropped
    WHERE
        class.relnamespace = current_schema()::regnamespace
        AND class.relkind IN ('r', 'p')
        AND NOT class.relispartition
),
ruled_columns AS (
    -- Each with the rule for it, if there is one.
    SELECT
        columns.*,
        rule.looked_up,
        rule.reason,
        rule.looked_up IS NOT NULL
        OR columns.type IN ('text', 'character varying', 'date', 'timestamp with time zone', 'uuid', 'jsonb')
            AS is_name
    FROM columns
    LEFT JOIN LATERAL (
        SELECT
            rules.looked_up,
            rules.reason
        FROM rules
        WHERE
            columns.column_name LIKE rules.column_pattern
            AND columns.type = COALESCE(rules.column_type, columns.type)
            AND COALESCE(rules.beside, columns.column_name) = ANY (columns.names)
        ORDER BY rules.number
        LIMIT 1
    ) AS rule
        ON true
)
SELECT
    columns.table_name,
    columns.table_name LIKE 'reporting\_%'
    -- What is staged, and what was received, is the ledger's.
    AND columns.table_name NOT LIKE '%\_staging'
    AND columns.table_name NOT LIKE 'reporting\_common\_%' AS is_of_consumers,
    CASE
        WHEN 'usage_start' = ANY (columns.names) THEN 'compared.usage_start'
        WHEN 'usage_day' = ANY (columns.names) THEN 'compared.usage_day'
        WHEN 'interval_start' = ANY (columns.names) THEN '(compared.interval_start AT TIME ZONE ''UTC'')::date'
        WHEN 'report_period_start' = ANY (columns.names)
            THEN '(compared.report_period_start AT TIME ZONE ''UTC'')::date'
        WHEN 'report_period_id' = ANY (columns.names)
            THEN format(
                '(SELECT (period.report_period_start AT TIME ZONE ''UTC'')::date '
                'FROM %I.reporting_ocpusagereportperiod AS period WHERE period.id = compared.report_period_id)',
                current_schema()
            )
    END AS day,
    columns.names && ARRAY['usage_start', 'usage_day', 'interval_start'] AS is_daily,
    columns.column_name,
    CASE
        WHEN columns.looked_up IS NOT NULL
            THEN format('(' || columns.looked_up || ')', current_schema(), columns.column_name)
        WHEN columns.reason IS NULL THEN format('compared.%I', columns.column_name)
    END AS expression,
    columns.reason,
    columns.is_name,
    row_number() OVER (
        PARTITION BY columns.table_name
        ORDER BY NOT columns.is_name, columns.number
    ) AS place
FROM ruled_columns AS columns;
$$;
