-- Disables tag keys.
--
-- Writes  reporting_enabledtagkeys  one row per key and provider type
--
-- $1  keys  text[]  the keys

UPDATE reporting_enabledtagkeys
SET enabled = false
WHERE
    key = ANY ($1::text[])
    AND provider_type = 'OCP';
