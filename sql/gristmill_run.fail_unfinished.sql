-- Closes the record of the run that left a generation behind.
--
-- Writes  gristmill_run  one row per run
--
-- $1  generation  bigint  the generation, which is about to be forgotten

UPDATE gristmill_run
SET
    state = 'failed',
    finished_at = clock_timestamp(),
    error = 'the run was interrupted; what it had loaded was taken back'
WHERE
    state = 'running'
    AND id = (
        SELECT run_id
        FROM gristmill_generation
        WHERE gristmill_generation.id = $1
    );
