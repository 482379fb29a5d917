-- The row accounting of a run: how many rows went into each stage, and what became of
-- them: rows_in + rows_repeated = rows_out + rows_reused + rows_filtered + rows_rejected. The
-- rows that come out of a stage go into the next one. A payload whose sums differ is refused.
--
-- Grain: one row per run, file and position in its chain of stages. Position 0 is
-- the parser, into which the records of the file go; the last is the load.

CREATE TABLE gristmill_row_account (
    run_id bigint NOT NULL REFERENCES gristmill_run (id) ON DELETE CASCADE,
    file text NOT NULL,
    position integer NOT NULL,
    stage text NOT NULL,
    rows_in bigint NOT NULL,
    rows_repeated bigint NOT NULL,
    rows_out bigint NOT NULL,
    rows_reused bigint NOT NULL DEFAULT 0,
    rows_filtered bigint NOT NULL,
    rows_rejected bigint NOT NULL,
    PRIMARY KEY (run_id, file, position),
    CHECK (rows_in + rows_repeated = rows_out + rows_reused + rows_filtered + rows_rejected)
);

COMMENT ON COLUMN gristmill_row_account.rows_repeated IS 'Rows made besides the first of each row that went in';
COMMENT ON COLUMN gristmill_row_account.rows_out IS 'Of the load: rows that Postgres reports';
COMMENT ON COLUMN gristmill_row_account.rows_reused
    IS 'Rows of hours that an earlier upload had brought, which are not handed on; of the parser alone';
COMMENT ON COLUMN gristmill_row_account.rows_filtered IS 'Left out on purpose';
COMMENT ON COLUMN gristmill_row_account.rows_rejected IS 'Gone to quarantine';
