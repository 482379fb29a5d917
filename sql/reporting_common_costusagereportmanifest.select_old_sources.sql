-- Lists the sources that have uploads past retention, whatever of them has to stay.
--
-- Reads  reporting_common_costusagereportmanifest  one row per source and upload
--
-- $1  days  integer  uploads that came within so many days are none

SELECT DISTINCT manifest.provider_id
FROM reporting_common_costusagereportmanifest AS manifest
WHERE
    GREATEST(manifest.creation_datetime, manifest.completed_datetime)
    < now() - make_interval(days => $1)
ORDER BY manifest.provider_id;
