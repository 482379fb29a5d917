-- Waits until no other run is at work on a source, and keeps others out until the
-- session ends or lets go.
--
-- $1  source_uuid  text  the source

SELECT pg_advisory_lock(source_lock_key($1::uuid));
