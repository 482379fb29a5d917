-- Lists rows in quarantine, the newest first.
--
-- Reads  gristmill_quarantine                      one row per rejected row
-- Reads  gristmill_run                             one row per run
-- Reads  reporting_common_costusagereportmanifest  one row per manifest
-- Reads  gristmill_source                          one row per source
--
-- $1  ids          bigint[]  these rows; null for all
-- $2  source_uuid  uuid      of this source; null for all
-- $3  run_id       bigint    of this run; null for all
-- $4  stage        text      rejected by this stage; null for all
-- $5  code         text      for this reason; null for all
-- $6  state        text      open, resolved or discarded; null for all
-- $7  rows_max     bigint    so many
-- $8  with_raw     boolean   with their raw text, which may be much; else it is empty

SELECT
    quarantine.id,
    quarantine.state,
    quarantine.run_id AS run,
    run.pipeline,
    run.payload,
    run.state AS run_state,
    manifest.assembly_id AS upload,
    source.cluster_id,
    quarantine.report,
    quarantine.file,
    quarantine.line,
    quarantine.stage,
    quarantine.component_digest,
    quarantine.column_name,
    quarantine.code,
    quarantine.message,
    CASE WHEN $8 THEN quarantine.raw ELSE ''::bytea END AS raw,
    quarantine.quarantined_at,
    quarantine.changed_at,
    quarantine.resolved_by_run,
    quarantine.reason
FROM gristmill_quarantine AS quarantine
JOIN gristmill_run AS run
    ON run.id = quarantine.run_id
LEFT JOIN reporting_common_costusagereportmanifest AS manifest
    ON manifest.id = run.manifest_id
LEFT JOIN gristmill_source AS source
    ON source.source_uuid = manifest.provider_id
WHERE
    ($1::bigint[] IS NULL OR quarantine.id = ANY ($1))
    AND ($2::uuid IS NULL OR source.source_uuid = $2)
    AND ($3::bigint IS NULL OR quarantine.run_id = $3)
    AND ($4::text IS NULL OR quarantine.stage = $4)
    AND ($5::text IS NULL OR quarantine.code = $5)
    AND ($6::text IS NULL OR quarantine.state = $6)
ORDER BY quarantine.id DESC
LIMIT $7;
