-- Lists the files that a manifest names, before any of them is loaded. The list of
-- a manifest that has one stays as it is.
--
-- Writes  reporting_common_costusagereportstatus  one row per manifest and file
--
-- $1  manifest_id   integer  the manifest
-- $2  report_names  text[]   its files

INSERT INTO reporting_common_costusagereportstatus (manifest_id, report_name)
SELECT
    $1,
    files.report_name
FROM unnest($2::text[]) AS files (report_name)
WHERE NOT EXISTS (
    SELECT
    FROM reporting_common_costusagereportstatus AS known
    WHERE known.manifest_id = $1
)
ON CONFLICT (manifest_id, report_name) DO NOTHING;
