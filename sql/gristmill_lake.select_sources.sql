-- The sources that have places in the lake.
--
-- Reads  gristmill_lake    one row per place
-- Reads  gristmill_source  one row per source

SELECT DISTINCT
    lake.source_uuid,
    COALESCE(source.cluster_id, lake.source_uuid::text)
FROM gristmill_lake AS lake
LEFT JOIN gristmill_source AS source
    ON source.source_uuid = lake.source_uuid
ORDER BY lake.source_uuid;
