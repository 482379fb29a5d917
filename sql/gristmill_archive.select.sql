-- Lists the archived tarballs of a manifest, in the order in which they came.
--
-- Reads  gristmill_archive  one row per manifest and archived tarball
--
-- $1  manifest_id  integer  the manifest

SELECT
    digest,
    payload,
    files,
    bytes,
    directory
FROM gristmill_archive
WHERE manifest_id = $1
ORDER BY
    archived_at,
    digest;
