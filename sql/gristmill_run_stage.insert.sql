-- Records which component made the rows of a report kind in a run.
--
-- Writes  gristmill_run_stage  one row per run, report kind and position
--
-- $1  run_id             bigint  the run
-- $2  reports            text[]  report kind of each stage
-- $3  positions          int[]   place in the chain, from 0
-- $4  stages             text[]  the stage's name
-- $5  component_digests  text[]  SHA-256 of its component
-- $6  configs            text[]  its configuration, as JSON

INSERT INTO gristmill_run_stage (run_id, report, position, stage, component_digest, config)
SELECT
    $1,
    stages.report,
    stages.position,
    stages.stage,
    stages.component_digest,
    stages.config::jsonb
FROM unnest($2::text[], $3::int[], $4::text[], $5::text[], $6::text[])
    AS stages (report, position, stage, component_digest, config);
