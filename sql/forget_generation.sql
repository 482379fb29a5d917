-- Removes what a complete generation loaded, and the generation itself, in one
-- transaction. Returns how many staged rows that were.
--
-- Reads   staging_partitions    where its rows are
-- Writes  every staging table   one row per generation, hour and object
-- Writes  gristmill_coverage    one row per generation, report kind and hour
-- Writes  gristmill_generation  one row per generation
--
-- generation  bigint  the generation; an unknown one is no error
--
-- Of one that is not complete nobody knows where its rows are: they go a partition at
-- a time, by remove_staged_rows.

CREATE OR REPLACE FUNCTION forget_generation(generation bigint)
RETURNS bigint
LANGUAGE plpgsql
AS $$
DECLARE
    rows_deleted bigint;
BEGIN
    -- Nobody adds a row from here on: gristmill_generation.hold.
    UPDATE gristmill_generation AS forgotten
    SET state = 'forgotten'
    WHERE forgotten.id = forget_generation.generation;

    SELECT COALESCE(sum(remove_staged_rows(partition.name, forget_generation.generation)), 0)
    INTO rows_deleted
    FROM staging_partitions(forget_generation.generation) AS partition (name)
    WHERE EXISTS (
        SELECT
        FROM gristmill_coverage AS coverage
        WHERE coverage.generation = forget_generation.generation
    );

    -- Its coverage goes with it.
    DELETE FROM gristmill_generation AS forgotten
    WHERE forgotten.id = forget_generation.generation;

    RETURN rows_deleted;
END
$$;
