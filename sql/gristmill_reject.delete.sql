-- Removes the rejected rows of a generation, once they are in quarantine.
--
-- Writes  gristmill_reject  one row per rejected row
--
-- $1  generation  bigint  the generation

DELETE FROM gristmill_reject
WHERE generation = $1;
