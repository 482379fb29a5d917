-- Lists the months of a source.
--
-- Reads  reporting_ocpusagereportperiod  one row per source and month
--
-- $1  source_uuid  uuid  the source

SELECT (report_period_start AT TIME ZONE 'UTC')::date
FROM reporting_ocpusagereportperiod
WHERE provider_id = $1
ORDER BY report_period_start;
