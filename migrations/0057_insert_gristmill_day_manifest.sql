-- Until now a day was made of one manifest.

INSERT INTO gristmill_day_manifest (source_uuid, usage_day, manifest_id)
SELECT
    day.source_uuid,
    day.usage_day,
    day.manifest_id
FROM gristmill_day AS day;
