-- Removes the row accounting of runs that are past retention.
--
-- Reads   gristmill_run          one row per run
-- Writes  gristmill_row_account  one row per run, file and stage
--
-- $1  days      integer  those of runs that began within so many days stay
-- $2  runs_max  bigint   those of so many runs at most; null for all
-- $3  dry_run   boolean  only count them
--
-- Returns the number of runs whose accounting it removes.

WITH old_runs AS MATERIALIZED (
    SELECT run.id
    FROM gristmill_run AS run
    WHERE
        run.started_at < now() - make_interval(days => $1)
        AND run.state <> 'running'
        AND EXISTS (
            SELECT
            FROM gristmill_row_account AS account
            WHERE account.run_id = run.id
        )
    ORDER BY run.started_at
    LIMIT $2
),
removed AS (
    DELETE FROM gristmill_row_account AS account
    USING old_runs AS old
    WHERE
        account.run_id = old.id
        AND NOT $3
)
SELECT count(*)
FROM old_runs;
