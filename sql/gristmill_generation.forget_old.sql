-- Forgets the generations whose staged rows no summary will need again.
--
-- Writes  as forget_old_generations does
--
-- $1  days     integer  what was loaded within so many days stays
-- $2  dry_run  boolean  only say what would go
--
-- Returns one row per generation.

SELECT
    forgotten.generation,
    forgotten.manifest_id,
    forgotten.reason,
    forgotten.rows
FROM forget_old_generations(now() - make_interval(days => $1), $2) AS forgotten
ORDER BY forgotten.generation;
