-- Removes the records of runs that are past retention, with their stages and row
-- accounts. A run whose rows are staged or in quarantine, or that resolved some there,
-- stays.
--
-- Reads   gristmill_generation  one row per generation
-- Reads   gristmill_quarantine  one row per rejected row
-- Writes  gristmill_run         one row per run
--
-- $1  days             integer  runs that began within so many days stay
-- $2  rows_max         bigint   so many at most; null for all
-- $3  dry_run          boolean  only count them
-- $4  quarantine_days  integer  rows that were quarantined within so many days stay
--
-- Returns how many there were.

WITH old_runs AS MATERIALIZED (
    SELECT run.id
    FROM gristmill_run AS run
    WHERE
        run.started_at < now() - make_interval(days => $1)
        AND run.state <> 'running'
        AND NOT EXISTS (
            SELECT
            FROM gristmill_generation AS generation
            WHERE generation.run_id = run.id
        )
        AND NOT EXISTS (
            SELECT
            FROM gristmill_quarantine AS quarantine
            WHERE
                quarantine.run_id = run.id
                AND quarantine.quarantined_at >= now() - make_interval(days => $4)
        )
        AND NOT EXISTS (
            SELECT
            FROM gristmill_quarantine AS quarantine
            WHERE
                quarantine.resolved_by_run = run.id
                AND quarantine.quarantined_at >= now() - make_interval(days => $4)
        )
    ORDER BY run.started_at
    LIMIT $2
),
removed AS (
    DELETE FROM gristmill_run AS run
    USING old_runs AS old
    WHERE
        run.id = old.id
        AND NOT $3
)
SELECT count(*)
FROM old_runs;
