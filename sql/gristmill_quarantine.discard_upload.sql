-- Marks the open rows of an upload as of no interest; they are kept.
--
-- Reads   gristmill_run         one row per run
-- Writes  gristmill_quarantine  one row per rejected row
--
-- $1  manifest_id  integer  the upload
-- $2  reason       text     why

WITH open_rows AS MATERIALIZED (
    SELECT quarantine.id
    FROM gristmill_quarantine AS quarantine
    JOIN gristmill_run AS run
        ON run.id = quarantine.run_id
    WHERE
        quarantine.state = 'open'
        AND run.manifest_id = $1
    -- In the order in which all lock them.
    ORDER BY quarantine.id
    FOR UPDATE OF quarantine
)
UPDATE gristmill_quarantine AS quarantine
SET
    state = 'discarded',
    changed_at = now(),
    reason = $2
FROM open_rows
WHERE quarantine.id = open_rows.id;
