-- Closes the record of a run.
--
-- Writes  gristmill_run  one row per run
--
-- $1  run_id         bigint   the run
-- $2  state          text     loaded, published, unchanged or failed
-- $3  manifest_id    integer  the manifest, where it got that far
-- $4  rows_read      bigint   rows that the files hold
-- $5  rows_loaded    bigint   rows that reached staging
-- $6  rows_filtered  bigint   rows that stages left out on purpose
-- $7  rows_rejected  bigint   rows that went to quarantine
-- $8  error          text     what went wrong, for failed runs
-- $9  reused         bigint   rows of hours that an earlier upload had brought

UPDATE gristmill_run
SET
    state = $2,
    manifest_id = $3,
    finished_at = clock_timestamp(),
    rows_read = $4,
    rows_loaded = $5,
    rows_filtered = $6,
    rows_rejected = $7,
    error = $8,
    rows_reused = $9
WHERE id = $1;
