-- Lists every place at which a tarball is, was put or is to be removed.
--
-- Reads  gristmill_archive          one row per manifest and archived tarball
-- Reads  gristmill_archive_orphan   one row per archived tarball of a removed source
-- Reads  gristmill_archive_pending  one row per file that is written or is to be removed

SELECT
    archived.directory,
    archived.digest
FROM gristmill_archive AS archived
UNION
SELECT
    orphan.directory,
    orphan.digest
FROM gristmill_archive_orphan AS orphan
UNION
SELECT
    pending.directory,
    coalesce(pending.digest, '')
FROM gristmill_archive_pending AS pending
ORDER BY
    directory,
    digest;
