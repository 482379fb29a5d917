-- Lists the files of no known kind that were read past, by their columns: those of
-- uploads that hold a day, wait for files or came last.
--
-- Reads  reporting_common_costusagereportmanifest  one row per source and upload
-- Reads  reporting_common_costusagereportstatus    one row per manifest and file
-- Reads  gristmill_day_manifest                    one row per source, day and manifest
--
-- Returns one row per source and list of columns.

SELECT
    manifest.provider_id AS source_uuid,
    count(DISTINCT manifest.id) AS uploads,
    min(file.completed_datetime) AS since,
    (array_agg(file.report_name ORDER BY file.id DESC))[1] AS last_file,
    file.unknown_columns AS columns
FROM reporting_common_costusagereportstatus AS file
JOIN reporting_common_costusagereportmanifest AS manifest
    ON manifest.id = file.manifest_id
WHERE
    file.unknown_columns IS NOT NULL
    AND (
        manifest.completed_datetime IS NULL
        OR EXISTS (
            SELECT
            FROM gristmill_day_manifest AS holder
            WHERE holder.manifest_id = manifest.id
        )
        OR manifest.id = (
            SELECT max(latest.id)
            FROM reporting_common_costusagereportmanifest AS latest
            WHERE latest.provider_id = manifest.provider_id
        )
    )
GROUP BY
    manifest.provider_id,
    file.unknown_columns
ORDER BY
    manifest.provider_id,
    min(file.id);
