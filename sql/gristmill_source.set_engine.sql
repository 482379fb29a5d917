-- Gives a source an engine that goes before the pipeline's.
--
-- Writes  gristmill_source  one row per source
--
-- $1  source_uuid  uuid  the source
-- $2  engine       text  the engine; null for the pipeline's

UPDATE gristmill_source
SET engine = $2
WHERE source_uuid = $1;
