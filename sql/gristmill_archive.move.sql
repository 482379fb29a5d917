-- Says of archived tarballs that they are in another folder.
--
-- Writes  gristmill_archive          one row per manifest and archived tarball
-- Writes  gristmill_archive_orphan   one row per archived tarball of a removed source
-- Writes  gristmill_archive_pending  one row per file that is written or is to be removed
--
-- $1  directories  text[]  where each was said to be
-- $2  digests      text[]  the tarballs, in the same order; empty for what is not written whole
-- $3  directory    text    where they are

WITH moved AS (
    SELECT
        place.directory,
        place.digest
    FROM unnest($1::text[], $2::text[]) AS place (directory, digest)
),
pending AS (
    UPDATE gristmill_archive_pending AS pending
    SET directory = $3
    FROM moved
    WHERE
        pending.directory = moved.directory
        AND coalesce(pending.digest, '') = moved.digest
),
orphans AS (
    UPDATE gristmill_archive_orphan AS orphan
    SET directory = $3
    FROM moved
    WHERE
        orphan.directory = moved.directory
        AND orphan.digest = moved.digest
)
UPDATE gristmill_archive AS archived
SET directory = $3
FROM moved
WHERE
    archived.directory = moved.directory
    AND archived.digest = moved.digest;
