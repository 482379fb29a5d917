-- Marks a file as loaded.
--
-- Writes  reporting_common_costusagereportstatus  one row per manifest and file
--
-- $1  manifest_id    integer      the manifest
-- $2  report_name    text         the file
-- $3  report         text         its kind; null for one of no known kind, or without a byte
-- $4  generation     bigint       the generation that has its rows
-- $5  started        timestamptz  when loading began
-- $6  rows_loaded    bigint
-- $7  rows_rejected  bigint
-- $8  reused         bigint       rows of hours that an earlier upload had brought
-- $9  columns        text[]       those of a file of no known kind; null for others

UPDATE reporting_common_costusagereportstatus
SET
    report = $3,
    generation = $4,
    status = 1,
    failed_status = NULL,
    started_datetime = $5,
    completed_datetime = clock_timestamp(),
    rows_loaded = $6,
    rows_rejected = $7,
    rows_reused = $8,
    unknown_columns = $9
WHERE
    manifest_id = $1
    AND report_name = $2;
