-- Marks the files of a manifest that are not loaded as failed.
--
-- Writes  reporting_common_costusagereportstatus  one row per manifest and file
--
-- $1  manifest_id   integer  the manifest
-- $2  report_names  text[]   the files that were here

UPDATE reporting_common_costusagereportstatus
SET
    status = 2,
    failed_status = 4
WHERE
    manifest_id = $1
    AND report_name = ANY ($2::text[])
    AND completed_datetime IS NULL;
