-- How many rows a generation brought for each hour.
--
-- Grain: one row per generation, report kind and hour.

CREATE TABLE gristmill_coverage (
    generation bigint NOT NULL,
    report text NOT NULL,
    interval_start timestamptz NOT NULL,
    rows bigint NOT NULL,
    PRIMARY KEY (generation, report, interval_start)
);

COMMENT ON TABLE gristmill_coverage IS 'Written when a generation completes, never changed';
COMMENT ON COLUMN gristmill_coverage.generation IS 'Refers to gristmill_generation; see forget_hours_of_generations';
