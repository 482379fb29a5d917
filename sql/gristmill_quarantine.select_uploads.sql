-- Lists the uploads that have open rows in quarantine, the latest first: of additive
-- uploads that hold a day together, that is the order in which to make them anew.
--
-- Reads  gristmill_quarantine                      one row per rejected row
-- Reads  gristmill_run                             one row per run
-- Reads  reporting_common_costusagereportmanifest  one row per manifest
--
-- $1  source_uuid  uuid    of this source; null for all
-- $2  run_id       bigint  of this run; null for all

SELECT
    manifest.id AS manifest_id,
    manifest.assembly_id,
    manifest.provider_id AS source_uuid,
    manifest.completed_datetime IS NOT NULL AS published,
    max(run.payload) AS payload,
    count(*) AS rows_open
FROM gristmill_quarantine AS quarantine
JOIN gristmill_run AS run
    ON run.id = quarantine.run_id
JOIN reporting_common_costusagereportmanifest AS manifest
    ON manifest.id = run.manifest_id
WHERE
    quarantine.state = 'open'
    AND ($1::uuid IS NULL OR manifest.provider_id = $1)
    AND ($2::bigint IS NULL OR run.id = $2)
GROUP BY manifest.id
ORDER BY
    COALESCE(manifest.manifest_date, '-infinity') DESC,
    manifest.assembly_id COLLATE "C" DESC;
