-- The rows that were read for a generation, by hour of the reports and before any stage
-- changed them: gristmill_coverage has the rows that were loaded.
--
-- Grain: one row per generation, report kind and hour.

CREATE TABLE gristmill_hour_read (
    generation bigint NOT NULL REFERENCES gristmill_generation (id) ON DELETE CASCADE,
    report text NOT NULL,
    interval_start timestamptz NOT NULL,
    rows_read bigint NOT NULL,
    digest bytea NOT NULL CHECK (length(digest) = 16),
    PRIMARY KEY (generation, report, interval_start)
);

COMMENT ON TABLE gristmill_hour_read IS 'Written when a generation with a fingerprint completes, never changed';
COMMENT ON COLUMN gristmill_hour_read.digest
    IS 'Of the rows as they stood in the files, in any order; that of two generations together is the sum, modulo 2^128';
