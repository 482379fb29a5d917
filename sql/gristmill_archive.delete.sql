-- Forgets archived tarballs. Their files are to be removed.
--
-- Writes  gristmill_archive          one row per manifest and archived tarball
-- Writes  gristmill_archive_pending  one row per file that is written or is to be removed
--
-- $1  manifest_ids  integer[]  the manifests
-- $2  digests       text[]     the tarball of each, in the same order

WITH forgotten AS (
    DELETE FROM gristmill_archive AS archived
    USING unnest($1::integer[], $2::text[]) AS old (manifest_id, digest)
    WHERE
        archived.manifest_id = old.manifest_id
        AND archived.digest = old.digest
    RETURNING
        archived.directory,
        archived.digest
)
INSERT INTO gristmill_archive_pending (directory, digest)
SELECT DISTINCT
    forgotten.directory,
    forgotten.digest
FROM forgotten;
