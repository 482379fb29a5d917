-- Lists the files of archives that nobody will record: of runs that are no longer at
-- work, and those on their way out.
--
-- Reads  gristmill_archive_pending  one row per file that is written or is to be removed
--
-- A run holds the lock of gristmill_run.insert.sql while it is at work. Those
-- taken here go with the transaction.

SELECT
    pending.id,
    pending.directory,
    pending.digest
FROM gristmill_archive_pending AS pending
WHERE
    pending.run_id IS NULL
    OR pg_try_advisory_xact_lock(
        hashtextextended('gristmill run ' || current_schema() || ' ' || pending.run_id, 0)
    )
ORDER BY
    pending.begun_at,
    pending.id;
