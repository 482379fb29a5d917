-- Removes rows in quarantine that are past retention, whatever became of them.
--
-- Writes  gristmill_quarantine  one row per rejected row
--
-- $1  days      integer  rows that were quarantined within so many days stay
-- $2  rows_max  bigint   so many at most; null for all
-- $3  dry_run   boolean  only count them
--
-- Returns how many there were.

WITH old_rows AS MATERIALIZED (
    SELECT quarantine.id
    FROM gristmill_quarantine AS quarantine
    WHERE quarantine.quarantined_at < now() - make_interval(days => $1)
    ORDER BY quarantine.quarantined_at
    LIMIT $2
),
removed AS (
    DELETE FROM gristmill_quarantine AS quarantine
    USING old_rows AS old
    WHERE
        quarantine.id = old.id
        AND NOT $3
)
SELECT count(*)
FROM old_rows;
