-- Lists the last runs of each source, and of payloads that got to no source.
--
-- Reads  gristmill_run                             one row per run
-- Reads  reporting_common_costusagereportmanifest  one row per manifest
-- Reads  gristmill_fold                            one row per run, generation and staging table
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
    run.source_uuid,
    run.id,
    run.pipeline,
    run.payload,
    run.state,
    run.started_at,
    run.finished_at,
    run.rows_read,
    run.rows_loaded,
    run.rows_filtered,
    run.rows_rejected,
    run.rows_reused,
    run.error,
    -- What nothing else has folded, Postgres folds.
    CASE
        WHEN fold.engine IS NOT NULL THEN fold.engine
        WHEN run.rows_loaded > 0 THEN 'postgres'
    END AS engine,
    fold.seconds AS fold_seconds
FROM ranked_runs AS run
CROSS JOIN LATERAL (
    -- A run has one engine.
    SELECT
        max(folded.engine) AS engine,
        sum(folded.seconds) AS seconds
    FROM gristmill_fold AS folded
    WHERE folded.run_id = run.id
) AS fold
WHERE run.rank <= $1
ORDER BY run.id DESC;
