-- How many hourly rows a generation's day parts are made of.
--
-- Reads  the part  one row or several per generation, start and object
--
-- part         text         the table of day parts
-- generation   bigint       the generation
-- range_start  timestamptz  the first hour or day
-- range_end    timestamptz  the last one
--
-- Returns one row per hour, of parts that have hours, or per UTC day.
--
-- The statement made for the table is given
-- $1  the generation
-- $2  the first instant
-- $3  the first instant behind them

CREATE OR REPLACE FUNCTION rows_of_day_part(
    part text,
    generation bigint,
    range_start timestamptz,
    range_end timestamptz
)
RETURNS TABLE (start timestamptz, rows bigint)
LANGUAGE plpgsql
STABLE
AS $$
BEGIN
    RETURN QUERY EXECUTE format(
        'SELECT date_trunc(''hour'', part.interval_start, ''UTC''), sum(part.rows)::bigint
        FROM %I.%I AS part
        WHERE
            part.generation = $1
            AND part.interval_start >= $2
            AND part.interval_start < $3
        GROUP BY 1',
        current_schema(), part
    ) USING generation, range_start, range_end + interval '1 day';
END
$$;
