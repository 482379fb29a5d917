-- Lists the tarballs that a directory must hold.
--
-- Reads  gristmill_archive  one row per manifest and archived tarball
--
-- $1  directory  text  the directory

SELECT DISTINCT digest
FROM gristmill_archive
WHERE directory = $1
ORDER BY digest;
