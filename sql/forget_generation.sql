-- Removes what a generation loaded, and the generation itself. Returns how many
-- staged rows that were.
--
-- Reads   pg_class              which tables are staging tables
-- Writes  every staging table   one row per generation, hour and object
-- Writes  gristmill_coverage    one row per generation, report kind and hour
-- Writes  gristmill_generation  one row per generation
--
-- generation  bigint  the generation; an unknown one is no error

CREATE OR REPLACE FUNCTION forget_generation(generation bigint)
RETURNS bigint
LANGUAGE plpgsql
AS $$
DECLARE
    staging_table regclass;
    rows_deleted_here bigint;
    rows_deleted bigint := 0;
BEGIN
    FOR staging_table IN
        SELECT candidate.oid
        FROM pg_class AS candidate
        WHERE
            candidate.relnamespace = quote_ident(current_schema())::regnamespace
            AND candidate.relkind = 'p'
            AND candidate.relname LIKE 'reporting\_ocpusagelineitem\_%\_staging'
        ORDER BY candidate.relname
    LOOP
        EXECUTE format('DELETE FROM %s WHERE generation = $1', staging_table) USING generation;
        GET DIAGNOSTICS rows_deleted_here = ROW_COUNT;
        rows_deleted := rows_deleted + rows_deleted_here;
    END LOOP;

    -- Its coverage goes with it.
    DELETE FROM gristmill_generation AS forgotten
    WHERE forgotten.id = forget_generation.generation;

    RETURN rows_deleted;
END
$$;
