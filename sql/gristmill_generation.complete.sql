-- Makes a generation count: all that it says of its files is in staging.
--
-- Writes  gristmill_generation  one row per generation
--
-- $1  generation  bigint  the generation

UPDATE gristmill_generation
SET state = 'complete'
WHERE
    id = $1
    AND state = 'loading';
