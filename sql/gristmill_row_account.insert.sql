-- Records the row accounting of files, stage by stage.
--
-- Writes  gristmill_row_account  one row per file and stage
--
-- $1  run_id    bigint  the run
-- $2  accounts  jsonb   an array of objects:
--     file    the file's name
--     stages  an array, in the order of the chain, the load at the end:
--         stage
--         rows_in        rows that went into it
--         rows_repeated  rows made besides the first of each row
--         rows_out       rows that came out
--         rows_filtered  rows left out on purpose
--         rows_rejected  rows gone to quarantine
--         rows_reused    rows of reused hours, which are not handed on

INSERT INTO gristmill_row_account (
    run_id,
    file,
    position,
    stage,
    rows_in,
    rows_repeated,
    rows_out,
    rows_filtered,
    rows_rejected,
    rows_reused
)
SELECT
    $1,
    account.file,
    stage.position - 1,
    counted.stage,
    counted.rows_in,
    counted.rows_repeated,
    counted.rows_out,
    counted.rows_filtered,
    counted.rows_rejected,
    counted.rows_reused
FROM jsonb_to_recordset($2) AS account (file text, stages jsonb)
CROSS JOIN LATERAL jsonb_array_elements(account.stages) WITH ORDINALITY AS stage (counts, position)
CROSS JOIN LATERAL jsonb_to_record(stage.counts) AS counted (
    stage text,
    rows_in bigint,
    rows_repeated bigint,
    rows_out bigint,
    rows_filtered bigint,
    rows_rejected bigint,
    rows_reused bigint
);
