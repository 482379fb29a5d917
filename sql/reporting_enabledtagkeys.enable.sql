-- Enables tag keys; those that were never seen become known.
--
-- Writes  reporting_enabledtagkeys  one row per key and provider type
--
-- $1  keys  text[]  the keys

INSERT INTO reporting_enabledtagkeys (key, enabled, provider_type)
SELECT
    wanted.key,
    true,
    'OCP'
FROM unnest($1::text[]) AS wanted (key)
ORDER BY wanted.key
ON CONFLICT (key, provider_type) DO UPDATE
    SET enabled = true;
