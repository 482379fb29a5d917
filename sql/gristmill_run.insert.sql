-- Opens the record of a run, with the components that make its rows. It shows that it is at
-- work until the session ends or lets go of it: others see the run when its lock is held.
--
-- Writes  gristmill_run        one row per run
-- Writes  gristmill_run_stage  one row per run, report kind and position
--
-- $1  pipeline           text    the pipeline's name
-- $2  payload            text    the payload's file name
-- $3  reports            text[]  report kind of each stage
-- $4  positions          int[]   place in the chain, from 0
-- $5  stages             text[]  the stage's name
-- $6  component_digests  text[]  SHA-256 of its component
-- $7  configs            text[]  its configuration, as JSON
--
-- Returns the run's id.

WITH opened AS (
    INSERT INTO gristmill_run (pipeline, payload)
    VALUES ($1, $2)
    RETURNING id
),
held AS MATERIALIZED (
    SELECT
        opened.id,
        pg_advisory_lock(hashtextextended('gristmill run ' || current_schema() || ' ' || opened.id, 0))
    FROM opened
),
recorded AS (
    INSERT INTO gristmill_run_stage (run_id, report, position, stage, component_digest, config)
    SELECT
        held.id,
        stages.report,
        stages.position,
        stages.stage,
        stages.component_digest,
        stages.config::jsonb
    FROM held
    CROSS JOIN unnest($3::text[], $4::int[], $5::text[], $6::text[], $7::text[])
        AS stages (report, position, stage, component_digest, config)
)
SELECT held.id
FROM held;
