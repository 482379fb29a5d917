-- Says that all rows of a source have its alias.
--
-- Writes  gristmill_source  one row per source
--
-- $1  source_uuid  uuid  the source

UPDATE gristmill_source
SET is_being_renamed = false
WHERE source_uuid = $1;
