-- Lists the files of a manifest, and whether each has been loaded.
--
-- Reads  reporting_common_costusagereportstatus  one row per manifest and file
--
-- $1  manifest_id  integer  the manifest

SELECT
    report_name,
    completed_datetime IS NOT NULL AS complete
FROM reporting_common_costusagereportstatus
WHERE manifest_id = $1
ORDER BY report_name;
