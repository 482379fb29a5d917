-- Says which tables can be compared with those of another schema, in order.
--
-- Reads  compared_columns()  one row per table and column
--
-- $1  left_out  text[]  columns that are not compared either

SELECT
    table_name,
    is_of_consumers,
    is_daily,
    array_agg(column_name ORDER BY place) AS columns,
    count(*) FILTER (WHERE is_name) AS names
FROM compared_columns()
WHERE
    expression IS NOT NULL
    AND column_name <> ALL ($1::text[])
GROUP BY
    table_name,
    is_of_consumers,
    is_daily
ORDER BY table_name COLLATE "C";
