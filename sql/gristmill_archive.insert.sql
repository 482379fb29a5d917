-- Records an archived tarball; again when it was put somewhere else.
--
-- Writes  gristmill_archive  one row per manifest and archived tarball
--
-- $1  manifest_id  integer  the manifest
-- $2  digest       text     SHA-256 of the tarball
-- $3  source_uuid  uuid     the source
-- $4  payload      text     the file name under which it came
-- $5  files        text[]   the files of the manifest that are in it
-- $6  bytes        bigint   its size
-- $7  directory    text     where it was put

INSERT INTO gristmill_archive (manifest_id, digest, source_uuid, payload, files, bytes, directory)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (manifest_id, digest) DO UPDATE
    SET
        directory = excluded.directory,
        archived_at = excluded.archived_at;
