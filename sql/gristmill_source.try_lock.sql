-- Keeps other runs out of a source until the session ends or lets go, unless one is
-- at work on it.
--
-- $1  source_uuid  text  the source
--
-- Returns whether the source is locked now; gristmill_source.lock waits for it. And which
-- process of the server this session is.

SELECT
    pg_try_advisory_lock(source_lock_key($1::uuid)),
    pg_backend_pid();
