-- Puts the rejected rows of a generation into quarantine. A row that is open there from an
-- earlier run of the manifest stays the one row that it is, with the new reason; one
-- that a person discarded stays discarded. Equal rows answer one to one.
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
--
-- Rows are matched by grouping, not by a join: it takes as long for equal rows as for
-- others, and unknown lines are equal.

WITH known_rows AS MATERIALIZED (
    -- Of earlier runs of the manifest, and not resolved. Nobody may remove or discard
    -- them meanwhile.
    SELECT
        quarantine.id,
        quarantine.file,
        quarantine.line,
        quarantine.state,
        sha256(quarantine.raw) AS digest
    FROM gristmill_quarantine AS quarantine
    WHERE
        quarantine.run_id = ANY (
            ARRAY(
                SELECT run.id
                FROM gristmill_run AS run
                WHERE
                    run.manifest_id = $4
                    AND run.id <> $1
            )
        )
        AND quarantine.state IN ('open', 'discarded')
    -- In the order in which all lock them.
    ORDER BY quarantine.id
    FOR UPDATE
),
both_sides AS (
    -- Equal rows of each side are counted through, the open ones first.
    SELECT
        known.file,
        known.line,
        known.digest,
        row_number() OVER (
            PARTITION BY known.file, known.line, known.digest
            ORDER BY known.state DESC, known.id
        ) AS ordinal,
        known.id AS known_id,
        known.state,
        NULL::bigint AS reject_id
    FROM known_rows AS known
    UNION ALL
    SELECT
        reject.file,
        reject.line,
        sha256(reject.raw),
        row_number() OVER (
            PARTITION BY reject.file, reject.line, sha256(reject.raw)
            ORDER BY reject.batch, reject.id
        ),
        NULL,
        NULL,
        reject.id
    FROM gristmill_reject AS reject
    WHERE reject.generation = $2
),
matched_rows AS MATERIALIZED (
    -- One row per rejected row, with the known one that it is.
    SELECT
        max(side.reject_id) AS reject_id,
        max(side.known_id) AS known_id,
        max(side.state) AS state
    FROM both_sides AS side
    GROUP BY
        side.file,
        side.line,
        side.digest,
        side.ordinal
    HAVING count(side.reject_id) > 0
),
renewed_rows AS (
    UPDATE gristmill_quarantine AS quarantine
    SET
        run_id = $1,
        generation = CASE WHEN $3 THEN $2 END,
        stage = reject.stage,
        component_digest = reject.component_digest,
        column_name = reject.column_name,
        code = reject.code,
        message = reject.message
    FROM matched_rows AS matched
    JOIN gristmill_reject AS reject
        ON reject.id = matched.reject_id
    WHERE
        quarantine.id = matched.known_id
        AND matched.state = 'open'
),
new_rows AS (
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
        reject.report,
        reject.file,
        reject.line,
        reject.stage,
        reject.component_digest,
        reject.column_name,
        reject.code,
        reject.message,
        reject.raw
    FROM matched_rows AS matched
    JOIN gristmill_reject AS reject
        ON reject.id = matched.reject_id
    WHERE matched.known_id IS NULL
    -- In the order of the file, whichever worker was faster.
    ORDER BY
        reject.file,
        reject.line NULLS FIRST,
        reject.batch,
        reject.id
)
SELECT count(*)
FROM matched_rows;
