-- Lists the archived tarballs by which what is about to be removed can come back, in the
-- order in which they came.
--
-- Reads  gristmill_archive  one row per manifest and archived tarball
-- Reads  uploads_of_days    once
--
-- $1  source_uuid  uuid  the source
-- $2  first_day    date  of uploads of this day and later ones; null for all uploads
-- $3  last_day     date  and of this day and earlier ones

SELECT
    archived.digest,
    archived.payload,
    archived.files,
    archived.bytes,
    archived.directory
FROM gristmill_archive AS archived
WHERE
    archived.source_uuid = $1
    AND (
        $2::date IS NULL
        OR archived.manifest_id IN (SELECT uploads_of_days($1, $2, $3))
    )
ORDER BY
    archived.archived_at,
    archived.digest;
