-- Says under which digest a file of the archive is about to be placed.
--
-- Writes  gristmill_archive_pending  one row per file that is written or is to be removed
--
-- $1  id      uuid  the file
-- $2  digest  text  SHA-256 of its bytes

UPDATE gristmill_archive_pending
SET digest = $2
WHERE id = $1;
