-- Says of the files of an upload that they may be loaded once more.
--
-- Writes  reporting_common_costusagereportstatus  one row per manifest and file
--
-- $1  manifest_id  integer  the upload

UPDATE reporting_common_costusagereportstatus
SET
    status = 3,
    generation = NULL,
    completed_datetime = NULL
WHERE manifest_id = $1;
