-- Closes the records of runs that are no longer at work: each holds a lock as long as
-- its session lives.
--
-- Writes  gristmill_run  one row per run

WITH running_runs AS MATERIALIZED (
    -- They say that they run. Nobody is asked about the others.
    SELECT run.id
    FROM gristmill_run AS run
    WHERE run.state = 'running'
),
dead_runs AS MATERIALIZED (
    -- The lock is gristmill_run.insert.sql's.
    SELECT running.id
    FROM running_runs AS running
    WHERE pg_try_advisory_xact_lock(
        hashtextextended('gristmill run ' || current_schema() || ' ' || running.id, 0)
    )
)
UPDATE gristmill_run AS run
SET
    state = 'failed',
    finished_at = clock_timestamp(),
    error = 'the run was interrupted; nothing of it counts'
FROM dead_runs AS dead
WHERE
    run.id = dead.id
    -- It may have come to its end just now.
    AND run.state = 'running';
