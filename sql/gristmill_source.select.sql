-- Lists the sources.
--
-- Reads  gristmill_source  one row per source
--
-- $1  cluster_id   text  only the source of this cluster; null for all
-- $2  source_uuid  uuid  only the source with this uuid; null for all

SELECT
    source_uuid,
    cluster_id,
    cluster_alias,
    registered_at,
    engine
FROM gristmill_source
WHERE
    ($1::text IS NULL OR cluster_id = $1)
    AND ($2::uuid IS NULL OR source_uuid = $2)
ORDER BY
    cluster_alias,
    cluster_id;
