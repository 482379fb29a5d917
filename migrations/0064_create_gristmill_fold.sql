-- Which engine folded the hours of a generation into day parts, and how long it took. Of
-- what Postgres folds there is no row: it does so anew whenever it summarizes a day.
--
-- Grain: one row per run, generation and staging table whose hours were folded.

CREATE TABLE gristmill_fold (
    run_id bigint NOT NULL REFERENCES gristmill_run (id) ON DELETE CASCADE,
    generation bigint NOT NULL,
    staging_table text NOT NULL,
    engine text NOT NULL CHECK (engine IN ('embedded', 'trino')),
    days date[] NOT NULL,
    rows bigint NOT NULL,
    part_rows bigint NOT NULL,
    seconds double precision NOT NULL,
    PRIMARY KEY (run_id, generation, staging_table)
);

-- Status asks by generation.
CREATE INDEX gristmill_fold_generation_index ON gristmill_fold (generation);

COMMENT ON COLUMN gristmill_fold.generation IS 'Refers to gristmill_generation, but outlives it, as long as its run';
COMMENT ON COLUMN gristmill_fold.rows IS 'The hourly rows that were folded';
COMMENT ON COLUMN gristmill_fold.part_rows IS 'The rows of day parts that they became';
COMMENT ON COLUMN gristmill_fold.seconds IS 'The time that the fold took beside the load, which it may share';
