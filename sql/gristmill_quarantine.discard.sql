-- Marks open rows as of no interest; they are kept.
--
-- Writes  gristmill_quarantine  one row per rejected row
--
-- $1  ids     bigint[]  the rows
-- $2  reason  text      why, as the person says
--
-- Returns the rows that were open.

UPDATE gristmill_quarantine AS quarantine
SET
    state = 'discarded',
    changed_at = now(),
    reason = $2
WHERE
    quarantine.id = ANY ($1)
    AND quarantine.state = 'open'
RETURNING quarantine.id;
