-- Forgets the generations of a source whose staged rows no summary will need again.
--
-- Writes  as forget_old_generations does
--
-- $1  source_uuid  uuid     the source
-- $2  days         integer  what was loaded within so many days stays
-- $3  dry_run      boolean  only say what would go
--
-- Returns one row per generation.

SELECT
    forgotten.generation,
    forgotten.manifest_id,
    forgotten.reason,
    forgotten.rows
FROM forget_old_generations($1, now() - make_interval(days => $2), $3) AS forgotten
ORDER BY forgotten.generation;
