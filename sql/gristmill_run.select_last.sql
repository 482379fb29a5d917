-- Lists the last runs of each source, and of payloads that got to no source.
--
-- Reads  gristmill_run                             one row per run
-- Reads  reporting_common_costusagereportmanifest  one row per manifest
--
-- $1  runs_max  bigint  how many of each

WITH ranked_runs AS (
    -- The newest of a source has rank 1.
    SELECT
        run.*,
        manifest.provider_id AS source_uuid,
        row_number() OVER (
            PARTITION BY manifest.provider_id
            ORDER BY run.id DESC
        ) AS rank
    FROM gristmill_run AS run
    LEFT JOIN reporting_common_costusagereportmanifest AS manifest
        ON manifest.id = run.manifest_id
)
SELECT
    source_uuid,
    id,
    pipeline,
    payload,
    state,
    started_at,
    finished_at,
    rows_read,
    rows_loaded,
    rows_filtered,
    rows_rejected,
    rows_reused,
    error
FROM ranked_runs
WHERE rank <= $1
ORDER BY id DESC;
