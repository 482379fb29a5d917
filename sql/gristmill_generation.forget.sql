-- Marks generations as forgotten: from now on nothing reads their rows, and no COPY
-- adds any.
--
-- Writes  gristmill_generation  one row per generation
--
-- $1  generations  bigint[]  the generations

UPDATE gristmill_generation
SET state = 'forgotten'
WHERE
    id = ANY ($1)
    AND state <> 'forgotten';
