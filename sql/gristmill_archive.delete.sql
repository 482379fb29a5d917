-- Forgets archived tarballs.
--
-- Writes  gristmill_archive  one row per manifest and archived tarball
--
-- $1  manifest_ids  integer[]  the manifests
-- $2  digests       text[]     the tarball of each, in the same order
--
-- Returns the tarballs that nothing refers to any more.

WITH forgotten AS (
    DELETE FROM gristmill_archive AS archived
    USING unnest($1::integer[], $2::text[]) AS old (manifest_id, digest)
    WHERE
        archived.manifest_id = old.manifest_id
        AND archived.digest = old.digest
    RETURNING
        archived.manifest_id,
        archived.digest,
        archived.directory
)
SELECT DISTINCT
    forgotten.digest,
    forgotten.directory
FROM forgotten
WHERE NOT EXISTS (
    SELECT
    FROM gristmill_archive AS kept
    WHERE
        kept.digest = forgotten.digest
        AND kept.directory = forgotten.directory
        AND (kept.manifest_id, kept.digest) NOT IN (
            SELECT
                gone.manifest_id,
                gone.digest
            FROM forgotten AS gone
        )
);
