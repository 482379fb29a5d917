-- Lists the uploads of which some files are loaded and others have not come; not those
-- that a later one superseded.
--
-- Reads  waiting_uploads                           one row per upload
-- Reads  reporting_common_costusagereportmanifest  one row per manifest
--
-- Returns one row per upload, the oldest first. An upload is overdue when it has
-- waited for more than a day.

SELECT
    waiting.source_uuid,
    manifest.assembly_id AS upload,
    waiting.waits_since,
    now() - waiting.waits_since > interval '1 day' AS overdue,
    waiting.files_missing AS missing_files
FROM waiting_uploads(NULL) AS waiting
JOIN reporting_common_costusagereportmanifest AS manifest
    ON manifest.id = waiting.manifest_id
WHERE waiting.superseded_by IS NULL
ORDER BY
    waiting.waits_since,
    manifest.id;
