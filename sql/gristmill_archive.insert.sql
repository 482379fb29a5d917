-- Records an archived tarball; again when it was put somewhere else. Then what is at
-- the former place is to be removed.
--
-- Writes  gristmill_archive          one row per manifest and archived tarball
-- Writes  gristmill_archive_orphan   one row per archived tarball of a removed source
-- Writes  gristmill_archive_pending  one row per file that is written or is to be removed
--
-- $1  manifest_id  integer  the manifest
-- $2  digest       text     SHA-256 of the tarball
-- $3  source_uuid  uuid     the source
-- $4  payload      text     the file name under which it came
-- $5  files        text[]   the files of the manifest that are in it
-- $6  bytes        bigint   its size
-- $7  directory    text     where it was put
-- $8  pending_id   uuid     the file, as it was recorded before it was written

WITH arrived AS (
    DELETE FROM gristmill_archive_pending
    WHERE id = $8
),
adopted AS (
    -- Its source was removed, and is back.
    DELETE FROM gristmill_archive_orphan
    WHERE
        directory = $7
        AND digest = $2
),
left_behind AS (
    INSERT INTO gristmill_archive_pending (directory, digest)
    SELECT
        archived.directory,
        archived.digest
    FROM gristmill_archive AS archived
    WHERE
        archived.manifest_id = $1
        AND archived.digest = $2
        AND archived.directory <> $7
)
INSERT INTO gristmill_archive (manifest_id, digest, source_uuid, payload, files, bytes, directory)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (manifest_id, digest) DO UPDATE
    SET
        directory = excluded.directory,
        archived_at = excluded.archived_at;
