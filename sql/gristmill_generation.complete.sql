-- Makes a generation count: all that it says of its files is in staging.
--
-- Writes  gristmill_generation  one row per generation
--
-- $1  generation   bigint  the generation
-- $2  fingerprint  text    the way on which it was loaded; null when no other upload may reuse it

UPDATE gristmill_generation
SET
    state = 'complete',
    fingerprint = $2
WHERE
    id = $1
    AND state = 'loading';
