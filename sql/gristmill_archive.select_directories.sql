-- Lists the directories that hold archived tarballs.
--
-- Reads  gristmill_archive  one row per manifest and archived tarball

SELECT DISTINCT directory
FROM gristmill_archive
ORDER BY directory;
