-- Puts rejected rows of one file into quarantine.
--
-- Writes  gristmill_quarantine  one row per rejected row
--
-- $1   run_id             bigint   the run
-- $2   generation         bigint   the generation
-- $3   report             text     the report kind
-- $4   file               text     the file's name
-- $5   lines              bigint[] line of each row; null where unknown
-- $6   stages             text[]   the stage that rejected it
-- $7   component_digests  text[]   the stage's component
-- $8   column_names       text[]   the column at fault; null where there is none
-- $9   codes              text[]   the reason, for machines
-- $10  messages           text[]   the reason, for people
-- $11  raw                bytea[]  the row as it stood in the file

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
FROM unnest(
    $5::bigint[],
    $6::text[],
    $7::text[],
    $8::text[],
    $9::text[],
    $10::text[],
    $11::bytea[]
) AS rejects (line, stage, component_digest, column_name, code, message, raw);
