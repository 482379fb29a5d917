-- Forgets a file that is no longer in the archive.
--
-- Writes  gristmill_archive_pending  one row per file that is written or is to be removed
--
-- $1  id  uuid  the file

DELETE FROM gristmill_archive_pending
WHERE id = $1;
