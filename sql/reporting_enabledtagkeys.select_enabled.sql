-- Lists the enabled tag keys.
--
-- Reads  reporting_enabledtagkeys  one row per key and provider type

SELECT key
FROM reporting_enabledtagkeys
WHERE
    enabled
    AND provider_type = 'OCP'
ORDER BY key COLLATE "C";
