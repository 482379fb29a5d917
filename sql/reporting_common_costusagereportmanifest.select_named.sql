-- Finds an upload by its uuid, in each source that has one of it, and what of it waits
-- for files.
--
-- Reads  reporting_common_costusagereportmanifest  one row per source and upload
-- Reads  waiting_uploads                           one row per upload that waits
--
-- $1  assembly_id  text  the uuid in its manifest
-- $2  source_uuid  uuid  of this source; null for all

SELECT
    manifest.id AS manifest_id,
    manifest.provider_id AS source_uuid,
    manifest.completed_datetime IS NOT NULL AS published,
    manifest.abandoned_datetime IS NOT NULL AND manifest.completed_datetime IS NULL AS abandoned,
    waiting.generations,
    waiting.files_missing
FROM reporting_common_costusagereportmanifest AS manifest
LEFT JOIN waiting_uploads(manifest.provider_id) AS waiting
    ON waiting.manifest_id = manifest.id
WHERE
    manifest.assembly_id = $1
    AND ($2::uuid IS NULL OR manifest.provider_id = $2)
ORDER BY manifest.id;
