-- Names the pipeline that loaded an upload last.
--
-- Reads  gristmill_run  one row per run
--
-- $1  manifest_id  integer  the manifest

SELECT pipeline
FROM gristmill_run
WHERE
    manifest_id = $1
    AND state IN ('loaded', 'published')
ORDER BY id DESC
LIMIT 1;
