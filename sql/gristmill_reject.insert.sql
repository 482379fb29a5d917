-- Writes down rejected rows of a generation that is being loaded.
--
-- Writes  gristmill_reject  one row per rejected row
--
-- $1   generation         bigint   the generation
-- $2   batches            bigint[] the batch of each row
-- $3   reports            text[]   its report kind
-- $4   files              text[]   its file
-- $5   lines              bigint[] its line; null where unknown
-- $6   stages             text[]   the stage that rejected it, or the load
-- $7   component_digests  text[]   the stage's component; null for the load
-- $8   column_names       text[]   the column at fault; null where there is none
-- $9   codes              text[]   the reason, for machines
-- $10  messages           text[]   the reason, for people
-- $11  raw                bytea[]  the row as it stood in the file

INSERT INTO gristmill_reject (
    generation,
    batch,
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
    rejects.batch,
    rejects.report,
    rejects.file,
    rejects.line,
    rejects.stage,
    rejects.component_digest,
    rejects.column_name,
    rejects.code,
    rejects.message,
    rejects.raw
FROM unnest(
    $2::bigint[],
    $3::text[],
    $4::text[],
    $5::bigint[],
    $6::text[],
    $7::text[],
    $8::text[],
    $9::text[],
    $10::text[],
    $11::bytea[]
) WITH ORDINALITY
    AS rejects (
        batch, report, file, line, stage, component_digest, column_name, code, message, raw, position
    )
ORDER BY rejects.position;
