-- The rows that were read for a generation, by hour of the reports and before any stage
-- changed them: gristmill_coverage has the rows that were loaded.
--
-- Grain: one row per generation, report kind and hour.

CREATE TABLE gristmill_hour_read (
    generation bigint NOT NULL,
    report text NOT NULL,
    interval_start timestamptz NOT NULL,
    rows_read bigint NOT NULL,
    digest bytea NOT NULL CHECK (length(digest) = 16),
    PRIMARY KEY (generation, report, interval_start)
);

COMMENT ON TABLE gristmill_hour_read IS 'Written when a generation with a fingerprint completes, never changed';
COMMENT ON COLUMN gristmill_hour_read.generation IS 'Refers to gristmill_generation; see forget_hours_of_generations';
COMMENT ON COLUMN gristmill_hour_read.digest
    IS 'Of the rows as they stood in the files, in any order; that of two generations together is the sum, modulo 2^128';

-- The hours of a generation go with it. A foreign key would look the generation up for each of
-- the some three hundred hours of an upload, which are written in the transaction that makes it
-- complete.
CREATE FUNCTION forget_hours_of_generations()
RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    DELETE FROM gristmill_coverage AS coverage
    WHERE coverage.generation IN (SELECT gone.id FROM gone);

    DELETE FROM gristmill_hour_read AS hour
    WHERE hour.generation IN (SELECT gone.id FROM gone);

    RETURN NULL;
END
$$;

CREATE TRIGGER forget_hours_of_generations
AFTER DELETE ON gristmill_generation
REFERENCING OLD TABLE AS gone
FOR EACH STATEMENT
EXECUTE FUNCTION forget_hours_of_generations();
