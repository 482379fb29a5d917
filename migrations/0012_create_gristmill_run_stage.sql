-- Which component, with which configuration, made the rows of a run.
--
-- Grain: one row per run, report kind and position in its chain of stages.

CREATE TABLE gristmill_run_stage (
    run_id bigint NOT NULL REFERENCES gristmill_run (id) ON DELETE CASCADE,
    report text NOT NULL,
    position integer NOT NULL,
    stage text NOT NULL,
    component_digest text NOT NULL,
    config jsonb NOT NULL,
    PRIMARY KEY (run_id, report, position)
);

COMMENT ON COLUMN gristmill_run_stage.report IS 'The kind of report, as the pipeline names it';
COMMENT ON COLUMN gristmill_run_stage.component_digest IS 'SHA-256 of the component, in hexadecimal';
