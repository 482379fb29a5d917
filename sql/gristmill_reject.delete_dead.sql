-- Removes rejected rows that runs left behind which did not come to their end.
--
-- Reads   gristmill_run, gristmill_generation  one row per run, per generation
-- Writes  gristmill_reject                     one row per rejected row
--
-- $1  rows_max  bigint   so many at most; null for all
-- $2  dry_run   boolean  only count them
--
-- Returns how many there were.

WITH dead_rows AS MATERIALIZED (
    -- A run that is at work says so.
    SELECT reject.id
    FROM gristmill_reject AS reject
    JOIN gristmill_generation AS generation
        ON generation.id = reject.generation
    JOIN gristmill_run AS run
        ON run.id = generation.run_id
    WHERE run.state <> 'running'
    LIMIT $1
),
removed AS (
    DELETE FROM gristmill_reject AS reject
    USING dead_rows AS dead
    WHERE
        reject.id = dead.id
        AND NOT $2
)
SELECT count(*)
FROM dead_rows;
