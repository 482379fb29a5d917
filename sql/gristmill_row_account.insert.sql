-- Records the row accounting of one file, stage by stage.
--
-- Writes  gristmill_row_account  one row per stage of the file
--
-- $1  run_id         bigint    the run
-- $2  file           text      the file's name
-- $3  stages         text[]    the stages in the order of the chain, the load at the end
-- $4  rows_in        bigint[]  rows that went into each
-- $5  rows_repeated  bigint[]  rows made besides the first of each row
-- $6  rows_out       bigint[]  rows that came out
-- $7  rows_filtered  bigint[]  rows left out on purpose
-- $8  rows_rejected  bigint[]  rows gone to quarantine
-- $9  reused         bigint[]  rows of reused hours, which are not handed on

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
    $2,
    accounts.position - 1,
    accounts.stage,
    accounts.rows_in,
    accounts.rows_repeated,
    accounts.rows_out,
    accounts.rows_filtered,
    accounts.rows_rejected,
    accounts.rows_reused
FROM unnest(
    $3::text[],
    $4::bigint[],
    $5::bigint[],
    $6::bigint[],
    $7::bigint[],
    $8::bigint[],
    $9::bigint[]
) WITH ORDINALITY
    AS accounts (
        stage, rows_in, rows_repeated, rows_out, rows_filtered, rows_rejected, rows_reused, position
    );
