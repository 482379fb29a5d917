-- Removes the records of forgotten generations whose rows are gone, with their coverage.
--
-- Writes  gristmill_generation, gristmill_coverage, gristmill_hour_read  one row per generation, and what it had
--
-- $1  generations  bigint[]  the generations

DELETE FROM gristmill_generation
WHERE
    id = ANY ($1)
    AND state = 'forgotten';
