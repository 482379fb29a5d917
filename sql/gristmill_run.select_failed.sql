-- Lists the payloads that failed and have not been run well since, the newest first: of
-- each its last failed run, unless a person has discarded that.
--
-- Reads  gristmill_run                             one row per run
-- Reads  reporting_common_costusagereportmanifest  one row per manifest
-- Reads  gristmill_fold                            one row per run, generation and staging table
--
-- A payload is known by its upload, or by its name where it got to none. A run of either
-- that did not fail is its end.

WITH failures AS (
    -- The last one of each payload.
    SELECT DISTINCT ON (COALESCE(run.manifest_id::text, run.payload))
        run.*
    FROM gristmill_run AS run
    WHERE run.state = 'failed'
    ORDER BY
        COALESCE(run.manifest_id::text, run.payload),
        run.id DESC
)
SELECT
    manifest.provider_id AS source_uuid,
    failure.id,
    failure.pipeline,
    failure.payload,
    failure.state,
    failure.started_at,
    failure.finished_at,
    failure.rows_read,
    failure.rows_loaded,
    failure.rows_filtered,
    failure.rows_rejected,
    failure.rows_reused,
    failure.error,
    CASE
        WHEN fold.engine IS NOT NULL THEN fold.engine
        WHEN failure.rows_loaded > 0 THEN 'postgres'
    END AS engine,
    fold.seconds AS fold_seconds
FROM failures AS failure
CROSS JOIN LATERAL (
    -- A run has one engine.
    SELECT
        max(folded.engine) AS engine,
        sum(folded.seconds) AS seconds
    FROM gristmill_fold AS folded
    WHERE folded.run_id = failure.id
) AS fold
LEFT JOIN reporting_common_costusagereportmanifest AS manifest
    ON manifest.id = failure.manifest_id
WHERE
    failure.discarded_at IS NULL
    AND NOT EXISTS (
        SELECT
        FROM gristmill_run AS later
        WHERE
            later.manifest_id = failure.manifest_id
            AND later.id > failure.id
            AND later.state IN ('loaded', 'published')
    )
    -- It may have failed before its upload was known, or its upload is gone.
    AND NOT EXISTS (
        SELECT
        FROM gristmill_run AS later
        WHERE
            later.payload = failure.payload
            AND later.id > failure.id
            AND later.state IN ('loaded', 'published', 'unchanged')
            AND COALESCE(later.manifest_id = failure.manifest_id, true)
    )
ORDER BY failure.id DESC;
