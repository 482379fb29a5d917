-- Forgets archived tarballs of sources that were removed. Their files are to be removed.
--
-- Writes  gristmill_archive_orphan   one row per archived tarball of a removed source
-- Writes  gristmill_archive_pending  one row per file that is written or is to be removed
--
-- $1  directories  text[]  the archive's folder of each
-- $2  digests      text[]  the tarballs, in the same order

WITH forgotten AS (
    DELETE FROM gristmill_archive_orphan AS orphan
    USING unnest($1::text[], $2::text[]) AS old (directory, digest)
    WHERE
        orphan.directory = old.directory
        AND orphan.digest = old.digest
    RETURNING
        orphan.directory,
        orphan.digest
)
INSERT INTO gristmill_archive_pending (directory, digest)
SELECT
    forgotten.directory,
    forgotten.digest
FROM forgotten;
