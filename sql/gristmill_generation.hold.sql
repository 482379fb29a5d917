-- Keeps a generation that is being loaded from being forgotten until the transaction
-- ends. Called when all rows of a COPY are in and nothing is committed: whoever forgets
-- it waits, and then finds the rows.
--
-- Reads  gristmill_generation  one row per generation
--
-- $1  generation  bigint  the generation
--
-- Returns a row unless somebody has forgotten it, as happens when the session that
-- locked its source has ended: then the rows must not stay.

SELECT id
FROM gristmill_generation
WHERE
    id = $1
    AND state = 'loading'
FOR SHARE;
