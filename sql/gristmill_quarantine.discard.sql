-- Marks open rows as of no interest; they are kept.
--
-- Reads   gristmill_run                             one row per run
-- Reads   reporting_common_costusagereportmanifest  one row per manifest
-- Writes  gristmill_quarantine                      one row per rejected row
--
-- $1  ids          bigint[]  these rows; null for all
-- $2  source_uuid  uuid      of this source; null for all
-- $3  run_id       bigint    of this run; null for all
-- $4  stage        text      rejected by this stage; null for all
-- $5  code         text      for this reason; null for all
-- $6  reason       text      why, as the person says

WITH open_rows AS MATERIALIZED (
    SELECT quarantine.id
    FROM gristmill_quarantine AS quarantine
    WHERE
        quarantine.state = 'open'
        AND ($1::bigint[] IS NULL OR quarantine.id = ANY ($1))
        AND (
            $2::uuid IS NULL
            OR quarantine.run_id IN (
                SELECT run.id
                FROM gristmill_run AS run
                JOIN reporting_common_costusagereportmanifest AS manifest
                    ON manifest.id = run.manifest_id
                WHERE manifest.provider_id = $2
            )
        )
        AND ($3::bigint IS NULL OR quarantine.run_id = $3)
        AND ($4::text IS NULL OR quarantine.stage = $4)
        AND ($5::text IS NULL OR quarantine.code = $5)
    -- In the order in which all lock them.
    ORDER BY quarantine.id
    FOR UPDATE
)
UPDATE gristmill_quarantine AS quarantine
SET
    state = 'discarded',
    changed_at = now(),
    reason = $6
FROM open_rows
WHERE quarantine.id = open_rows.id;
