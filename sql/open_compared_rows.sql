-- Opens a cursor over the rows of a table as they are compared with those of another
-- schema: by day, and then by all that is compared, whatever order they were written in.
--
-- Reads  compared_columns()  what is compared, and as what
-- Reads  the table           its rows
--
-- opened     refcursor  the cursor's name, in a transaction
-- of_table   text       the table
-- left_out   text[]     columns that are not compared either
-- first_day  date       only rows of this day and later ones; null for all
-- last_day   date       only rows of this day and earlier ones; null for all
--
-- A row is its day and the texts of its columns. Bytes decide the order, as they do in
-- the program that reads it.

CREATE OR REPLACE FUNCTION open_compared_rows(
    opened refcursor,
    of_table text,
    left_out text[],
    first_day date,
    last_day date
)
RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    day_expression text;
    cell_expressions text;
BEGIN
    SELECT
        COALESCE(min(columns.day), 'NULL::date'),
        string_agg(format('(%s)::text', columns.expression), ', ' ORDER BY columns.place)
    INTO STRICT
        day_expression,
        cell_expressions
    FROM compared_columns() AS columns
    WHERE
        columns.table_name = of_table
        AND columns.expression IS NOT NULL
        AND columns.column_name <> ALL (left_out);

    OPEN opened NO SCROLL FOR EXECUTE format(
        'SELECT day, cells
        FROM (SELECT %s AS day, ARRAY[%s]::text[] AS cells FROM %I.%I AS compared) AS rows
        WHERE (%L::date IS NULL OR day >= %L) AND (%L::date IS NULL OR day <= %L)
        ORDER BY day NULLS LAST, cells COLLATE "C"',
        day_expression, cell_expressions, current_schema(), of_table,
        first_day, first_day, last_day, last_day
    );
END
$$;
