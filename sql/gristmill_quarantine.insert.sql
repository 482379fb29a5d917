-- Puts rejected rows of one file into quarantine. A row that is open there from an
-- earlier run of the manifest stays the one row that it is, with the new reason;
-- one that a person discarded stays discarded.
--
-- Reads   gristmill_run         one row per run
-- Writes  gristmill_quarantine  one row per rejected row
--
-- $1   run_id             bigint   the run
-- $2   generation         bigint   the generation; null when the payload failed
-- $3   report             text     the report kind
-- $4   file               text     the file's name
-- $5   lines              bigint[] line of each row; null where unknown
-- $6   stages             text[]   the stage that rejected it
-- $7   component_digests  text[]   the stage's component
-- $8   column_names       text[]   the column at fault; null where there is none
-- $9   codes              text[]   the reason, for machines
-- $10  messages           text[]   the reason, for people
-- $11  raw                bytea[]  the row as it stood in the file
-- $12  manifest_id        integer  the manifest

WITH rejects AS (
    SELECT
        rejects.line,
        rejects.stage,
        rejects.component_digest,
        rejects.column_name,
        rejects.code,
        rejects.message,
        rejects.raw
    FROM unnest(
        $5::bigint[],
        $6::text[],
        $7::text[],
        $8::text[],
        $9::text[],
        $10::text[],
        $11::bytea[]
    ) AS rejects (line, stage, component_digest, column_name, code, message, raw)
),
known AS (
    -- Rows of earlier runs of the manifest that are not resolved.
    SELECT
        quarantine.id,
        quarantine.line,
        quarantine.raw,
        quarantine.state
    FROM gristmill_quarantine AS quarantine
    JOIN gristmill_run AS run
        ON run.id = quarantine.run_id
    WHERE
        run.manifest_id = $12
        AND quarantine.run_id <> $1
        AND quarantine.file = $4
        AND quarantine.state IN ('open', 'discarded')
),
renewed AS (
    UPDATE gristmill_quarantine AS quarantine
    SET
        run_id = $1,
        generation = $2,
        stage = rejects.stage,
        component_digest = rejects.component_digest,
        column_name = rejects.column_name,
        code = rejects.code,
        message = rejects.message
    FROM known
    JOIN rejects
        ON rejects.line IS NOT DISTINCT FROM known.line
        AND rejects.raw = known.raw
    WHERE
        quarantine.id = known.id
        AND known.state = 'open'
)
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
    $2,
    $3,
    $4,
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
        known.line IS NOT DISTINCT FROM rejects.line
        AND known.raw = rejects.raw
);
