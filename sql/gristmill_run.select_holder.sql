-- Who keeps other runs out of a source: the session that has its lock, and the run that it
-- is of.
--
-- Reads  pg_locks              the lock of the source
-- Reads  pg_stat_activity      one row per session
-- Reads  gristmill_generation  one row per generation
-- Reads  gristmill_run         one row per run
--
-- $1  source_uuid  text  the source
--
-- Returns the server's process of the session, what it calls itself, and the number, the
-- payload and the start of the run, which are null when it is of none. No row when nobody
-- has the lock any more.

SELECT
    held.pid AS process,
    COALESCE(session.application_name, '') AS application_name,
    run.id AS run_id,
    run.payload,
    run.started_at
FROM pg_locks AS held
LEFT JOIN pg_stat_activity AS session
    ON session.pid = held.pid
LEFT JOIN LATERAL (
    -- A run has opened its generation soon after it has the lock.
    SELECT
        of_source.id,
        of_source.payload,
        of_source.started_at
    FROM gristmill_generation AS generation
    INNER JOIN gristmill_run AS of_source
        ON of_source.id = generation.run_id
    WHERE
        generation.source_uuid = $1::uuid
        AND generation.state <> 'complete'
        AND of_source.state = 'running'
    ORDER BY of_source.id DESC
    LIMIT 1
) AS run
    ON true
WHERE
    held.locktype = 'advisory'
    AND held.granted
    AND held.objsubid = 1
    AND held.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND (held.classid::bigint << 32 | held.objid::bigint) = source_lock_key($1::uuid)
LIMIT 1;
