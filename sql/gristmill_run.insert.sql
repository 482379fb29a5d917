-- Opens the record of a run.
--
-- Writes  gristmill_run  one row per run
--
-- $1  pipeline  text  the pipeline's name
-- $2  payload   text  the payload's file name
--
-- Returns the run's id.

INSERT INTO gristmill_run (pipeline, payload)
VALUES ($1, $2)
RETURNING id;
