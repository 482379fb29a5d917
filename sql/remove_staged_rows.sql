-- Removes the rows of a forgotten generation from a partition of staging. Returns how
-- many that were.
--
-- Writes  the partition  one row per generation, hour and object
--
-- partition   text    the partition; no error when it is gone
-- generation  bigint  the generation
--
-- The statement made for the partition is given
-- $1  the generation

CREATE OR REPLACE FUNCTION remove_staged_rows(partition text, generation bigint)
RETURNS bigint
LANGUAGE plpgsql
AS $$
DECLARE
    rows_deleted bigint;
BEGIN
    EXECUTE format('DELETE FROM %I.%I WHERE generation = $1', current_schema(), partition)
    USING generation;
    GET DIAGNOSTICS rows_deleted = ROW_COUNT;
    RETURN rows_deleted;
EXCEPTION WHEN undefined_table THEN
    RETURN 0;
END
$$;
