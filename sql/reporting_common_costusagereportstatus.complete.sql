-- Marks files of a manifest as loaded.
--
-- Writes  reporting_common_costusagereportstatus  one row per manifest and file
--
-- $1  manifest_id  integer  the manifest
-- $2  generation   bigint   the generation that has their rows
-- $3  files        jsonb    an array of objects:
--     report_name      the file
--     report           its kind; null for one of no known kind, or without a byte
--     started          when loading began
--     rows_loaded, rows_rejected
--     rows_reused      rows of hours that an earlier upload had brought
--     unknown_columns  those of a file of no known kind; null for others

UPDATE reporting_common_costusagereportstatus AS known
SET
    report = loaded.report,
    generation = $2,
    status = 1,
    failed_status = NULL,
    started_datetime = loaded.started,
    completed_datetime = clock_timestamp(),
    rows_loaded = loaded.rows_loaded,
    rows_rejected = loaded.rows_rejected,
    rows_reused = loaded.rows_reused,
    unknown_columns = loaded.unknown_columns
FROM jsonb_to_recordset($3) AS loaded (
    report_name text,
    report text,
    started timestamptz,
    rows_loaded bigint,
    rows_rejected bigint,
    rows_reused bigint,
    unknown_columns text[]
)
WHERE
    known.manifest_id = $1
    AND known.report_name = loaded.report_name;
