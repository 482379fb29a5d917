-- Adds up what engines other than Postgres have folded.
--
-- Reads  gristmill_fold  one row per run, generation and staging table

SELECT
    COALESCE(array_agg(DISTINCT fold.engine ORDER BY fold.engine), '{}') AS engines,
    COALESCE(sum(fold.rows), 0)::bigint AS rows,
    sum(fold.seconds) AS seconds
FROM gristmill_fold AS fold;
