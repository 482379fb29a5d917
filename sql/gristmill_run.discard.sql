-- Marks failed runs as discarded, with the reason.
--
-- Writes  gristmill_run  one row per run
--
-- $1  ids     bigint[]  the runs
-- $2  reason  text      the reason
--
-- Returns those of them that had failed and were not discarded.

UPDATE gristmill_run
SET
    discarded_at = now(),
    reason = $2
WHERE
    id = ANY ($1)
    AND state = 'failed'
    AND discarded_at IS NULL
RETURNING id;
