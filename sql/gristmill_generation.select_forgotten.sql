-- Lists the generations that are forgotten and may have rows in staging still.
--
-- Reads  gristmill_generation  one row per generation

SELECT id
FROM gristmill_generation
WHERE state = 'forgotten'
ORDER BY id;
