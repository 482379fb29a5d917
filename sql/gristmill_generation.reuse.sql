-- Gives generations to a manifest that repeats the hours that were read for them.
--
-- Writes  gristmill_generation  one row per generation
--
-- $1  manifest_id  integer   the manifest
-- $2  generations  bigint[]  the generations, complete, all of the manifests that had them

UPDATE gristmill_generation
SET manifest_id = $1
WHERE
    id = ANY ($2)
    AND state = 'complete';
