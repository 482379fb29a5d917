-- Marks a manifest as published.
--
-- Writes  reporting_common_costusagereportmanifest  one row per source and upload
--
-- $1  manifest_id  integer  the manifest

UPDATE reporting_common_costusagereportmanifest
SET completed_datetime = clock_timestamp()
WHERE id = $1;
