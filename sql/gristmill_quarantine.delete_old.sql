-- Removes rows in quarantine that are past retention, in any state.
--
-- Writes  gristmill_quarantine  one row per rejected row
--
-- $1  days      integer  rows that were quarantined within so many days stay
-- $2  rows_max  bigint   so many at most; null for all
-- $3  dry_run   boolean  only count them
--
-- Returns how many went, or would. Those that somebody is at work on stay this time.

WITH old_rows AS MATERIALIZED (
    SELECT quarantine.id
    FROM gristmill_quarantine AS quarantine
    WHERE quarantine.quarantined_at < now() - make_interval(days => $1)
    ORDER BY quarantine.quarantined_at
    LIMIT $2
),
free_rows AS MATERIALIZED (
    -- Nobody waits for a run, nor a run for this.
    SELECT quarantine.id
    FROM gristmill_quarantine AS quarantine
    WHERE
        NOT $3
        AND quarantine.id = ANY (ARRAY(SELECT old.id FROM old_rows AS old))
    FOR UPDATE SKIP LOCKED
),
removed_rows AS (
    DELETE FROM gristmill_quarantine AS quarantine
    USING free_rows AS free
    WHERE quarantine.id = free.id
    RETURNING quarantine.id
)
SELECT
    CASE
        WHEN $3 THEN (SELECT count(*) FROM old_rows)
        ELSE (SELECT count(*) FROM removed_rows)
    END;
