-- Opens a generation: the rows that one run loads of one manifest.
--
-- Writes  gristmill_generation  one row per generation
--
-- $1  manifest_id  integer  the manifest
-- $2  run_id       bigint   the run
-- $3  source_uuid  uuid     the source
--
-- Returns the generation's id.

INSERT INTO gristmill_generation (manifest_id, run_id, source_uuid)
VALUES ($1, $2, $3)
RETURNING id;
