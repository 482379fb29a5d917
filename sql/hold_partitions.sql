-- Keeps the partitions of a table from being dropped until the transaction ends, as a
-- COPY into it does once it has begun.
--
-- Reads  pg_class  which partitions there are
--
-- parent  text    the table
-- months  date[]  the first days of months
--
-- Returns whether all of these months have a partition now. One without may have lost
-- it since it was made: nothing was in it.

CREATE OR REPLACE FUNCTION hold_partitions(parent text, months date[])
RETURNS boolean
LANGUAGE plpgsql
AS $$
BEGIN
    EXECUTE format('LOCK TABLE ONLY %I.%I IN ROW EXCLUSIVE MODE', current_schema(), parent);

    RETURN NOT EXISTS (
        SELECT
        FROM unnest(months) AS month
        WHERE to_regclass(format('%I.%I', current_schema(), parent || to_char(month, '_YYYY_MM'))) IS NULL
    );
END
$$;
