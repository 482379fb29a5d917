-- Says whether this session keeps other runs out of a source.
--
-- Reads  pg_locks  the locks of this session
--
-- $1  source_uuid  text  the source

SELECT EXISTS (
    SELECT
    FROM pg_locks AS held
    WHERE
        held.pid = pg_backend_pid()
        AND held.locktype = 'advisory'
        AND held.granted
        AND held.objsubid = 1
        AND (held.classid::bigint << 32 | held.objid::bigint) = source_lock_key($1::uuid)
);
