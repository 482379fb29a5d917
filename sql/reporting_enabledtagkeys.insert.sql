-- Makes tag keys known; new ones are not enabled.
--
-- Writes  reporting_enabledtagkeys  one row per key and provider type
--
-- $1  keys  text[]  keys that were seen; over-long ones are passed over

INSERT INTO reporting_enabledtagkeys (key, enabled, provider_type)
SELECT
    seen.key,
    false,
    'OCP'
FROM unnest($1::text[]) AS seen (key)
WHERE
    length(seen.key) BETWEEN 1 AND 512
    AND octet_length(seen.key) <= 640
ORDER BY seen.key
ON CONFLICT (key, provider_type) DO NOTHING;
