-- Lists the uploads of which some files are loaded and others have not come.
--
-- Reads  reporting_common_costusagereportmanifest  one row per manifest
-- Reads  reporting_common_costusagereportstatus    one row per manifest and file
--
-- Returns one row per upload, the oldest first. An upload is overdue when it has
-- waited for more than a day.

SELECT
    manifest.provider_id AS source_uuid,
    manifest.assembly_id AS upload,
    manifest.creation_datetime AS waits_since,
    now() - manifest.creation_datetime > interval '1 day' AS overdue,
    array_agg(file.report_name ORDER BY file.report_name)
        FILTER (WHERE file.completed_datetime IS NULL) AS missing_files
FROM reporting_common_costusagereportmanifest AS manifest
JOIN reporting_common_costusagereportstatus AS file
    ON file.manifest_id = manifest.id
WHERE manifest.completed_datetime IS NULL
GROUP BY manifest.id
HAVING
    count(file.completed_datetime) > 0
    AND count(file.completed_datetime) < count(*)
ORDER BY
    manifest.creation_datetime,
    manifest.id;
