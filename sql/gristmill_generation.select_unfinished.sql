-- Lists the generations that dead runs of a source left behind. Called
-- while the source is locked, so none of them is still at work.
--
-- Reads  gristmill_generation  one row per generation
--
-- $1  source_uuid  uuid  the source

SELECT id
FROM gristmill_generation
WHERE
    source_uuid = $1
    AND state <> 'complete'
ORDER BY id;
