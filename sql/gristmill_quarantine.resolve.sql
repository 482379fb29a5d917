-- Marks rows of files that earlier runs of their manifest quarantined and this run
-- let through. Those that it rejects again are of this run by now.
--
-- Reads   gristmill_run         one row per run
-- Writes  gristmill_quarantine  one row per rejected row
--
-- $1  run_id       bigint   the run
-- $2  manifest_id  integer  the manifest
-- $3  files        text[]   the files' names

WITH open_rows AS MATERIALIZED (
    SELECT quarantine.id
    FROM gristmill_quarantine AS quarantine
    WHERE
        quarantine.run_id = ANY (
            ARRAY(
                SELECT run.id
                FROM gristmill_run AS run
                WHERE
                    run.manifest_id = $2
                    AND run.id <> $1
            )
        )
        AND quarantine.file = ANY ($3::text[])
        AND quarantine.state = 'open'
    -- In the order in which all lock them.
    ORDER BY quarantine.id
    FOR UPDATE
)
UPDATE gristmill_quarantine AS quarantine
SET
    state = 'resolved',
    changed_at = now(),
    resolved_by_run = $1
FROM open_rows
WHERE quarantine.id = open_rows.id;
