-- Puts what a generation rejected into quarantine. A row that is open there from an
-- earlier run of the manifest stays the one row that it is, with the new reason; one
-- that a person discarded stays discarded.
--
-- Reads   gristmill_run         one row per run
-- Reads   gristmill_reject      one row per rejected row
-- Writes  gristmill_quarantine  one row per rejected row
--
-- $1  run_id       bigint   the run
-- $2  generation   bigint   the generation that rejected them
-- $3  counts       boolean  whether the generation counts; false when the payload failed
-- $4  manifest_id  integer  the manifest
--
-- Returns how many rows were rejected.

WITH rejects AS (
    SELECT reject.*
    FROM gristmill_reject AS reject
    WHERE reject.generation = $2
),
known AS (
    -- Rows of earlier runs of the manifest that are not resolved.
    SELECT
        quarantine.id,
        quarantine.file,
        quarantine.line,
        quarantine.raw,
        quarantine.state
    FROM gristmill_quarantine AS quarantine
    JOIN gristmill_run AS run
        ON run.id = quarantine.run_id
    WHERE
        run.manifest_id = $4
        AND quarantine.run_id <> $1
        AND quarantine.state IN ('open', 'discarded')
),
renewed AS (
    UPDATE gristmill_quarantine AS quarantine
    SET
        run_id = $1,
        generation = CASE WHEN $3 THEN $2 END,
        stage = rejects.stage,
        component_digest = rejects.component_digest,
        column_name = rejects.column_name,
        code = rejects.code,
        message = rejects.message
    FROM known
    JOIN rejects
        ON rejects.file = known.file
        AND rejects.line IS NOT DISTINCT FROM known.line
        AND rejects.raw = known.raw
    WHERE
        quarantine.id = known.id
        AND known.state = 'open'
),
inserted AS (
    INSERT INTO gristmill_quarantine (
        run_id,
        generation,
        report,
        file,
        line,
        stage,
        component_digest,
        column_name,
        code,
        message,
        raw
    )
    SELECT
        $1,
        CASE WHEN $3 THEN $2 END,
        rejects.report,
        rejects.file,
        rejects.line,
        rejects.stage,
        rejects.component_digest,
        rejects.column_name,
        rejects.code,
        rejects.message,
        rejects.raw
    FROM rejects
    WHERE NOT EXISTS (
        SELECT
        FROM known
        WHERE
            known.file = rejects.file
            AND known.line IS NOT DISTINCT FROM rejects.line
            AND known.raw = rejects.raw
    )
    -- In the order of the file, whichever worker was faster.
    ORDER BY
        rejects.file,
        rejects.line NULLS FIRST,
        rejects.batch,
        rejects.id
)
SELECT count(*)
FROM rejects;
