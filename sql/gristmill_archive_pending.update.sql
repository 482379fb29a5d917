-- Says under which digest a file of the archive is about to be placed, once nobody else
-- places or removes it.
--
-- Writes  gristmill_archive_pending  one row per file that is written or is to be removed
--
-- $1  id      uuid  the file
-- $2  digest  text  SHA-256 of its bytes

WITH held AS MATERIALIZED (
    -- The lock is gristmill_archive_pending.lock.sql's.
    SELECT pg_advisory_xact_lock(hashtextextended('gristmill archive ' || current_schema() || ' ' || $2, 0)) AS lock
)
UPDATE gristmill_archive_pending AS pending
SET digest = $2
FROM held
WHERE pending.id = $1;
